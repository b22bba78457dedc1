"""Errors that end the command with one line."""

import subprocess
import sys
from pathlib import Path

import pytest


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


ROOT = Path(__file__).parents[2]
# A worker hands a file to its parent, as torch's workers do with the tensors of a batch. Before the parent takes it,
# it breaks off a transfer, as at an interruption; the next one succeeds, when the worker is done with that.
TRANSFER = """
import multiprocessing, os, socket, sys
from multiprocessing.reduction import DupFd
from hf_mmel.cli.errors import quiet_workers

def work(pipe):
    pipe.send(DupFd(os.open(os.devnull, os.O_RDONLY)))
    pipe.recv()
    sys.excepthook(ValueError, ValueError("of its own"), None)  # as the thread of a transfer has errors shown

if "quiet" in sys.argv:
    quiet_workers()
context = multiprocessing.get_context("fork")
ours, theirs = context.Pipe()
worker = context.Process(target=work, args=(theirs,))
worker.start()
file = ours.recv()
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(file._id[0])
os.close(file.detach())
ours.send("done")
worker.join()
raise ConnectionResetError("of the parent")
"""


@pytest.fixture(scope="module")
def said():
    """What a parent and its worker say that break off a transfer and then fail in ways of their own."""
    command = [sys.executable, "-c", TRANSFER]
    done = [subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True) for more in ([], ["quiet"])]
    return [run.stderr for run in done]


def test_a_worker_says_nothing_of_a_transfer_that_its_parent_broke_off(said):
    loud, quiet = said
    assert "resource_sharer.py" in loud
    assert "resource_sharer.py" not in quiet


def test_other_errors_of_workers_and_those_of_the_parent_are_said(said):
    _, quiet = said
    assert quiet.startswith("ValueError: of its own\nTraceback")
    assert quiet.endswith("ConnectionResetError: of the parent\n")
