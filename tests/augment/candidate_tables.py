"""Tables of a masked LM's candidates: made, damaged, and made by processes that share the work."""

import threading
from pathlib import Path

from augmenters import masked_lm

from augment.mlm.fill_mask import FillMask


def count_made(monkeypatch) -> list[int]:
    """The numbers of sequences that models are asked about from now on, one for each part of a table."""
    made, best = [], FillMask.best

    def counted(self, inputs, *arguments):
        made.append(len(inputs))
        return best(self, inputs, *arguments)

    monkeypatch.setattr(FillMask, "best", counted)
    return made


def draws(augmenter, examples):
    return augmenter.variants(examples, 4, list(range(len(examples))))


def table(tokenizer, examples, path, **options):
    return masked_lm(tokenizer, dtype="float32", **options).precompute(examples, path)


def spoil(path: Path, damage: str) -> None:
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    path.write_bytes(data if damage == "flipped" else data[: len(data) // 2] if damage == "cut" else b"")


def in_processes(monkeypatch, tokenizer, examples, *folders):
    """Makes a table in two threads that take each other for processes; the augmenter of each, or what it raised."""
    outcomes = [masked_lm(tokenizer, dtype="float32") for _ in folders]
    barrier, values = threading.Barrier(2, timeout=60), [None, None]

    def gather(value):
        values[int(threading.current_thread().name)] = value
        barrier.wait()
        gathered = list(values)
        barrier.wait()
        return gathered

    def run(process, folder):
        try:
            outcomes[process].precompute(examples, folder)
        except ValueError as error:
            outcomes[process] = error

    monkeypatch.setattr(
        "augment.core.shared_folder.distributed", lambda: (int(threading.current_thread().name), 2, gather)
    )
    threads = [
        threading.Thread(target=run, args=(process, folder), name=str(process))
        for process, folder in enumerate(folders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
