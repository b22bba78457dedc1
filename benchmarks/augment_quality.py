"""
What the augmenters of `augment` write, measured, next to nlpaug and TextAttack on the same sentences.

The environments of these two are those of `benchmarks.augment_speed`, and are made if they are missing. What is
finished is kept in the work folder.

```bash
python -m benchmarks.augment_quality --data PATH_TO_GLUE --mlm PATH_TO_MASKED_LM --output quality.json
```
"""

import argparse
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from transformers.utils import logging

from augment.english.stopwords import STOP_WORDS

from .quality.measures import fluency, measure, perplexity
from .quality.ours import make_augmenters, tokenised_again
from .quality.peers import Peer, run_peer, tag_words
from .quality.perplexity import PseudoLogProbs
from .quality.sentences import choose_sentences
from .quality.tables import print_tables


PEERS = {
    "nlpaug SynonymAug": Peer("nlpaug", "nlpaug_wordnet"),
    "nlpaug ContextualWordEmbsAug": Peer(
        "nlpaug", "nlpaug_mlm", num_sentences=200, options={"mlm": "{mlm}", "batch_size": "32"}
    ),
    "TextAttack WordNetAugmenter": Peer("textattack", "textattack_wordnet"),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="nyu-mll/glue", help="Name or folder of GLUE.")
    parser.add_argument("--mlm", default="google-bert/bert-base-uncased", help="Name or folder of a masked LM.")
    parser.add_argument("--num_sentences", type=int, default=510, help="Sentences of sst2, rte and stsb together.")
    parser.add_argument("--num_variants", type=int, default=4, help="K.")
    parser.add_argument("--num_scored", type=int, default=200, help="Of how many sentences to take the perplexity.")
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/augment_quality"), help="Folder for results.")
    parser.add_argument(
        "--speed_dir", type=Path, default=Path("outputs/augment_speed"), help="Where the peers' environments are kept."
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="Names of sources, as in the tables.")
    parser.add_argument("--fresh", action="store_true", help="Measure again what has been measured.")
    parser.add_argument("--output", type=Path, help="JSON file for all figures.")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    texts = choose_sentences(args.data, args.num_sentences)
    sentences = args.work_dir / "sentences.json"
    sentences.write_text(json.dumps({"texts": texts, "stop_words": sorted(STOP_WORDS)}))
    augmenters = make_augmenters(args)
    names = args.only or [*augmenters, *PEERS]
    if unknown := set(names) - {*augmenters, *PEERS}:
        raise SystemExit(f"There is no {', '.join(unknown)}; expected some of {', '.join([*augmenters, *PEERS])}.")
    log_probs = PseudoLogProbs(args.mlm)

    def run(name: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if name in PEERS:
            groups = run_peer(PEERS[name], args, sentences, args.work_dir / "peer.json")
        else:
            augmenter = augmenters[name]()
            groups = augmenter.augment_text(texts, args.num_variants, range(len(texts)))
            result["tokenised again"] = tokenised_again(augmenter, texts, groups)
        return {**result, "scores": log_probs([group[0] for group in groups[: args.num_scored]]), "variants": groups}

    originals = kept(args, "originals", lambda: {"scores": log_probs(texts[: args.num_scored])})
    results = {}
    for name in names:
        result = kept(args, name, partial(run, name))
        groups = result["variants"]
        shares = measure(texts, groups, args.num_variants, STOP_WORDS, partial(tag_words, args))
        results[name] = {"shares": shares, **fluency(texts, groups, result["scores"], originals["scores"]), **result}
        print(f"{name}: done", flush=True)
    print_tables(results, perplexity(originals["scores"]))
    if args.output is not None:
        args.output.write_text(json.dumps(results, indent=1))


def kept(args: argparse.Namespace, name: str, make) -> dict[str, Any]:
    """What `make` gives, or gave in an earlier run with the same arguments."""
    settings = [args.data, args.mlm, args.num_sentences, args.num_variants, args.num_scored]
    digest = hashlib.sha256(json.dumps([name, *settings]).encode()).hexdigest()[:12]
    path = args.work_dir / f"{name.replace(', ', '-').replace(' ', '-')}-{digest}.json"
    if not path.exists() or args.fresh:
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(make()))
        unfinished.replace(path)
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
