"""Scores of the probability of an event, the share of members that have it: Brier and its parts, ROC, economic value.

All are closed from one table: for each class of probability the number of forecasts, the sum of their probabilities,
and how often the event came.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, final

import torch
from jaxtyping import Float64
from torch import Tensor

from framecast.metrics.base import Members, Metric, ScoreValues, Statistics, Sums
from framecast.metrics.categorical import name_at_threshold, scale_threshold
from framecast.metrics.ensemble.members import MemberFrame, SeenFrame, TrueFrame, keep_nan, score_leads, sum_frame
from framecast.types import Frames, Valid

MOST_CLASSES = 51
"""Classes of probability, at most."""


class Diagram(NamedTuple):
    """Reliability diagram by lead time, (K, classes) each; NaN where a class has no forecast."""

    probability: Float64[Tensor, "T S"]
    """Mean probability that was forecast."""
    frequency: Float64[Tensor, "T S"]
    """How often the event came then, 0 to 1: the same number, if the forecast is reliable."""
    cases: Float64[Tensor, "T S"]
    """Number of pixels."""


class EventTable:
    """Statistics that the scores of an event share, and what is read from their sums.

    Args:
        threshold: an event is a value >= threshold, on the scale [0, 1].
        classes: of probability; with M + 1 each probability of M members has one.
    """

    def __init__(self, threshold: float, classes: int) -> None:
        self.threshold, self.classes, self.size = threshold, classes, 3 * classes + 2

    def tabulate(self, members: MemberFrame, truth: TrueFrame, seen: SeenFrame) -> Tensor:
        """Tabulate a frame: counts, sums of probabilities, events by class; then squared error, its excess."""
        count = members.shape[1]
        probability = (members >= self.threshold).double().mean(1)
        event = (truth >= self.threshold).double()
        index = (probability * self.classes).long().clamp(0, self.classes - 1).flatten(1)
        parts = [
            truth.new_zeros(len(truth), self.classes).scatter_add(1, index, torch.where(seen, part, 0.0).flatten(1))
            for part in (torch.ones_like(event), probability, event)
        ]
        error = torch.where(seen, (probability - event).square(), 0.0)
        excess = torch.where(seen, probability * (1 - probability) / max(count - 1, 1), 0.0)
        table = torch.cat([*parts, sum_frame(error)[:, None], sum_frame(excess)[:, None]], 1)
        return keep_nan(table, members)

    def divide(self, sums: Sums) -> Diagram:
        """Divide the sums into the diagram."""
        count, probability, events = self._split(sums)
        return Diagram(probability / count, events / count, count)

    def decompose(self, sums: Sums) -> tuple[Tensor, Tensor, Tensor]:
        """Decompose the Brier score: reliability, resolution, uncertainty, (K,) each."""
        count, _, events = self._split(sums)
        total = count.sum(-1)
        base = events.sum(-1) / total
        filled = count > 0
        diagram = self.divide(sums)
        reliability = torch.where(filled, count * (diagram.probability - diagram.frequency).square(), 0.0).sum(-1)
        resolution = torch.where(filled, count * (diagram.frequency - base[:, None]).square(), 0.0).sum(-1)
        return reliability / total, resolution / total, base * (1 - base)

    def rates(self, sums: Sums) -> tuple[Tensor, Tensor]:
        """Compute rates of hits and of false alarms of acting from each class of probability on, (K, classes + 1).

        The first acts never, the last always.
        """
        count, _, events = self._split(sums)
        hits, alarms = (part.flip(-1).cumsum(-1) for part in (events, count - events))
        start = hits.new_zeros(len(hits), 1)
        return tuple(torch.cat([start, part / part[:, -1:]], -1) for part in (hits, alarms))  # type: ignore[return-value]

    def _split(self, sums: Sums) -> tuple[Tensor, Tensor, Tensor]:
        first, second, third = sums[:, : 3 * self.classes].unflatten(-1, (3, self.classes)).unbind(1)
        return first, second, third


class EventScore(Metric):
    """Score of the probability of an event.

    Args:
        threshold: an event is a value >= threshold; raw units of the data.
        low: lower end of the value range, raw units.
        high: upper end of the value range, raw units.
        members: M, which decides the classes of probability.

    Raises:
        UsageError: unless low < threshold <= high.
    """

    unit = "1"
    of_members = True
    base: str

    def __init__(self, threshold: float, low: float = 0.0, high: float = 1.0, *, members: int = 20) -> None:
        self.name = name_at_threshold(self.base, threshold)
        self.table = EventTable(scale_threshold(threshold, low, high), min(members + 1, MOST_CLASSES))
        self.size = self.table.size
        self.shared = f"event table of {self.table.threshold!r}, {self.table.classes}"

    def statistics(self, prediction: Members, truth: Frames, valid: Valid | None) -> Statistics:
        """Table of the event: by class counts, probabilities, events; squared error, its excess by few members."""
        return score_leads(self.table.tabulate, prediction, truth, valid)

    @abstractmethod
    def close(self, sums: Sums) -> ScoreValues:
        """Close the table."""


def _count(table: EventTable, sums: Sums) -> Tensor:
    return sums[:, : table.classes].sum(-1)


@final
class Brier(EventScore):
    """Brier score: mean of (p - o)^2, p the share of members with the event, o 1 where it came. 0..1; less is better.

    Source: Brier 1950, Monthly Weather Review 78.
    """

    base = "brier"
    better = "less"
    perfect = 0.0

    def close(self, sums: Sums) -> ScoreValues:
        """Mean squared error of the probabilities."""
        return sums[:, -2] / _count(self.table, sums)


@final
class FairBrier(EventScore):
    """Fair Brier score: mean of (p - o)^2 - p (1 - p) / (M - 1), that of infinitely many members. Less is better.

    Source: Ferro 2014, Q. J. R. Meteorol. Soc. 140.
    """

    base = "brier_fair"
    better = "less"
    perfect = 0.0

    def close(self, sums: Sums) -> ScoreValues:
        """Mean squared error of the probabilities, less what few members add."""
        return (sums[:, -2] - sums[:, -1]) / _count(self.table, sums)


@final
class BrierReliability(EventScore):
    """Reliability part of the Brier score: mean of (p - frequency of the event at this p)^2. Less is better.

    brier = brier_reliability - brier_resolution + brier_uncertainty.

    Source: Murphy 1973, J. Appl. Meteorol. 12.
    """

    base = "brier_reliability"
    better = "less"
    perfect = 0.0

    def close(self, sums: Sums) -> ScoreValues:
        """Squared distance of the diagram from its diagonal."""
        return self.table.decompose(sums)[0]


@final
class BrierResolution(EventScore):
    """Resolution part of the Brier score: how far frequencies at each p lie from that of all. More is better.

    Source: Murphy 1973, J. Appl. Meteorol. 12.
    """

    base = "brier_resolution"
    better = "more"

    def close(self, sums: Sums) -> ScoreValues:
        """Squared distance of the diagram from the frequency of the event."""
        return self.table.decompose(sums)[1]


@final
class BrierUncertainty(EventScore):
    """Uncertainty part of the Brier score: s (1 - s), s the frequency of the event; the same for all forecasts.

    Source: Murphy 1973, J. Appl. Meteorol. 12.
    """

    base = "brier_uncertainty"
    better = "less"

    def close(self, sums: Sums) -> ScoreValues:
        """Variance of the event."""
        return self.table.decompose(sums)[2]


@final
class ROCArea(EventScore):
    """Area under the relative operating characteristic: hit rate over false alarm rate. 0.5 is chance; more is better.

    It does not see whether probabilities are reliable, only whether they are higher when the event comes.

    Source: Mason 1982, Aust. Meteorol. Mag. 30; Wilks 2019, ch. 9.
    """

    base = "roc"
    better = "more"
    perfect = 1.0

    def close(self, sums: Sums) -> ScoreValues:
        """Area below the straight lines between the points."""
        hits, alarms = self.table.rates(sums)
        return (alarms.diff(dim=-1) * (hits[:, 1:] + hits[:, :-1]) / 2).sum(-1)


COST = 0.2
"""Cost of protection over the loss that it averts, of the score `value`."""


@final
class EconomicValue(EventScore):
    """Economic value of acting where p >= cost / loss: 1 saves as much as foresight, 0 no more than a fixed habit.

    Of whom protection costs a fifth of the loss that it averts; `curve` gives it for any ratio. More is better.

    Source: Richardson 2000, Q. J. R. Meteorol. Soc. 126.
    """

    base = "value"
    better = "more"
    perfect = 1.0

    def close(self, sums: Sums) -> ScoreValues:
        """Value at the usual ratio."""
        return self.curve(sums, torch.tensor([COST], dtype=sums.dtype, device=sums.device))[:, 0]

    def curve(self, sums: Sums, ratios: Float64[Tensor, " R"]) -> Float64[Tensor, "T R"]:
        """Value by lead time for each ratio of cost to loss, (K, R)."""
        diagram, total = self.table.divide(sums), _count(self.table, sums)[:, None]
        events = torch.where(diagram.cases > 0, diagram.frequency * diagram.cases, 0.0)[:, None]
        # at the edge of a class its probabilities are rounded sums
        acts = (diagram.probability[:, None] >= ratios[:, None] - 1e-9).double()
        acted, missed = (acts * diagram.cases[:, None]).sum(-1), ((1 - acts) * events).sum(-1)
        expense = (ratios * acted + missed) / total
        base = events.sum(-1) / total
        habit, foresight = torch.minimum(ratios, base), ratios * base
        return torch.where(habit > foresight, (habit - expense) / (habit - foresight), torch.nan)
