"""One job in a process of its own: a Job as JSON on standard input, a Report as JSON on standard output."""

from __future__ import annotations

import sys

import torch

from framecast.bench.clock import timed
from framecast.bench.contender import SWITCHES, Bench, Contender, Ours, opponent
from framecast.bench.memory import Job, Report
from framecast.bench.problem import problem
from framecast.memory import peak_bytes


def work(job: Job) -> Report:
    """Do a job; with training, Adam's averages are there from the first step on, as in the middle of a training."""
    torch.set_num_threads(job.threads)
    given = problem(job.setting, job.model, job.batch)
    contender = _contender(job)
    if job.task == "train":
        contender.prime()
    call = contender.train_step if job.task == "train" else contender.predict
    times = [timed(lambda: call(given)) for _ in range(job.repeats)]
    return Report(wall=[wall for wall, _ in times], cpu=[cpu for _, cpu in times], peak=peak_bytes())


def _contender(job: Job) -> Contender:
    if job.contender in SWITCHES:
        return Ours(job.contender, Bench(job.setting, job.model), *SWITCHES[job.contender])
    return opponent(job.contender, job.setting, job.model)


if __name__ == "__main__":
    print(work(Job.model_validate_json(sys.stdin.read())).model_dump_json())
