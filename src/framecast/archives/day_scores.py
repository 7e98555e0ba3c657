"""Scores of forecasts over many days: means with intervals from resampled days, the verdict, tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rich.console import Console

from framecast.evaluation.labelled_scores import add_samples, make_dataframe, make_dataset
from framecast.evaluation.scoreboard import REFERENCES
from framecast.evaluation.tables import print_by_lead, print_means, print_skill
from framecast.evaluation.verdict import judge
from framecast.json_files import json_safe
from framecast.metrics import LEVEL, Scores, Summary, summarise
from framecast.types import FrameSpec

if TYPE_CHECKING:
    import pandas
    import xarray


@dataclass(frozen=True)
class DayScores:
    """Scores of several forecasts of the same frames, whose rows are days.

    Args:
        scores: by name of the forecast, the judged one first.
        spec: of the frames.
        baselines: names of the forecasts that are baselines.
        seed: of the draws.
    """

    scores: Mapping[str, Scores]
    spec: FrameSpec
    baselines: tuple[str, ...] = ()
    seed: int = 0

    @property
    def days(self) -> int:
        """Number of days with a forecast."""
        rows = next(iter(self.scores.values())).rows
        return 0 if rows is None else len(rows)

    @property
    def forecasts(self) -> int:
        """Number of forecasts."""
        return next(iter(self.scores.values())).samples

    @cached_property
    def summaries(self) -> dict[str, dict[str, Summary]]:
        """{forecast: {metric: Summary}}, with the number of forecasts in place of that of days."""
        summaries = summarise(self.scores, REFERENCES, seed=self.seed)
        counts = {name: scores.sums[:, 0].long().tolist() for name, scores in self.scores.items()}
        return {
            name: {metric: summary._replace(sequences=counts[name]) for metric, summary in by_metric.items()}
            for name, by_metric in summaries.items()
        }

    @cached_property
    def verdict(self) -> str | None:
        """Sentence on whether the first forecast beats the best baseline; None where there is nothing to judge."""
        return judge(self.scores, self.baselines, seed=self.seed)

    def to_dataset(self) -> xarray.Dataset:
        """Convert to a Dataset: scores with intervals by forecast, metric (and threshold), lead time; counts, skill."""
        estimates = {
            name: {metric: summary.score for metric, summary in by_metric.items()}
            for name, by_metric in self.summaries.items()
        }
        metrics = next(iter(self.scores.values())).metrics
        data = add_samples(make_dataset(estimates, metrics, self.spec), self.summaries)
        about = {"forecasts": self.forecasts, "days": self.days}
        return data.assign_attrs({**about, **({"verdict": self.verdict} if self.verdict else {})})

    def to_dataframe(self) -> pandas.DataFrame:
        """Convert to a table of pandas, a row for each forecast, metric and lead time."""
        return make_dataframe(self.to_dataset())

    def print(self, console: Console, *, by_lead: bool = False) -> None:
        """Print who wins, then means with intervals and skill, and tables by lead time where asked for."""
        scores = next(iter(self.scores.values()))
        if self.verdict is not None:
            console.print(self.verdict, style="bold", markup=False)
        low, high = self.spec.low, self.spec.high
        console.print(
            f"{self.forecasts} forecasts of {scores.horizon} lead times on {self.days} days. Intervals: {LEVEL:.0%}, "
            f"bootstrap over days. Unit range: {low:g} to {high:g} {self.spec.units}",
            style="dim",
            markup=False,
        )
        print_means(console, self.summaries)
        print_skill(console, self.summaries)
        if by_lead:
            print_by_lead(console, self.summaries, scores.horizon)

    def as_dict(self) -> dict[str, Any]:
        """Turn into plain numbers, for JSON; NaN becomes null."""
        return {
            "framecast": version("framecast"),
            "verdict": self.verdict,
            "forecasts": self.forecasts,
            "days": self.days,
            "horizon": next(iter(self.scores.values())).horizon,
            "frames": self.spec.model_dump(mode="json"),
            "interval": {"level": LEVEL, "blocks": self.days, "block": "day"},
            "scores": {
                forecast: {name: json_safe(summary.as_dict()) for name, summary in by_metric.items()}
                for forecast, by_metric in self.summaries.items()
            },
        }
