"""Two gloo processes train, validate, stop and resume; they equal two-fold accumulation bit for bit."""

import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch
from tests.fixtures.runs import (
    ForkedCommand,
    command,
    last_network,
    run_forked,
    start,
    stop_at,
    train_command,
)

STEPS = 12


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def torchrun(words: list[str]) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
    return [sys.executable, *launcher, *words[1:]]


def run_both(words: list[str], prepare: Callable[[], object] | None = None) -> list[tuple[int, str]]:
    """Exit codes and stderr of two processes that are told what torchrun tells its own."""
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{"RANK": str(n), "LOCAL_RANK": str(n), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "none"} for n in (0, 1)]
    both = [ForkedCommand(words, shared | rank, prepare) for rank in ranks]
    errors = [process.communicate(timeout=300)[1] for process in both]
    return [(process.returncode, said) for process, said in zip(both, errors, strict=True)]


def events(out) -> list[str]:
    return [line for line in (out / "events.jsonl").read_text().splitlines() if '"train"' in line]


def test_two_processes_equal_two_fold_accumulation(tmp_path) -> None:
    both, alone = tmp_path / "both", tmp_path / "alone"
    finished = run_both(train_command(both, STEPS))
    assert [code for code, _ in finished] == [0, 0], finished
    assert run_forked(train_command(alone, STEPS, train__accumulate=2)).returncode == 0
    assert events(both) == events(alone)
    assert len(events(both)) == STEPS
    first, second = last_network(both), last_network(alone)
    assert all(torch.equal(first[key], second[key]) for key in first)
    scores = [
        [float(v) for v in re.findall(r'"sse": ([\d.]+)', (out / "events.jsonl").read_text())] for out in (both, alone)
    ]
    assert scores[0]
    assert torch.allclose(torch.tensor(scores[0]), torch.tensor(scores[1]), rtol=1e-9)


def test_two_processes_stop_together_and_resume_to_the_same_bits(tmp_path) -> None:
    plain, stopped = tmp_path / "plain", tmp_path / "stopped"
    assert [code for code, _ in run_both(train_command(plain, 60))] == [0, 0]
    stop_at(start(torchrun(train_command(stopped, 60))), stopped, 5, signal.SIGTERM)
    assert 5 <= len(events(stopped)) < 60
    newest = sorted((stopped / "checkpoints").glob("*.json"))[-1]
    assert newest.stem == f"step-{len(events(stopped)):08d}", "both processes stop at the same step and save it"
    resumed = run_both(command("resume", str(stopped), "--device", "cpu", "--quiet"))
    assert [code for code, _ in resumed] == [0, 0], resumed
    assert (stopped / "events.jsonl").read_bytes() == (plain / "events.jsonl").read_bytes()
    first, second = last_network(plain), last_network(stopped)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path) -> None:
    for code, errors in run_both(train_command(tmp_path / "run", STEPS, train__batch_size=3)):
        assert code == 2
        assert "expected a multiple of 2" in errors


def spoil(rank: str) -> None:
    """The weights of one process are not finite after its third iteration, as after a fault of its memory."""
    from framecast.training.state import TrainingState

    iterate = TrainingState.iterate

    def spoiled(self, batches):
        event = iterate(self, batches)
        if self.step == 3 and os.environ["RANK"] == rank:
            with torch.no_grad():
                self.parameters[0].fill_(torch.nan)
        return event

    TrainingState.iterate = spoiled


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("every", [{"train__checkpoint_every": 3}, {"validate__every": 3}])
def test_both_stop_where_the_weights_of_one_are_not_finite(tmp_path, rank: str, every: dict) -> None:
    out = tmp_path / "run"
    for code, errors in run_both(train_command(out, STEPS, **every), partial(spoil, rank)):
        assert code == 7, errors
        assert "not finite a" in errors
    assert not list((out / "checkpoints").glob("*.json"))
