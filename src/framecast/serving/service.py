"""Service: the model, what computes by it, the newest forecast, and whether all of it is well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from framecast.errors import FramecastError
from framecast.forecasting.forecaster import Forecaster
from framecast.live.slots import parse_slot
from framecast.serving.bodies import ArrayBody
from framecast.serving.compute import ComputeThread
from framecast.serving.limits import MemoryBudget, Refusal, RequestMemory, ServiceLimits
from framecast.serving.metrics import ServiceMetrics
from framecast.serving.model import ServedModel
from framecast.serving.newest.forecast import NewestForecast, NewestReader
from framecast.serving.work import ArrayWork

STALE_STEPS = 4
"""Steps after the newest frame from which on a forecast is stale, where nobody says otherwise."""
LOOK_SECONDS = 0.2
"""Time between looks at latest.json, which cost nothing while it stays the same."""


class Service:
    """What the addresses answer from.

    Args:
        load: loads the model; called again by a reload.
        folder: that a watcher writes to; None for a service without a map.
        limits: of requests.
        max_age: seconds after which a forecast is stale; None for `STALE_STEPS` of its cadence.
        now: seconds since 1970.
        on_swap: called with the model after a reload, as by a watcher of the same process.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        folder: Path | None,
        limits: ServiceLimits,
        *,
        max_age: float | None = None,
        now: Callable[[], float] = time.time,
        on_swap: Callable[[ServedModel], None] = lambda served: None,
    ) -> None:
        self._load, self.limits, self._max_age, self._now, self._on_swap = load, limits, max_age, now, on_swap
        self.memory = MemoryBudget(limits.memory)
        self.reader = None if folder is None else NewestReader(folder)
        self.metrics = ServiceMetrics(lambda: self.compute.waiting, self.find_age, version("framecast"))
        self.compute = ComputeThread(load(), limits, self.metrics.note_batch)
        self.is_warm, self.is_ending = False, False
        self._news = asyncio.Event()

    @property
    def newest(self) -> NewestForecast | None:
        """The newest forecast."""
        return None if self.reader is None else self.reader.newest

    def demand_newest(self) -> NewestForecast:
        """Return the newest forecast.

        Raises:
            Refusal: 404 without a folder, 503 before the first one.
        """
        if self.reader is None:
            raise Refusal(404, "forecast: got a service without --watch or --out, expected one of them")
        if self.reader.newest is None:
            raise Refusal(503, "forecast: none yet, as no frame has been forecast from", 5)
        return self.reader.newest

    def find_age(self) -> float | None:
        """Find the seconds since the newest frame; None without a forecast."""
        newest = self.newest
        if newest is None:
            return None
        reference = parse_slot(newest.latest["reference_time"]).astype("datetime64[ms]").astype(np.int64)
        return self._now() - float(reference) / 1000

    def is_stale(self) -> bool:
        """Whether the newest forecast is too old."""
        age, newest = self.find_age(), self.newest
        if age is None or newest is None:
            return False
        return age > (self._max_age or STALE_STEPS * 60 * newest.latest["step_minutes"])

    def describe_health(self) -> tuple[int, dict[str, Any]]:
        """Describe the health: status of HTTP, and what /health says."""
        age = self.find_age()
        waits_for_frames = self.reader is not None and age is None
        said = (
            "warming up" if not self.is_warm else "ending" if self.is_ending else "stale" if self.is_stale() else "ok"
        )
        said = "no forecast yet" if said == "ok" and waits_for_frames else said
        content = {"status": said, "waiting": self.compute.waiting, "age_seconds": None if age is None else round(age)}
        return (200 if said == "ok" else 503), content

    def warm_up(self) -> None:
        """Compute a first forecast, so that no client waits for what happens once."""
        model = self.compute.served.model
        spec = model.spec if isinstance(model, Forecaster) else None
        shape = (3, 1, 16, 16) if spec is None else (1, spec.channels, spec.height, spec.width)
        if spec is None or not spec.covariates:
            frames = np.zeros(shape, np.float32) if spec is None else np.full(shape, spec.low, np.float32)
            work = ArrayWork(ArrayBody("npy", frames), "1", self.limits, RequestMemory(self.memory))
            try:
                self.compute.submit(work).result(timeout=600)
            except (FramecastError, Refusal):
                pass  # as a network that takes no such frames
            finally:
                work.memory.release()
        self.is_warm = True

    def reload(self) -> dict[str, Any]:
        """Load the model again, and compute by it from the next batch on; return what /model says.

        Raises:
            FramecastError: it cannot be loaded, or takes other frames than the loop gives; the old one stays.
        """
        served = self._load()
        self._on_swap(served)
        self.compute.swap(served)
        self.metrics.note_reload()
        return served.describe()

    async def look(self) -> None:
        """Look for a new forecast again and again."""
        while self.reader is not None:
            if await asyncio.to_thread(self.reader.refresh):
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(LOOK_SECONDS)

    async def wait_for_news(self, seconds: float) -> bool:
        """Wait for a new forecast, at most so long; return whether one came."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        return True
