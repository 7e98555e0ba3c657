"""Accuracy and speed of the forms of one model: framecast's fast kernels, direct convolutions, onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast import kernels, runtime
from framecast.bench.ratios import rotate
from framecast.bench.tables import Sheet
from framecast.bench.timing import time_call, using_threads
from framecast.export.onnx_file import export_onnx
from framecast.forecasting.forecaster import Forecaster

FRAMES = 10
"""Frames in, and frames out."""
FORMS = ("direct", "fast kernels", "onnxruntime")
"""Forms; differences are to the first, ratios of time to the second."""

Forecasting = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def measure_formats(forecaster: Forecaster, size: int, *, rounds: int = 5) -> dict[str, Any]:
    """Measure one forecast of each form, 10 frames from 10, batch 1, one thread, in turns.

    Args:
        forecaster: the model.
        size: rows and columns of the frames.
        rounds: how often each is timed, after one untimed call.

    Returns:
        size and, by form, CPU milliseconds a step (least and median) and the largest difference to the direct form, in
        shares of the value range.
    """
    spec = forecaster.spec
    frames = np.random.default_rng(0).uniform(spec.low, spec.high, (1, FRAMES, spec.channels, size, size))
    given = frames.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, using_threads(1):
        exported = runtime.load(export_onnx(forecaster, Path(folder) / "model.onnx"), threads=1)
        forms: dict[str, Forecasting] = {
            "direct": partial(_predict, forecaster, "highest"),
            "fast kernels": partial(_predict, forecaster, "auto"),
            "onnxruntime": partial(exported.predict, horizon=FRAMES),
        }
        forecasts = {name: forms[name](given) for name in FORMS}
        times: dict[str, list[float]] = {name: [] for name in FORMS}
        for number in range(rounds):
            for name in rotate(FORMS, number):
                times[name].append(time_call(partial(forms[name], given))[1])
    steps, span = 2 * FRAMES - 1, spec.high - spec.low
    return {
        "size": size,
        "forms": {
            name: {
                "least_ms": 1e3 * min(times[name]) / steps,
                "median_ms": 1e3 * median(times[name]) / steps,
                "difference": float(np.abs(forecasts[name] - forecasts["direct"]).max() / span),
            }
            for name in FORMS
        },
    }


def _predict(forecaster: Forecaster, precision: str, frames: NDArray[np.float32]) -> NDArray[np.float32]:
    before = kernels.get_precision()
    kernels.set_precision(precision)
    try:
        predicted: NDArray[np.float32] = forecaster.predict(frames, FRAMES)
    finally:
        kernels.set_precision(before)
    return predicted


def tabulate_formats(name: str, results: Sequence[dict[str, Any]]) -> Sheet:
    """Tabulate what `measure_formats` gave for some sizes."""
    rows: list[tuple[str, ...]] = []
    for result in results:
        reference = result["forms"]["fast kernels"]["median_ms"]
        for form, found in result["forms"].items():
            times = f"{found['least_ms']:.1f} / {found['median_ms']:.1f}"
            ratio = f"{found['median_ms'] / reference:.2f}"
            rows.append((f"{result['size']} x {result['size']}", form, times, ratio, f"{found['difference']:.1e}"))
    columns = ("frames", "form", "CPU ms a step", "of fast kernels", "largest difference")
    notes = (
        f"{FRAMES} frames from {FRAMES}, batch 1, one thread, in turns; least / median of the rounds. Differences to the "
        "direct form, shares of the value range.",
    )
    return Sheet(f"Forms of {name}", columns, rows, notes)
