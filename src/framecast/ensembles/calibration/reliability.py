"""Reliability of probabilities: how often an event really comes at each share of members, by lead time."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from framecast.metrics.base import Sums
from framecast.metrics.ensemble.probabilities import EventTable
from framecast.types import Finite

Share = Annotated[float, Field(ge=0, le=1)]
Row = Annotated[tuple[Share, ...], Field(min_length=2, max_length=64)]


class EventReliability(BaseModel):
    """Frequencies of one event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Finite
    """Raw units."""
    frequency: Annotated[tuple[Row, ...], Field(min_length=1, max_length=4096)]
    """By lead time, at the shares of `Reliability.shares`, never falling."""


class Reliability(BaseModel):
    """Isotonic calibration of probabilities of exceeding thresholds, by lead time.

    It turns shares of members into how often the event came then in the windows that it was fitted on. Thresholds that
    were not fitted stay as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: Row
    """Shares of members."""
    events: Annotated[tuple[EventReliability, ...], Field(max_length=64)]

    @model_validator(mode="after")
    def _check(self) -> Reliability:
        rows = [row for event in self.events for row in event.frequency]
        if any(len(row) != len(self.shares) or list(row) != sorted(row) for row in rows):
            raise ValueError("frequencies that fall, or are not one for each share")
        return self

    def calibrate(self, probability: Tensor, threshold: float, lead: int) -> Tensor:
        """Calibrate shares of members of any shape at a lead time, 0 first; after the last fitted one as at that."""
        for event in self.events:
            if event.threshold == threshold:
                row = event.frequency[min(lead, len(event.frequency) - 1)]
                values = np.interp(probability.double().numpy(), self.shares, row)
                return torch.from_numpy(np.asarray(values)).to(probability.dtype)
        return probability


def fit_event(threshold: float, table: EventTable, sums: Sums) -> EventReliability:
    """Fit the frequencies of an event from its table, which `brier` and the other scores of probabilities keep.

    Args:
        threshold: of the event, raw units.
        table: made for M members, so that each share of members is a class.
        sums: (K, S), statistics summed over sequences.
    """
    diagram = table.divide(sums)
    shares = np.linspace(0, 1, table.classes)
    rows = []
    for frequency, count in zip(diagram.frequency.numpy(), diagram.cases.numpy(), strict=True):
        there = count > 0
        fitted = fit_isotonic(frequency[there], count[there]) if there.any() else shares
        # a class that never came lies between its neighbours; rounding may not make it fall
        row = np.interp(shares, shares[there] if there.any() else shares, fitted)
        rows.append(tuple(float(value) for value in np.maximum.accumulate(row.round(5)).clip(0, 1)))
    return EventReliability(threshold=threshold, frequency=tuple(rows))


def fit_isotonic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the never falling sequence with the least weighted squared distance: neighbours that fall are pooled.

    Args:
        values: (N,).
        weights: (N,), above 0.

    Source: Ayer et al. 1955, Ann. Math. Stat. 26 (pool adjacent violators).
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (first, w1, n1), (second, w2, n2) = blocks[-2:]
            blocks[-2:] = [((first * w1 + second * w2) / (w1 + w2), w1 + w2, n1 + n2)]
    return np.concatenate([np.full(count, value) for value, _, count in blocks])
