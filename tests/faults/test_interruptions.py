"""Training processes killed, stopped, started twice and robbed of files: nothing is lost, nothing differs by a bit."""

import json
import random
import signal
import sys
import time

import pytest
import torch
from tests.fixtures.runs import (
    ForkedCommand,
    command,
    last_network,
    run,
    run_forked,
    start,
    steps_logged,
    stop_at,
    train_command,
    wait_for_step,
    weights,
)

STEPS = 60


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "run"
    finished = run_forked(train_command(out, STEPS))
    assert finished.returncode == 0, finished.stderr
    return out


def equal(one, other) -> None:
    assert (one / "events.jsonl").read_bytes() == (other / "events.jsonl").read_bytes()
    assert weights(one) == weights(other)
    first, second = last_network(one), last_network(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_five_kills_end_in_the_same_bits(uninterrupted, tmp_path) -> None:
    out, draw = tmp_path / "run", random.Random(time.time_ns())
    moments = sorted(draw.sample(range(1, STEPS), 5))
    words, begin = train_command(out, STEPS), start
    for moment in moments:
        killed = begin(words)
        stop_at(killed, out, moment)
        assert killed.returncode == -signal.SIGKILL, (moments, killed.returncode)
        words, begin = command("resume", str(out), "--device", "cpu", "--quiet"), ForkedCommand
    finished = run_forked(words)
    assert finished.returncode == 0, (moments, finished.stderr)
    equal(out, uninterrupted)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_resume(uninterrupted, tmp_path, number: int, code: int) -> None:
    out = tmp_path / "run"
    process = start(train_command(out, STEPS))
    wait_for_step(out, 7, process)
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert time.monotonic() - asked < 10
    done = steps_logged(out)
    assert f"after step {done}" in errors
    assert (out / "checkpoints" / f"step-{done:08d}.json").exists(), "the signal must save, wherever it comes"
    assert run_forked(command("resume", str(out), "--device", "cpu", "--quiet")).returncode == 0
    equal(out, uninterrupted)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "manifest lost", "file lost"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(uninterrupted, tmp_path, damage: str) -> None:
    out = tmp_path / "run"
    stop_at(ForkedCommand(train_command(out, STEPS)), out, 23)
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    content = bytearray(newest.read_bytes())
    if damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    elif damage == "manifest lost":
        newest.with_suffix(".json").unlink()
    else:
        newest.unlink()
    resumed = run_forked(command("resume", str(out), "--device", "cpu"))
    assert resumed.returncode == 0, resumed.stderr
    if damage != "manifest lost":
        assert f"skipped checkpoint {newest.name}" in resumed.stderr
    equal(out, uninterrupted)


def test_without_any_valid_checkpoint_it_says_so(tmp_path) -> None:
    out = tmp_path / "run"
    stop_at(ForkedCommand(train_command(out, STEPS)), out, 12)
    for checkpoint in (out / "checkpoints").glob("*.pt"):
        checkpoint.write_bytes(b"")
    resumed = run_forked(command("resume", str(out), "--quiet"))
    assert resumed.returncode == 4
    assert "no valid checkpoint" in resumed.stderr
    assert "Traceback" not in resumed.stderr


def test_a_second_starter_is_refused(tmp_path) -> None:
    out = tmp_path / "run"
    process = ForkedCommand(train_command(out, 100_000))
    wait_for_step(out, 2, process)
    second = run(command("resume", str(out), "--quiet"))
    third = run_forked(train_command(out, STEPS))
    stop_at(process, out, 2)
    for refused in (second, third):
        assert refused.returncode == 73, refused.stderr
        assert "in use" in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_an_existing_run_is_never_overwritten(uninterrupted) -> None:
    before = {path: path.read_bytes() for path in uninterrupted.rglob("*") if path.is_file()}
    again = run_forked(train_command(uninterrupted, STEPS))
    assert again.returncode == 2
    assert "a run that exists" in again.stderr
    assert {path: path.read_bytes() for path in uninterrupted.rglob("*") if path.is_file()} == before


def test_slow_iterations_are_saved_by_the_clock(tmp_path) -> None:
    out = tmp_path / "run"
    stop_at(
        ForkedCommand(train_command(out, STEPS, train__checkpoint_every=1000, train__checkpoint_minutes=1e-6)), out, 9
    )
    newest = sorted((out / "checkpoints").glob("*.json"))[-1]
    assert int(newest.stem.removeprefix("step-")) >= 8


def test_changed_data_are_refused_at_resume(tmp_path) -> None:
    out = tmp_path / "run"
    stop_at(ForkedCommand(train_command(out, STEPS)), out, 8)
    recipe = (out / "recipe.yaml").read_text()
    (out / "recipe.yaml").write_text(recipe.replace("digits: 1", "digits: 2"))
    resumed = run_forked(command("resume", str(out), "--quiet"))
    assert resumed.returncode == 4
    assert "has changed since" in resumed.stderr


@pytest.mark.parametrize("lr", [1e30, 1e39])
def test_a_loss_that_explodes_stops_and_spoils_nothing(tmp_path, lr: float) -> None:
    out = tmp_path / "run"
    stopped = run_forked(train_command(out, STEPS, train__lr=lr, train__checkpoint_every=1))
    assert stopped.returncode == 7, stopped.stderr
    assert "not finite a" in stopped.stderr
    saved = list((out / "checkpoints").glob("*.json"))
    assert not saved or all(torch.isfinite(value).all() for value in last_network(out).values())


def test_other_workers_and_micro_batches_train_the_same(uninterrupted, tmp_path) -> None:
    workers = tmp_path / "workers"
    assert run_forked(train_command(workers, STEPS, train__workers=2)).returncode == 0
    assert (workers / "events.jsonl").read_bytes() == (uninterrupted / "events.jsonl").read_bytes()
    assert weights(workers) == weights(uninterrupted)
    micro = tmp_path / "micro"
    assert run_forked(train_command(micro, STEPS, train__accumulate=4)).returncode == 0
    losses = [
        [json.loads(line)["loss"] for line in (out / "events.jsonl").read_text().splitlines() if '"train"' in line]
        for out in (micro, uninterrupted)
    ]
    assert losses[0][:10] == pytest.approx(losses[1][:10], rel=1e-5)


def test_workers_of_a_dead_run_do_not_hold_it(tmp_path) -> None:
    out = tmp_path / "run"
    stop_at(start(train_command(out, STEPS, train__workers=2)), out, 7)  # returns once nobody holds its stderr
    resumed = run_forked(command("resume", str(out), "--device", "cpu", "--quiet"))
    assert resumed.returncode == 0, resumed.stderr


def test_a_full_disk_says_so_and_the_run_goes_on(uninterrupted, tmp_path) -> None:
    """RLIMIT_FSIZE stands for the disk: no file may grow beyond a few kilobytes."""
    out = tmp_path / "run"
    stop_at(ForkedCommand(train_command(out, STEPS)), out, 12)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        f"sys.argv = ['framecast', 'resume', {str(out)!r}, '--device', 'cpu', '--quiet']\n"
        "from framecast.cli import main\n"
        "main()\n"
    )
    full = run([sys.executable, "-c", code])
    assert full.returncode == 5, full.stderr
    assert "Traceback" not in full.stderr
    assert run_forked(command("resume", str(out), "--device", "cpu", "--quiet")).returncode == 0
    equal(out, uninterrupted)


@pytest.mark.slow
def test_a_hundred_kills(uninterrupted, tmp_path) -> None:
    draw = random.Random(time.time_ns())
    kills = 0
    for attempt in range(20):
        out = tmp_path / f"run{attempt}"
        words = train_command(out, STEPS)
        for moment in sorted(draw.sample(range(1, STEPS), 5)):
            killed = ForkedCommand(words)
            stop_at(killed, out, moment)
            kills += killed.returncode == -signal.SIGKILL
            words = command("resume", str(out), "--device", "cpu", "--quiet")
        assert run_forked(words).returncode == 0
        equal(out, uninterrupted)
    assert kills >= 90
