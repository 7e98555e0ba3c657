"""Real training processes, started, killed and compared."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TINY = {
    "model": "{name: convlstm, hidden: [4], kernel_size: 3}",
    "patch": "8",
    "context": "3",
    "horizon": "3",
    "train.batch_size": "4",
    "train.log_every": "1",
    "train.checkpoint_every": "5",
    "validate.every": "10",
    "validate.sequences": "4",
    "data.moving_mnist": "{size: 32, digits: 1}",
}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def overrides(**values: object) -> list[str]:
    """Options that make a training tiny; later ones win, `__` stands for a dot."""
    said = {**TINY, **{key.replace("__", "."): str(value) for key, value in values.items()}}
    return [part for key, value in said.items() for part in ("--set", f"{key}={value}")]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "framecast", *words]


def train_command(out: Path, steps: int, **values: object) -> list[str]:
    return command(
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
    )


def run(words: list[str], **options: object) -> subprocess.CompletedProcess:
    return subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, **options)


def start(words: list[str]) -> subprocess.Popen:
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(out: Path, step: int, process: subprocess.Popen, seconds: float = 120) -> None:
    """Until the event log has reached a step."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None or steps_logged(out) >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"no step {step} within {seconds} s")


def steps_logged(out: Path) -> int:
    log = out / "events.jsonl"
    return log.read_bytes().count(b'"train"') if log.exists() else 0


def kill_at(words: list[str], out: Path, step: int, number: int = signal.SIGKILL) -> subprocess.Popen:
    process = start(words)
    wait_for_step(out, step, process)
    process.send_signal(number)
    process.communicate(timeout=60)
    return process


def weights(out: Path) -> bytes:
    about = json.loads((out / "model" / "model.json").read_text())
    return (out / "model" / about["weights"]).read_bytes()


def last_network(out: Path) -> dict:
    """The network of the newest checkpoint, not that of the best validation."""
    from framecast.checkpoint import load_newest

    return load_newest(out / "checkpoints").content["trainer"]["network"]
