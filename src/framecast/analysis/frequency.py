"""Which detail is lost, and when? Radial spectra of prediction and truth, and the error, by lead time.

A network that minimises a squared error blurs what it cannot know: power is lost at short wavelengths first, and more
with lead time. The spectrum is that of the metric `rapsd`, which says how it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framecast.analysis.trace import Counts, Floats
from framecast.data import DataSet
from framecast.data.units import has_mixed_units
from framecast.errors import UsageError
from framecast.evaluation.evaluate import Predictor, evaluate
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
    """(K, R), of what came."""
    mse: Floats
    """(K,), range²."""
    distance: Floats
    """(K,), log spectral distance, dB."""


def measure_frequency(
    predictor: Predictor, dataset: DataSet, split: str, *, batch_size: int = 8, limit: int | None = None
) -> Frequency:
    """Score spectra and errors of forecasts.

    Args:
        predictor: a Forecaster or a baseline.
        dataset: windows.
        split: "train", "val" or "test".
        batch_size: sequences at a time.
        limit: how many windows; None for all.

    Raises:
        UsageError: frames of fewer than 3 pixels, or targets of different units, which share no spectrum.
    """
    if has_mixed_units(dataset.spec, dataset.grid):
        fix = "framecast evaluate --metrics rmse,rapsd scores them one by one"
        raise UsageError("frequency", got="targets of different units", expected="targets of one unit", fix=fix)
    asked = select_metrics(("mse", "rapsd"), spec=dataset.spec)
    scores = evaluate(
        predictor,
        dataset,
        split,
        asked,
        context=dataset.context,
        horizon=dataset.horizon,
        batch_size=batch_size,
        limit=limit,
        keep=True,
    )
    spectral = next(metric for metric in asked if isinstance(metric, RAPSD))
    sums = next(rows.sum(0) for metric, rows in scores.by_sequence() if metric is spectral)
    predicted, truth = (power[:, 1:].numpy() for power in spectral.spectra(sums))
    by_lead = scores.by_lead()
    return Frequency(
        np.array(spectral.wavelengths), predicted, truth, np.array(by_lead["mse"]), np.array(by_lead["rapsd"])
    )


def summarise(found: Frequency) -> dict[str, float]:
    """The power of the shorter half of the wavelengths over the truth's, at the first and the last lead time."""
    left = _short(found)
    return {"short waves left at the first lead time": float(left[0]), "at the last": float(left[-1])}


def draw(folder: Path, found: Mapping[str, Frequency], context: int) -> None:
    """Draw spectra of all runs at three lead times, what is left of each wavelength, and errors; no use of `context`."""
    first = next(iter(found.values()))
    horizon = len(first.mse)
    groups = _alike(found)
    for group in groups:
        prefix = f"{next(iter(group))}-" if len(groups) > 1 else ""
        _draw_spectra(folder / f"{prefix}spectra.png", group)
    leads = np.arange(1, horizon + 1, dtype=np.int64)
    rows = [
        [
            panels.Panel(
                title, "lead time, frames", unit, _lines(leads, {n: getattr(one, field) for n, one in found.items()})
            )
            for title, unit, field in (("error", "mse, range²", "mse"), ("spectral distance", "dB", "distance"))
        ]
        + [
            panels.Panel(
                "short waves that are left",
                "lead time, frames",
                "power over the truth's",
                _lines(leads, {n: _short(one) for n, one in found.items()}),
            )
        ]
    ]
    panels.draw_panels(
        folder / "frequency.png", rows, f"Short waves: below {first.wavelength[len(first.wavelength) // 2]:.3g} pixels"
    )


def _alike(found: Mapping[str, Frequency]) -> list[dict[str, Frequency]]:
    """Runs that were studied on the same frames together: their truth is one line."""
    groups: dict[bytes, dict[str, Frequency]] = {}
    for name, one in found.items():
        groups.setdefault(one.truth.tobytes(), {})[name] = one
    return list(groups.values())


def _draw_spectra(path: Path, found: Mapping[str, Frequency]) -> None:
    first = next(iter(found.values()))
    horizon = len(first.mse)
    pictures = [
        Spectra(
            f"lead time +{lead + 1} frames",
            first.truth[lead].tolist(),
            {name: one.predicted[lead].tolist() for name, one in found.items()},
        )
        for lead in sorted({0, (horizon - 1) // 2, horizon - 1})
    ]
    note = "Below the truth: smoothed away; above: too rough"
    draw_spectra(path, first.wavelength.tolist(), pictures, "range²", note)


def _lines(leads: Counts, values: Mapping[str, Floats]) -> list[panels.PanelLine]:
    return [panels.PanelLine(name, leads, curve, place) for place, (name, curve) in enumerate(values.items())]


def _short(one: Frequency) -> Floats:
    half = len(one.wavelength) // 2
    left: Floats = one.predicted[:, half:].sum(1) / one.truth[:, half:].sum(1)
    return left
