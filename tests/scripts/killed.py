"""Runs a command again and again, killed at random moments, and at last to its end."""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path


TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]


def forked(module: str, argv: list[str]) -> int:
    """The process that runs a command."""
    if child := os.fork():
        return child
    try:
        code = importlib.import_module(module).main(argv)
    except SystemExit as error:
        code = error.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def ended(child: int) -> int | None:
    """How the process has ended, `None` while it runs."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def killed(child: int, after: float, inside: Path | None) -> bool:
    """
    Kills the process after so many seconds, or, if `inside` is a folder, as soon as it has begun to write a checkpoint
    in it. Whether that came before its end.
    """
    begun, known = time.monotonic(), set(inside.glob("checkpoint-*")) if inside else set()
    while (code := ended(child)) is None:
        if inside is None and time.monotonic() - begun >= after:
            break
        if inside is not None and any(path not in known for path in inside.glob("checkpoint-*")):
            time.sleep(random.uniform(0, 0.02))
            break
        time.sleep(0.0005)
    if code is not None:
        if code:
            raise SystemExit(f"The command ended with {code} before it was killed.")
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("argv", type=json.loads)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, help="seconds after which it is killed at the latest")
    parser.add_argument("--inside", type=Path, help="every other one in a checkpoint of this folder")
    parser.add_argument(
        "--made", type=Path, help="folder of what is made, which is removed where a run comes to its end"
    )
    options = parser.parse_args()
    random.seed(options.seed)
    num_killed = 0
    while num_killed < options.kills:
        inside = options.inside if num_killed % 2 else None
        if killed(forked(options.module, options.argv), random.uniform(0.05, options.longest), inside):
            num_killed += 1
        else:
            shutil.rmtree(options.made)
    begun = time.monotonic()
    child = forked(options.module, options.argv)
    while (code := ended(child)) is None:
        time.sleep(0.01)
    sys.stdout.write(json.dumps({"killed": num_killed, "code": code, "seconds": time.monotonic() - begun}) + "\n")


if __name__ == "__main__":
    main()
