"""Totals of scores: statistics of forecasts by day, added up in one order, and as text that gives back every bit."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.errors import InputError
from framecast.metrics import Metric, Scores

Totals = dict[str, dict[str, Tensor]]
"""{forecast: {day: (K, 2 + all S) statistics}}, days as in 2016-09-28."""


def add_rows(totals: Totals, name: str, days: Sequence[str], rows: Float64[Tensor, "N K S"]) -> None:
    """Add the statistics of forecasts, in their order, to the totals of their days, in place.

    Args:
        totals: so far.
        name: of the forecast.
        days: of each row.
        rows: as `Scores.rows` holds them.
    """
    by_day = totals.setdefault(name, {})
    for day, row in zip(days, rows.cpu(), strict=True):
        by_day[day] = by_day[day] + row if day in by_day else row


def add_totals(totals: Totals, more: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Add other totals, in place; the order of additions decides the last bit."""
    for name, days in more.items():
        for day, sums in days.items():
            add_rows(totals, name, [day], sums[None])


def pack_totals(totals: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, str]]:
    """Turn totals into texts, of 64-bit floats, little end first."""
    return {
        name: {day: base64.b64encode(sums.numpy().astype("<f8").tobytes()).decode() for day, sums in days.items()}
        for name, days in totals.items()
    }


def unpack_totals(packed: Mapping[str, Mapping[str, str]], horizon: int, metrics: Sequence[Metric]) -> Totals:
    """Turn texts into totals.

    Args:
        packed: as `pack_totals` gives them.
        horizon: K.
        metrics: of the columns.

    Raises:
        InputError: no totals of these metrics and lead times.
    """
    columns = 2 + sum(metric.size for metric in metrics)
    totals: Totals = {}
    for name, days in packed.items():
        totals[name] = {}
        for day, text in days.items():
            values = np.frombuffer(base64.b64decode(text), "<f8")
            if values.size != horizon * columns:
                raise InputError(f"totals of {name}, {day}", got=values.size, expected=f"{horizon} x {columns} numbers")
            totals[name][day] = torch.from_numpy(values.reshape(horizon, columns).copy())
    return totals


def make_scores(totals: Totals, metrics: Sequence[Metric], horizon: int) -> dict[str, Scores]:
    """Make scores whose rows are days, in their order, so that intervals are drawn of whole days.

    Args:
        totals: of one day or more.
        metrics: of the columns.
        horizon: K.
    """
    return {
        name: Scores.from_rows(metrics, horizon, torch.stack([days[day] for day in sorted(days)]))
        for name, days in totals.items()
    }
