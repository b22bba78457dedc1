"""Trains a tiny model for long, and writes down what the process holds while it does."""

import argparse
import gc
import json
import os
import sys
from pathlib import Path


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from conftest import SENTENCES, WORDS, make_model, make_tokenizer  # noqa: E402
from datasets import Dataset  # noqa: E402
from torch.utils.data import IterableDataset  # noqa: E402
from transformers import TrainerCallback  # noqa: E402

from augment import LexiconSubstitution  # noqa: E402
from hf_mmel import MMELTrainer, MMELTrainingArguments  # noqa: E402


class Stream(IterableDataset):
    """Examples that all differ, made as they are asked for."""

    def __init__(self, tokenizer, size: int):
        self.rows = [tokenizer(text)["input_ids"] for text in SENTENCES]
        self.size, self.num_ids = size, len(tokenizer)

    def __iter__(self):
        for i in range(self.size):
            ids = self.rows[i % len(self.rows)]
            odd = [5 + i // self.num_ids**k % (self.num_ids - 5) for k in range(3)]
            yield {"input_ids": [*ids[:-1], *odd, ids[-1]], "label": i % 2}


def children() -> int:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return len(file.read().split())


class Watch(TrainerCallback):
    """Resident megabytes, open files and child processes, every so many steps."""

    def __init__(self, interval: int):
        self.interval, self.seen = interval, []

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step % self.interval == 0:
            gc.collect()
            with open("/proc/self/statm") as file:
                pages = int(file.read().split()[1])
            megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            self.seen.append([state.global_step, round(megabytes, 1), len(os.listdir("/proc/self/fd")), children()])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir")
    parser.add_argument("--stream", type=int, help="examples of a stream, in batches of 250")
    parser.add_argument("--steps", type=int, help="steps over a few examples, with 4 workers")
    options = parser.parse_args()
    tokenizer = make_tokenizer("wordpiece")
    if options.stream:
        dataset = Stream(tokenizer, options.stream)
        more = {"max_steps": options.stream // 250, "per_device_train_batch_size": 250}
    else:
        dataset = Dataset.from_list([{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES)] * 10)
        more = {"max_steps": options.steps, "per_device_train_batch_size": 2, "dataloader_num_workers": 4}
        more |= {"dataloader_persistent_workers": True, "dataloader_prefetch_factor": 2}
    watch = Watch(more["max_steps"] // 20)
    trainer = MMELTrainer(
        make_model(tokenizer),
        MMELTrainingArguments(
            options.output_dir,
            num_variants=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            logging_steps=more["max_steps"] // 20,
            **more,
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        augmenter=LexiconSubstitution(tokenizer, WORDS),
        callbacks=[watch],
    )
    trainer.train()
    del trainer
    gc.collect()
    Path(options.output_dir, "seen.json").write_text(json.dumps({"seen": watch.seen, "children": children()}))


if __name__ == "__main__":
    main()
