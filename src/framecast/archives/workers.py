"""Who does the tasks of a hindcast: this process, or workers of Dask, which may die and come back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from framecast.archives.plan import HindcastTask
from framecast.archives.tasks import HindcastJob, run_task
from framecast.errors import UsageError
from framecast.optional_imports import require

AHEAD = 3
"""Tasks that are sent to the scheduler for each worker: one to do and two to begin with at once; all would fill it."""
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1)
"""Environment of workers of this machine. Dask's own also limits what malloc keeps, so that the system clears the memory
of each tensor anew: half as much processor time again."""
DEATHS = 20
"""Workers that may die at one task before it counts as the task's fault."""


def run_here(job: HindcastJob, tasks: Sequence[HindcastTask]) -> Iterator[str]:
    """Do tasks one after another in this process; give the name of each as it ends."""
    for task in tasks:
        yield run_task(job, task)


def run_on_dask(job: HindcastJob, tasks: Sequence[HindcastTask], client: Any) -> Iterator[str]:
    """Do tasks on the workers of a Dask client; give the name of each as it ends, in whatever order.

    Args:
        job: what they have in common.
        tasks: to be done.
        client: of `open_client`.

    Raises:
        UsageError: one task killed its workers again and again.
    """
    distributed = require("distributed", "dask", "--dask")
    remaining = iter(tasks)
    workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    futures = [_submit(client, job, task) for task in itertools.islice(remaining, AHEAD * workers)]
    running = distributed.as_completed(futures)
    for future in running:
        try:
            name = future.result()
        except distributed.scheduler.KilledWorker as error:
            fix = "give workers more memory, or take a smaller --batch-size"
            raise UsageError("task", got=str(error), expected="a worker that lives through it", fix=fix) from error
        running.update([_submit(client, job, task) for task in itertools.islice(remaining, 1)])
        yield name


def _submit(client: Any, job: HindcastJob, task: HindcastTask) -> Any:
    return client.submit(run_task, job, task, key=f"hindcast-{job.key}-{task.name}", pure=False)


@contextmanager
def open_client(where: str) -> Iterator[Any]:
    """Open a client of Dask.

    Args:
        where: "local:N" for N processes of this machine, which end with it; or the address of a scheduler.

    Raises:
        UsageError: no such address, no number of workers, or Dask is not installed.
    """
    distributed = require("distributed", "dask", "--dask")
    kind, _, count = where.partition(":")
    if kind == "local" and not (count.isdigit() and int(count) > 0):
        raise UsageError("--dask", got=where, expected="local:N, as in local:2, or the address of a scheduler")
    import dask

    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.logging.distributed": "error",
        "distributed.nanny.pre-spawn-environ": THREADS,
    }
    with dask.config.set(settings):
        if kind == "local":
            cluster = distributed.LocalCluster(
                n_workers=int(count), threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
            )
            with cluster, distributed.Client(cluster) as client:
                yield client
            return
        try:
            client = distributed.Client(where, timeout=20)
        except (OSError, ValueError) as error:
            raise UsageError("--dask", got=f"{where}: {error}", expected="local:N, or a scheduler's address") from error
        with client:
            yield client
