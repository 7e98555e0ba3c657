"""Peak memory of a job in a process of its own, as memory that one measurement freed would hide that of the next."""

from __future__ import annotations

import subprocess
import sys

from pydantic import BaseModel, ConfigDict, ValidationError

from framecast.bench.settings import Setting, Task
from framecast.errors import FramecastError

PROCESSES = 3
"""Number of processes whose median is reported."""


class Job(BaseModel):
    """Job of a process.

    Args:
        setting: sizes.
        model: name of the network.
        task: train or inference.
        batch: sequences at a time.
        contender: name of one of framecast's implementations, or an import path.
        threads: number of torch's threads.
        repeats: how often the task is repeated; each repeat is timed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    setting: Setting
    model: str
    task: Task
    batch: int
    contender: str
    threads: int
    repeats: int = 1


class JobReport(BaseModel):
    """Times and peak memory of a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall: list[float]
    """Seconds of each repeat."""
    cpu: list[float]
    """CPU seconds of each repeat."""
    peak: int
    """The most memory that the process held at any time, bytes."""


def run_alone(job: Job) -> JobReport:
    """Do a job in a fresh process.

    Raises:
        FramecastError: the process failed.
    """
    command = [sys.executable, "-m", "framecast.bench.child"]
    process = subprocess.run(command, input=job.model_dump_json(), capture_output=True, text=True, check=False)
    try:
        return JobReport.model_validate_json(process.stdout.splitlines()[-1])
    except (IndexError, ValidationError) as error:
        last = (process.stderr.strip().splitlines() or ["nothing"])[-1]
        title = f"{job.model} {job.task} batch {job.batch} {job.contender}, in a process of its own"
        got = f"exit code {process.returncode}: {last}"
        raise FramecastError(title, got=got, fix="is there enough memory?") from error
