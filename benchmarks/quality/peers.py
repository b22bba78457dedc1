"""Variants of other libraries, made in environments of their own by the runners of the speed benchmark."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augment.english.stopwords import STOP_WORDS

from ..augment_speed import ONE_THREAD, python_of


RUNNERS = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True)
class Peer:
    """A runner in the environment of its library. A slow one is given the first texts alone."""

    environment: str
    runner: str
    is_slow: bool = False
    options: Mapping[str, str] = field(default_factory=dict)  # {mlm} stands for the masked LM


PEERS = {
    "nlpaug SynonymAug": Peer("nlpaug", "nlpaug_wordnet"),
    "nlpaug ContextualWordEmbsAug": Peer("nlpaug", "nlpaug_mlm", True, {"mlm": "{mlm}", "batch_size": "32"}),
    "TextAttack WordNetAugmenter": Peer("textattack", "textattack_wordnet"),
    # 80 tokens are more than any text has.
    "TextAttack WordSwapMaskedLM": Peer("textattack", "textattack_mlm", True, {"mlm": "{mlm}", "max_length": "80"}),
}


class Unavailable(Exception):
    """An environment cannot be made, or a library does not run in it."""


def run_peer(name: str, texts: Sequence[str], args) -> dict[str, Any]:
    """
    Args:
        name (`str`): One of `PEERS`.
        texts (`Sequence[str]`): The texts.
        args (`argparse.Namespace`): `output_dir`, `speed_dir`, `mlm`, `num_variants` and `num_slow` of the
            benchmark.

    Returns:
        `dict`: The variants, and the CPU-seconds that they took after a start that does not count.
    """
    peer, given, output = PEERS[name], args.output_dir / "peer_input.json", args.output_dir / "peer_output.json"
    given.write_text(json.dumps({"texts": texts, "stop_words": sorted(STOP_WORDS)}))
    options = ["--num_variants", str(args.num_variants), "--variants", str(output), "--repeats", "1"]
    options += [f"--{option}={value.format(mlm=args.mlm)}" for option, value in peer.options.items()]
    options += ["--num_sentences", str(args.num_slow)] if peer.is_slow else []
    printed = _run(args, peer.environment, [str(RUNNERS / f"{peer.runner}.py"), str(given), *options])
    seconds = json.loads(printed.splitlines()[-1])["seconds"]
    return {"variants": json.loads(output.read_text()), "seconds": {"first epoch": seconds}}


def tag_words(args, texts: Sequence[str]) -> list[list[str]]:
    """Penn tags of the words of texts, each in its context."""
    return json.loads(_run(args, "tagger", [str(Path(__file__).with_name("tag_words.py"))], json.dumps(texts)))


def _run(args, environment: str, command: list[str], given: str | None = None) -> str:
    settings = {
        **ONE_THREAD,
        "NLTK_DATA": os.environ.get("NLTK_DATA", os.path.join(sys.prefix, "nltk_data")),
        "PYTHONHASHSEED": "0",
        "TA_CACHE_DIR": str(args.speed_dir / "textattack"),
    }
    try:
        python = python_of(environment, args.speed_dir)
        done = subprocess.run(
            [python, *command], input=given, text=True, capture_output=True, check=True, env=os.environ | settings
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "").strip().splitlines()[-1:] or [str(error)]
        raise Unavailable(f"the environment {environment!r} does not work: {reason[0]}") from error
    return done.stdout
