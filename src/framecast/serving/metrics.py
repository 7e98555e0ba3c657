"""Metrics of the service, in the format of Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable

from framecast.optional_imports import require


class ServiceMetrics:
    """Counters and gauges of a service.

    Args:
        count_waiting: counts the requests that wait.
        find_age: finds the age of the newest forecast, seconds; None where there is none.
        version: of framecast.
    """

    def __init__(self, count_waiting: Callable[[], int], find_age: Callable[[], float | None], version: str) -> None:
        prometheus = require("prometheus_client", "serve", "the service")
        self._generate, self.media_type = prometheus.generate_latest, prometheus.CONTENT_TYPE_LATEST
        self._registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        prometheus.Gauge("framecast_info", "Version of framecast.", ["version"], registry=registry).labels(version).set(
            1
        )
        self._requests = prometheus.Counter(
            "framecast_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = prometheus.Histogram(
            "framecast_predict_seconds",
            "Time of /predict, from the first byte to the last.",
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )
        self._batches = prometheus.Histogram(
            "framecast_batch_size",
            "Requests that were computed together.",
            registry=registry,
            buckets=(1, 2, 4, 8, 16, 32),
        )
        self._compute = prometheus.Counter("framecast_compute_seconds", "Time of computation.", registry=registry)
        self._reloads = prometheus.Counter("framecast_reloads", "Models that were swapped in.", registry=registry)
        prometheus.Gauge("framecast_waiting", "Requests that wait.", registry=registry).set_function(count_waiting)
        age = prometheus.Gauge(
            "framecast_forecast_age_seconds", "Since the newest frame; NaN for none.", registry=registry
        )
        age.set_function(lambda: float("nan") if (found := find_age()) is None else found)

    def note_request(self, route: str, status: int) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()

    def note_prediction(self, start: float) -> None:
        """Note that a prediction was answered that began at a moment of the monotonic clock."""
        self._seconds.observe(time.monotonic() - start)

    def note_batch(self, size: int, seconds: float) -> None:
        """Note a batch."""
        self._batches.observe(size)
        self._compute.inc(seconds)

    def note_reload(self) -> None:
        """Count a swap of the model."""
        self._reloads.inc()

    def write(self) -> bytes:
        """Write all of them."""
        content: bytes = self._generate(self._registry)
        return content
