"""Races of starters, signals at random moments, a process of two that dies, other numbers of workers, another TMPDIR."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.faults.test_processes import run_both
from tests.fixtures.full_disk import mount_small_disk
from tests.fixtures.runs import (
    ForkedCommand,
    command,
    last_network,
    run_forked,
    steps_logged,
    stop_at,
    train_command,
    wait_for_step,
    weights,
)

STEPS = 24
RESUME = ["--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "run"
    finished = run_forked(train_command(out, STEPS))
    assert finished.returncode == 0, finished.stderr
    return out


def check_equal(one: Path, other: Path) -> None:
    assert (one / "events.jsonl").read_bytes() == (other / "events.jsonl").read_bytes()
    assert weights(one) == weights(other)
    first, second = last_network(one), last_network(other)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("races", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_of_two_starters_one_runs(uninterrupted: Path, tmp_path: Path, races: int) -> None:
    for race in range(races):
        out = tmp_path / f"run{race}"
        both = [ForkedCommand(train_command(out, STEPS)) for _ in range(2)]
        said = [process.communicate(timeout=300)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        # the loser finds the lock, or, where it came late, the run that is there
        assert codes in ([0, 73], [0, 2]), (codes, said)
        check_equal(out, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_at_random_moments_save(uninterrupted: Path, tmp_path: Path, number: int, code: int) -> None:
    draw, saved = random.Random(time.time_ns()), 0
    for trial in range(15):
        out = tmp_path / f"run{trial}"
        process = ForkedCommand(train_command(out, STEPS))
        wait_for_step(out, draw.randrange(1, STEPS // 2), process)
        time.sleep(draw.uniform(0, 0.1))
        asked = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        if process.returncode == 0:  # it was over before
            continue
        assert process.returncode == code, errors
        assert time.monotonic() - asked < 10
        assert (out / "checkpoints" / f"step-{steps_logged(out):08d}.json").exists()
        assert run_forked(command("resume", str(out), *RESUME)).returncode == 0
        check_equal(out, uninterrupted)
        saved += 1
    print(f"\nCOUNT signal {number}: {saved} saved and went on", flush=True)
    assert saved >= 8


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_one_process_of_two_dies(tmp_path: Path, rank: int) -> None:
    """The other one ends by itself, and both go on to the bits of two that nothing stopped."""
    plain, out = tmp_path / "plain", tmp_path / "run"
    assert [code for code, _ in run_both(train_command(plain, 12))] == [0, 0]

    ended = run_both(train_command(out, 12), Dying(rank, 7))
    assert ended[rank][0] == -signal.SIGKILL
    assert ended[1 - rank][0] not in (0, None)
    resumed = run_both(command("resume", str(out), *RESUME))
    assert [code for code, _ in resumed] == [0, 0], resumed
    check_equal(out, plain)


class Dying:
    """Makes the process of a rank die at a step.

    Args:
        rank: of the process.
        step: iterations that it does.
    """

    def __init__(self, rank: int, step: int) -> None:
        self.rank, self.step = rank, step

    def __call__(self) -> None:
        if os.environ["RANK"] != str(self.rank):
            return
        from framecast.training.state import TrainingState

        iterate, last = TrainingState.iterate, self.step

        def die(self: TrainingState, batches: object) -> object:
            if self.step == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return iterate(self, batches)

        TrainingState.iterate = die


@pytest.mark.parametrize("change", ["train.workers=2", "train.workers=1"])
def test_other_workers_go_on_to_the_same_bits(uninterrupted: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "run"
    stop_at(ForkedCommand(train_command(out, STEPS)), out, 11)
    resumed = run_forked(command("resume", str(out), *RESUME, "--set", change))
    assert resumed.returncode == 0, resumed.stderr
    check_equal(out, uninterrupted)


def test_a_full_tmpdir_on_another_device_changes_nothing(uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with mount_small_disk(tmp_path / "tmp", 4096) as full:
        (full / "filled").write_bytes(bytes(4096))
        process = ForkedCommand(train_command(out, STEPS), {"TMPDIR": str(full)})
        stop_at(process, out, 9)
        again = ForkedCommand(command("resume", str(out), *RESUME), {"TMPDIR": str(full)})
        _, errors = again.communicate(timeout=120)
        assert again.returncode == 0, errors
    check_equal(out, uninterrupted)
