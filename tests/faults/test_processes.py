"""Two gloo processes under torchrun train, validate, stop and resume, and equal two-fold accumulation bit for bit."""

import re
import signal
import socket
import sys

import torch
from tests.fixtures.runs import last_network, overrides, run, start, train_command, wait_for_step

STEPS = 12


def torchrun(*words: str) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    return [*launcher, "-m", "framecast", *words]


def train_words(out, steps: int = STEPS, **values: object) -> list[str]:
    return [
        "train",
        "convlstm",
        "--device",
        "cpu",
        "--quiet",
        "--out",
        str(out),
        "--steps",
        str(steps),
        *overrides(**values),
    ]


def events(out) -> list[str]:
    return [line for line in (out / "events.jsonl").read_text().splitlines() if '"train"' in line]


def test_two_processes_equal_two_fold_accumulation(tmp_path) -> None:
    both, alone = tmp_path / "both", tmp_path / "alone"
    finished = run(torchrun(*train_words(both)))
    assert finished.returncode == 0, finished.stderr
    assert run(train_command(alone, STEPS, train__accumulate=2)).returncode == 0
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
    assert run(torchrun(*train_words(plain, 60))).returncode == 0
    process = start(torchrun(*train_words(stopped, 60)))
    wait_for_step(stopped, 5, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert 5 <= len(events(stopped)) < 60
    newest = sorted((stopped / "checkpoints").glob("*.json"))[-1]
    assert newest.stem == f"step-{len(events(stopped)):08d}", "both processes stop at the same step and save it"
    resumed = run(torchrun("resume", str(stopped), "--device", "cpu", "--quiet"))
    assert resumed.returncode == 0, resumed.stderr
    assert (stopped / "events.jsonl").read_bytes() == (plain / "events.jsonl").read_bytes()
    first, second = last_network(plain), last_network(stopped)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path) -> None:
    refused = run(torchrun(*train_words(tmp_path / "run", train__batch_size=3)))
    assert refused.returncode != 0
    assert "expected a multiple of 2" in refused.stderr
