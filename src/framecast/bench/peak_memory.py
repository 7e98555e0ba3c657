"""Peak memory, in a process of its own: what one measurement freed would hide what the next one takes."""

from __future__ import annotations

import subprocess
import sys

from pydantic import BaseModel, ConfigDict, ValidationError

from framecast.bench.settings import Setting, Task
from framecast.errors import FramecastError

PROCESSES = 3


class Job(BaseModel):
    """What the process is to do.

    Args:
        setting: sizes.
        model: which network.
        task: train or inference.
        batch: sequences at a time.
        contender: one of framecast's own, or an import path.
        threads: of torch.
        repeats: how often it is done; each is timed.
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
    """What the process found."""

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
    said = [sys.executable, "-m", "framecast.bench.child"]
    done = subprocess.run(said, input=job.model_dump_json(), capture_output=True, text=True, check=False)
    try:
        return JobReport.model_validate_json(done.stdout.splitlines()[-1])
    except (IndexError, ValidationError) as error:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        what = f"{job.model} {job.task} batch {job.batch} {job.contender}, in a process of its own"
        raise FramecastError(what, got=f"exit code {done.returncode}: {last}", fix="is there enough memory?") from error
