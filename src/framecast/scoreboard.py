"""Forecasts side by side: scored on the same windows, shown as tables, a picture and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from framecast import atomic
from framecast.data import DataSet
from framecast.evaluate import as_dict
from framecast.metrics import Scores
from framecast.plain import plain

SHOWN_LEADS = 10
"""At most this many lead times become columns of a table."""


class Scoreboard(NamedTuple):
    """Scores of several forecasts on one split of one data set."""

    scores: Mapping[str, Scores]
    dataset: DataSet
    split: str
    context: int
    horizon: int

    def as_dict(self) -> dict[str, Any]:
        """Everything in plain numbers; NaN becomes null."""
        spec = self.dataset.spec
        samples = {name: scores.samples for name, scores in self.scores.items()}
        return {
            "framecast": version("framecast"),
            "data": {"fingerprint": self.dataset.fingerprint, "split": self.dataset.split_hash, **spec.model_dump()},
            "split": self.split,
            "sequences": next(iter(samples.values())),
            "context": self.context,
            "horizon": self.horizon,
            "scale": f"{spec.low:g} to {spec.high:g} {spec.units} is 0 to 1",
            "scores": {name: plain(as_dict(scores)) for name, scores in self.scores.items()},
        }

    def write(self, path: Path) -> None:
        """Write JSON."""
        atomic.write_text(path, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n")

    def draw(self, path: Path) -> None:
        """Draw every metric against lead time."""
        from framecast import plots

        units = {m.name: f"{m.unit}, {m.better} is better" for m in next(iter(self.scores.values())).metrics}
        plots.by_lead(path, {name: scores.by_lead() for name, scores in self.scores.items()}, units)

    def print(self, console: Console) -> None:
        """One table per metric: a row for each forecast, the mean and the lead times as columns, the best in bold."""
        spec = self.dataset.spec
        sequences = next(iter(self.scores.values())).samples
        console.print(
            f"{sequences} sequences of split {self.split}, {self.context} frames in, {self.horizon} out; "
            f"scores where {spec.low:g} to {spec.high:g} {spec.units} is 0 to 1",
            highlight=False,
            markup=False,
        )
        for metric in next(iter(self.scores.values())).metrics:
            console.print(self._table(metric.name, metric.unit, metric.better))

    def _table(self, name: str, unit: str, better: str) -> Table:
        arrow = "lower" if better == "less" else "higher"
        table = Table(
            title=f"{name} [dim]({unit}; {arrow} is better)[/dim]", title_justify="left", box=None, padding=(0, 1)
        )
        leads = _shown(self.horizon)
        for column in ("forecast", "mean", *(f"+{lead}" for lead in leads)):
            table.add_column(column, justify="left" if column == "forecast" else "right", no_wrap=True)
        means = {forecast: scores.mean()[name] for forecast, scores in self.scores.items()}
        known = [value for value in means.values() if not math.isnan(value)]
        best = (min(known) if better == "less" else max(known)) if known else math.nan
        for forecast, scores in self.scores.items():
            values = scores.by_lead()[name]
            cells = [_number(means[forecast]), *(_number(values[lead - 1]) for lead in leads)]
            table.add_row(forecast, *cells, style="bold" if means[forecast] == best else "")
        return table


def _shown(horizon: int) -> list[int]:
    """Lead times 1 to K, thinned out evenly if there are many; the first and the last always."""
    if horizon <= SHOWN_LEADS:
        return list(range(1, horizon + 1))
    return sorted({1 + round(i * (horizon - 1) / (SHOWN_LEADS - 1)) for i in range(SHOWN_LEADS)})


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
