"""One job in a process of its own: a Job as JSON on standard input, a Report as JSON on standard output."""

from __future__ import annotations

import sys

import torch

from framecast.bench.implementations import SWITCHES, Implementation, OwnImplementation, SharedTraining, make_opponent
from framecast.bench.peak_memory import Job, JobReport
from framecast.bench.timing import time_call
from framecast.bench.workload import make_workload
from framecast.memory_usage import peak_bytes


def do_job(job: Job) -> JobReport:
    """Do a job; with training, Adam's averages are there from the first step on, as in the middle of a training."""
    torch.set_num_threads(job.threads)
    given = make_workload(job.setting, job.model, job.batch)
    contender = _contender(job)
    if job.task == "train":
        contender.prime()
    call = contender.train_step if job.task == "train" else contender.predict
    times = [time_call(lambda: call(given)) for _ in range(job.repeats)]
    return JobReport(wall=[wall for wall, _ in times], cpu=[cpu for _, cpu in times], peak=peak_bytes())


def _contender(job: Job) -> Implementation:
    if job.contender in SWITCHES:
        return OwnImplementation(job.contender, SharedTraining(job.setting, job.model), *SWITCHES[job.contender])
    return make_opponent(job.contender, job.setting, job.model)


if __name__ == "__main__":
    print(do_job(Job.model_validate_json(sys.stdin.read())).model_dump_json())
