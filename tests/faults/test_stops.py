"""A signal ends a command within a second or so wherever it is: validations, scores, scans of values."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.runs import ForkedCommand, command, steps_logged, train_command, wait_for_step

from framecast.runs.checkpoint import load_newest

SOON = 8.0
"""Seconds, for a machine that has other things to do."""
MANY = 200_000
"""Windows that nobody waits for."""


def stop(process: ForkedCommand, number: int) -> tuple[float, str]:
    """Seconds until the end, and what was said."""
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return time.monotonic() - asked, errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_validation_is_left_and_made_after_resuming(tmp_path: Path, number: int, code: int) -> None:
    out = tmp_path / "run"
    digits = f"{{size: 32, digits: 1, validation: {MANY}}}"
    data = {"data__moving_mnist": digits, "validate__sequences": "null", "validate__every": 2}
    process = ForkedCommand(train_command(out, 4, **data))
    wait_for_step(out, 2, process)
    time.sleep(0.5)  # the validation has begun
    seconds, errors = stop(process, number)
    assert process.returncode == code, errors
    assert seconds < SOON
    assert "after step 2; saved" in errors
    assert steps_logged(out) == 2
    content = load_newest(out / "checkpoints", out / "events.jsonl").content
    assert (content["trainer"]["step"], content["unvalidated"]) == (2, True)
    again = ForkedCommand(command("resume", str(out), "--device", "cpu", "--quiet"))
    time.sleep(3)  # in the validation, which comes first
    seconds, errors = stop(again, number)
    assert again.returncode == code, errors
    assert seconds < SOON
    assert steps_logged(out) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_scores_and_scans_are_left(tmp_path: Path, number: int, code: int) -> None:
    big = tmp_path / "big.npy"
    np.lib.format.open_memmap(big, "w+", np.uint8, (60_000, 256, 256))  # a hole: 4 GB of zeros that take no room
    out = tmp_path / "scores"
    for words in (
        ["evaluate", "persistence", "--data", str(big), "--dims", "thw", "--out", str(out), "--device", "cpu"],
        ["inspect", str(big), "--dims", "thw"],
    ):
        process = ForkedCommand(command(*words))
        time.sleep(0.5)  # a quiet machine has looked at all of it in a second and a half
        seconds, errors = stop(process, number)
        assert process.returncode == code, (words, errors)
        assert seconds < SOON
        assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["big.npy"]
