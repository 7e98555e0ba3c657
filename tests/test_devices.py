"""Threads and arithmetic of a process."""

import subprocess
import sys

import pytest
import torch

from framecast.commands.doctor import describe_waiting
from framecast.devices import flush_subnormals, limit_threads

PROGRAM = """
import torch
from framecast.devices import flush_subnormals
torch.set_num_threads(3)
if {flush}:
    flush_subnormals()
print(int((torch.full((3_000_000,), 2e-38) * 0.01).count_nonzero()))
"""


@pytest.mark.parametrize(("flush", "left"), [(False, 3_000_000), (True, 0)])
def test_no_thread_computes_with_subnormals(flush: bool, left: int) -> None:
    """Threads take the setting of the one that starts them."""
    words = [sys.executable, "-c", PROGRAM.format(flush=flush)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) == left


def test_the_least_normal_number_stays() -> None:
    flush_subnormals()
    least = torch.finfo(torch.float32).tiny
    assert (torch.tensor([2 * least, least]) / 2).tolist() == [least, 0]


def test_limit_threads() -> None:
    before = torch.get_num_threads()
    limit_threads(2)
    try:
        assert torch.get_num_threads() == 2
    finally:
        limit_threads(before)


@pytest.mark.parametrize(
    ("threads", "policy", "words"),
    [
        (1, None, "waits for no other"),
        (2, None, "spin (OMP_WAIT_POLICY is not set)"),
        (2, "ACTIVE", "spin (OMP_WAIT_POLICY is ACTIVE)"),
        (2, "passive", "sleep"),
    ],
)
def test_how_threads_wait(threads: int, policy: str | None, words: str) -> None:
    assert words in describe_waiting(threads, policy)
