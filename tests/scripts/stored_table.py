"""Makes a candidate table in a store, with a cache for each process, as on machines that share no folder."""

import json
import os
import sys
from pathlib import Path


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "augment"), str(TESTS.parent)]

from candidate_tables import draws, table  # noqa: E402
from conftest import SENTENCES, make_tokenizer  # noqa: E402

from augment.mlm import candidate_table  # noqa: E402
from examples import examples_of  # noqa: E402


def main(url: str, folder: Path) -> None:
    rank = os.environ["RANK"]
    os.environ["HF_MMEL_CACHE"] = str(folder / f"cache {rank}")
    candidate_table.PART_TOKENS = 22  # five parts
    tokenizer = make_tokenizer("wordpiece")
    examples = examples_of(tokenizer, SENTENCES)
    augmenter = table(tokenizer, examples, url)
    found = {"folder": str(augmenter._table.folder), "variants": draws(augmenter, examples)}
    (folder / f"found {rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
