"""Which detail is lost, and when? Radial spectra of prediction and truth, and the error, by lead time.

A network that minimises a squared error blurs what it cannot know: power is lost at short wavelengths first, and more
with lead time. The spectrum is that of the metric `framecast.metrics.rapsd.RAPSD`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.analysis.trace import Floats
from framecast.data import DataSet
from framecast.data.units import has_mixed_units
from framecast.errors import UsageError
from framecast.evaluation.evaluate import evaluate
from framecast.forecasting.predictor import Predictor
from framecast.metrics import select_metrics
from framecast.metrics.rapsd import RAPSD
from framecast.plotting import panels
from framecast.plotting.scores import Spectra, draw_spectra


class Frequency(NamedTuple):
    """Spectra by lead time; R wavelengths."""

    wavelength: Floats
    """(R,), pixels, longest first."""
    predicted: Floats
    """(K, R), mean power of the predictions, range²."""
    truth: Floats
    """(K, R), mean power of the frames that came, range²."""
    mse: Floats
    """(K,), range²."""
    distance: Floats
    """(K,), log spectral distance, dB."""


def measure_frequency(
    predictor: Predictor, dataset: DataSet, split: str, *, batch_size: int = 8, limit: int | None = None
) -> Frequency:
    """Score spectra and errors of forecasts.

    Args:
        predictor: a network, a baseline or any other.
        dataset: windows.
        split: "train", "val" or "test".
        batch_size: sequences at a time.
        limit: how many windows; None for all.

    Raises:
        UsageError: frames of fewer than 3 pixels, or targets of different units, which share no spectrum.
    """
    if has_mixed_units(dataset.spec, dataset.grid):
        fix = "framecast evaluate RUN --metrics rmse,rapsd scores them one by one"
        raise UsageError("frequency", got="targets of different units", expected="targets of one unit", fix=fix)
    metrics = select_metrics(("mse", "rapsd"), spec=dataset.spec)
    scores = evaluate(
        predictor,
        dataset,
        split,
        metrics,
        context=dataset.context,
        horizon=dataset.horizon,
        batch_size=batch_size,
        limit=limit,
        keep=True,
    )
    spectral = next(metric for metric in metrics if isinstance(metric, RAPSD))
    sums = next(rows.sum(0) for metric, rows in scores.by_sequence() if metric is spectral)
    predicted, truth = (power[:, 1:].numpy() for power in spectral.spectra(sums))
    by_lead = scores.by_lead()
    return Frequency(
        np.array(spectral.wavelengths), predicted, truth, np.array(by_lead["mse"]), np.array(by_lead["rapsd"])
    )


def summarise(frequency: Frequency) -> dict[str, float]:
    """Power of the shorter half of the wavelengths over the truth's, at the first and the last lead time."""
    ratio = _compute_short_wave_ratio(frequency)
    return {"short waves left at the first lead time": float(ratio[0]), "at the last": float(ratio[-1])}


def draw(folder: Path, runs: Mapping[str, Frequency], context: int) -> None:
    """Draw spectra of all runs at three lead times, errors, and the power left at short waves; no use of `context`."""
    first = next(iter(runs.values()))
    groups = _group_by_truth(runs)
    for group in groups:
        prefix = f"{next(iter(group))}-" if len(groups) > 1 else ""
        _draw_spectra(folder / f"{prefix}spectra.png", group)
    curves = (
        ("error", "mse, range²", {name: frequency.mse for name, frequency in runs.items()}),
        ("spectral distance", "dB", {name: frequency.distance for name, frequency in runs.items()}),
        (
            "short waves that are left",
            "power over the truth's",
            {name: _compute_short_wave_ratio(frequency) for name, frequency in runs.items()},
        ),
    )
    row = [panels.Panel(title, "lead time, frames", unit, _make_lines(values)) for title, unit, values in curves]
    panels.draw_panels(
        folder / "frequency.png", [row], f"Short waves: below {first.wavelength[len(first.wavelength) // 2]:.3g} pixels"
    )


def _group_by_truth(runs: Mapping[str, Frequency]) -> list[dict[str, Frequency]]:
    """Runs that were studied on the same frames share a plot, where their truth is one line."""
    groups: dict[bytes, dict[str, Frequency]] = {}
    for name, frequency in runs.items():
        groups.setdefault(frequency.truth.tobytes(), {})[name] = frequency
    return list(groups.values())


def _draw_spectra(path: Path, runs: Mapping[str, Frequency]) -> None:
    first = next(iter(runs.values()))
    horizon = len(first.mse)
    pictures = [
        Spectra(
            f"lead time +{lead + 1} frames",
            first.truth[lead].tolist(),
            {name: frequency.predicted[lead].tolist() for name, frequency in runs.items()},
        )
        for lead in sorted({0, (horizon - 1) // 2, horizon - 1})
    ]
    note = "Below the truth: smoothed away; above: too rough"
    draw_spectra(path, first.wavelength.tolist(), pictures, "range²", note)


def _make_lines(values: Mapping[str, Floats]) -> list[panels.PanelLine]:
    return [
        panels.PanelLine(name, np.arange(1, len(curve) + 1), curve, colour)
        for colour, (name, curve) in enumerate(values.items())
    ]


def _compute_short_wave_ratio(frequency: Frequency) -> Floats:
    """(K,), power of the shorter half of the wavelengths over the truth's."""
    half = len(frequency.wavelength) // 2
    ratio: Floats = frequency.predicted[:, half:].sum(1) / frequency.truth[:, half:].sum(1)
    return ratio
