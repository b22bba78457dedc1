"""Variants of other libraries, made in environments of their own by the runners of the speed benchmark."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..augment_speed import python_of


RUNNERS = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True)
class Peer:
    """A runner in the environment of its library, for the first `num_sentences` texts or for all."""

    environment: str
    runner: str
    num_sentences: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)  # {mlm} stands for the masked LM


def run_peer(peer: Peer, args, sentences: Path, output: Path) -> list[list[str]]:
    """
    Args:
        peer (`Peer`): The library.
        args (`argparse.Namespace`): `speed_dir`, `mlm` and `num_variants` of the benchmark.
        sentences (`Path`): JSON file with the texts and stop words.
        output (`Path`): File for the variants.
    """
    options = ["--num_variants", str(args.num_variants), "--variants", str(output)]
    options += [f"--{name}={value.format(mlm=args.mlm)}" for name, value in peer.options.items()]
    options += ["--num_sentences", str(peer.num_sentences)] if peer.num_sentences else []
    _run(args, peer.environment, [str(RUNNERS / f"{peer.runner}.py"), str(sentences), *options], None)
    return json.loads(output.read_text())


def tag_words(args, texts: Sequence[str]) -> list[list[str]]:
    """Penn tags of the words of texts, by NLTK's tagger, which nlpaug's environment has."""
    script = str(Path(__file__).with_name("tag_words.py"))
    return json.loads(_run(args, "nlpaug", [script], json.dumps(texts)))


def _run(args, environment: str, command: list[str], given: str | None) -> str:
    settings = {"NLTK_DATA": os.path.join(sys.prefix, "nltk_data"), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python_of(environment, args.speed_dir), *command],
        input=given,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | settings,
    )
    return done.stdout
