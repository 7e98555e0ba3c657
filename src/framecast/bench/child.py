"""Process of one job: a Job as JSON on standard input, a JobReport as JSON on standard output."""

from __future__ import annotations

import sys

from framecast.bench.implementations import (
    SWITCHES,
    FramecastImplementation,
    Implementation,
    SharedTraining,
    make_opponent,
)
from framecast.bench.peak_memory import Job, JobReport
from framecast.bench.timing import time_call
from framecast.bench.workload import make_workload
from framecast.devices import flush_subnormals, limit_threads
from framecast.memory_usage import peak_bytes


def do_job(job: Job) -> JobReport:
    """Do a job and report its times and peak memory.

    In training, Adam's averages are allocated before the first step, as they are in the middle of a training.
    """
    flush_subnormals()
    limit_threads(job.threads)
    workload = make_workload(job.setting, job.model, job.batch)
    implementation = _make_implementation(job)
    if job.task == "train":
        implementation.prime()
    compute = implementation.train_step if job.task == "train" else implementation.predict
    times = [time_call(lambda: compute(workload)) for _ in range(job.repeats)]
    return JobReport(wall=[wall for wall, _ in times], cpu=[cpu for _, cpu in times], peak=peak_bytes())


def _make_implementation(job: Job) -> Implementation:
    if job.contender in SWITCHES:
        return FramecastImplementation(job.contender, SharedTraining(job.setting, job.model), *SWITCHES[job.contender])
    return make_opponent(job.contender, job.setting, job.model)


if __name__ == "__main__":
    print(do_job(Job.model_validate_json(sys.stdin.read())).model_dump_json())
