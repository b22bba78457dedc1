"""The command on CPU processes that shard models as accelerators do, and that say when they ask a masked LM."""

import os
import sys
from pathlib import Path


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from scripts.shard_on_cpu import shard_on_cpu  # noqa: E402

from augment.mlm.fill_mask import FillMask  # noqa: E402
from hf_mmel.cli import run as cli  # noqa: E402


best = FillMask.best


def announced(self, *args):
    sys.stdout.write(f"process {os.environ['RANK']} asks the masked LM\n")
    return best(self, *args)


if __name__ == "__main__":
    shard_on_cpu()
    FillMask.best = announced
    cli.main()
