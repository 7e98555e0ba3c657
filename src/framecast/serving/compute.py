"""The one thread that computes: a bounded queue in front, equal shapes together, a model that can be swapped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import torch

from framecast.forecast import Forecast
from framecast.serving.limits import Refusal, ServiceLimits
from framecast.serving.model import ServedModel
from framecast.serving.work import BatchRunner, Work


class _Job(NamedTuple):
    work: Work
    answer: Future[Forecast]


class ComputeThread:
    """What computes forecasts, one batch at a time.

    Args:
        served: the model.
        limits: of the service.
        note: called after each batch with its size and seconds.
    """

    def __init__(
        self,
        served: ServedModel,
        limits: ServiceLimits,
        note: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self._served, self._limits, self._note = served, limits, note
        self._jobs: deque[_Job] = deque()
        self._news = threading.Condition()
        self._runner, self._closed, self._seconds = BatchRunner(), False, 1.0
        self._thread = threading.Thread(target=self._work, name="framecast-compute", daemon=True)
        self._thread.start()

    @property
    def served(self) -> ServedModel:
        """The model that computes the next batch."""
        return self._served

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._jobs)

    def swap(self, served: ServedModel) -> None:
        """Compute by another model from the next batch on; what is being computed ends by the old one."""
        self._served = served

    def submit(self, work: Work) -> Future[Forecast]:
        """Queue a work.

        Raises:
            Refusal: 503, the queue is full, or the service ends.
        """
        job = _Job(work, Future())
        with self._news:
            if self._closed:
                raise Refusal(503, "the service ends", 5)
            if len(self._jobs) >= self._limits.queue:
                seconds = max(1, round(self._seconds * len(self._jobs)))
                raise Refusal(503, f"busy: {len(self._jobs)} requests wait; come again", min(seconds, 60))
            self._jobs.append(job)
            self._news.notify()
        return job.answer

    def close(self, timeout: float = 30.0) -> None:
        """Compute what waits, then end."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(timeout)

    def _take(self) -> list[_Job] | None:
        """Take the oldest job, and those of its key while the batch has room; None at the end."""
        with self._news:
            while not self._jobs and not self._closed:
                self._news.wait()
            if not self._jobs:
                return None
            first = self._jobs.popleft()
            batch, room = [first], self._limits.batch - first.work.sequences
            waiting, self._jobs = self._jobs, deque()
            for job in waiting:
                if job.work.key == first.work.key and job.work.sequences <= room:
                    batch.append(job)
                    room -= job.work.sequences
                else:
                    self._jobs.append(job)
        return batch

    def _work(self) -> None:
        torch.set_flush_denormal(False)  # as in a process that calls the model itself
        while (batch := self._take()) is not None:
            jobs = [job for job in batch if job.answer.set_running_or_notify_cancel()]
            if not jobs:
                continue
            start = time.monotonic()
            results = self._runner.run(self._served, [job.work for job in jobs])
            seconds = time.monotonic() - start
            self._seconds = 0.8 * self._seconds + 0.2 * seconds / len(jobs)
            self._note(len(jobs), seconds)
            for job, result in zip(jobs, results, strict=True):
                if isinstance(result, Exception):
                    job.answer.set_exception(result)
                else:
                    job.answer.set_result(result)
