"""Scoreboard of forecasts scored on the same windows: as tables, pictures and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from framecast import files
from framecast.data import DataSet
from framecast.data.config import SPLITS
from framecast.data.windows.loader import spread_windows
from framecast.evaluation.charts import make_lead_time_chart
from framecast.evaluation.labelled_scores import (
    add_samples,
    choose_metrics,
    make_dataframe,
    make_dataset,
    make_means_table,
)
from framecast.evaluation.tables import ARROWS, print_by_lead, print_means, print_skill
from framecast.evaluation.verdict import judge
from framecast.formatting import describe_object, format_count, format_number, make_html
from framecast.json_files import json_safe
from framecast.metrics import DIRECTIONS, LEVEL, RAPSD, ChannelMetric, Estimate, Metric, Scores, Summary, summarise
from framecast.metrics.bootstrap import BlockLengths, count_blocks
from framecast.plotting.chart import Chart
from framecast.types import FrameSpec

if TYPE_CHECKING:
    import pandas
    import xarray

    from framecast.plotting.figure import Figure

REFERENCES = ("persistence", "extrapolation", "steps", "lagged", "dressed:extrapolation")
"""Forecasts that skill is formed over, where they were scored."""
AUTO, EVENT = "auto", "event"
"""Words for `Scoreboard.block`."""
ENOUGH = 8
"""Events needed to draw by event; fewer scatter by chance."""
_PICTURED_LEADS = 3


@dataclass(frozen=True)
class Scoreboard:
    """Scores of several forecasts on one split of one data set.

    Args:
        scores: by name of the forecast, each made with `keep`.
        dataset: that was scored.
        split: name of the split.
        context: J.
        horizon: K.
        block: windows that are drawn together for intervals: a number of consecutive ones; those of an "event"; or
            "auto", by event where there are enough events, else one by one.
        seed: of the draws.
        baselines: names of the forecasts that are baselines; the first of the others is judged beside them.
    """

    scores: Mapping[str, Scores]
    dataset: DataSet
    split: str
    context: int
    horizon: int
    block: int | str = AUTO
    seed: int = 0
    baselines: tuple[str, ...] = ()

    @cached_property
    def groups(self) -> BlockLengths:
        """Windows that are drawn together, as `resample` takes them."""
        if isinstance(self.block, int):
            return self.block
        events = [self.dataset.windows.event(self._split, window) for window in self.windows]
        known = [event for event in events if event is not None]
        enough = self.block == EVENT or len(set(known)) >= ENOUGH
        return known if known and enough else 1

    @property
    def windows(self) -> list[int]:
        """Indices of the scored windows in the split."""
        return spread_windows(self.dataset.count(self._split), self.sequences)

    @cached_property
    def summaries(self) -> dict[str, dict[str, Summary]]:
        """{forecast: {metric: Summary}}."""
        return summarise(self.scores, REFERENCES, block=self.groups, seed=self.seed)

    @cached_property
    def verdict(self) -> str | None:
        """Sentence on whether the first forecast beats the best baseline; None where there is nothing to judge."""
        return judge(self.scores, self.baselines, block=self.groups, seed=self.seed)

    @property
    def metrics(self) -> list[Metric]:
        """Metrics of the scores."""
        return next(iter(self.scores.values())).metrics

    @property
    def sequences(self) -> int:
        """Number of scored windows."""
        return next(iter(self.scores.values())).samples

    def as_dict(self) -> dict[str, Any]:
        """Turn into plain numbers, for JSON; NaN becomes null."""
        spec = self.dataset.spec
        return {
            "framecast": version("framecast"),
            "data": {"fingerprint": self.dataset.fingerprint, "split": self.dataset.split_hash, **spec.model_dump()},
            "verdict": self.verdict,
            "split": self.split,
            "sequences": self.sequences,
            "context": self.context,
            "horizon": self.horizon,
            "scale": self.about_scale(),
            "interval": {"level": LEVEL, "blocks": count_blocks(self.sequences, self.groups), "block": self._block},
            "scores": {
                forecast: {name: json_safe(summary.as_dict()) for name, summary in summaries.items()}
                for forecast, summaries in self.summaries.items()
            },
            **self._list_spectra(),
        }

    def write(self, path: Path) -> None:
        """Write the scores as JSON."""
        files.write_text(path, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n")

    @property
    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """{forecast: {metric: score by lead time and its mean, with intervals}}."""
        return {
            forecast: {name: summary.score for name, summary in summaries.items()}
            for forecast, summaries in self.summaries.items()
        }

    def to_dataset(self) -> xarray.Dataset:
        """Convert to a Dataset: scores with intervals by forecast, metric (and threshold), lead time; counts, skill."""
        data = add_samples(make_dataset(self.estimates, self.metrics, self.dataset.spec), self.summaries)
        about = {"split": self.split, "samples": self.about_samples(), "intervals": self.about_intervals()}
        return data.assign_attrs({**about, **({"verdict": self.verdict} if self.verdict else {})})

    def to_dataframe(self) -> pandas.DataFrame:
        """Convert to a table of pandas, a row for each forecast, metric and lead time."""
        return make_dataframe(self.to_dataset())

    def plot(self, metrics: Sequence[str] = ()) -> Figure:
        """Plot scores against lead time, a panel for each metric.

        Args:
            metrics: names, as in `to_dataset`; all of them by default.

        Raises:
            UsageError: a metric that was not scored.
        """
        from framecast.plotting.scores import plot_charts

        chosen = choose_metrics(self.metrics, metrics)
        return plot_charts(self._make_charts(chosen), f"{self.about_samples()}. {self.about_intervals()}")

    def _make_charts(self, metrics: Sequence[Metric]) -> list[Chart]:
        charts = []
        for metric in metrics:
            scores = {forecast: by_metric[metric.name] for forecast, by_metric in self.estimates.items()}
            charts.append(make_lead_time_chart(metric, scores, self.dataset.spec))
        return charts

    def __repr__(self) -> str:
        first = self.metrics[0].name
        means = [(name, format_number(scores.mean()[first])) for name, scores in self.scores.items()]
        facts = [("split", self.split), ("sequences", str(self.sequences)), ("score", first)]
        return describe_object("Scoreboard", [*facts, *means])

    def _repr_html_(self) -> str:
        facts = [*([("verdict", self.verdict)] if self.verdict else []), ("scored", self.about_samples())]
        return make_html("Scores", facts, make_means_table(self.estimates))

    def draw(self, path: Path) -> None:
        """Draw every metric against lead time; where there are spectra, also spectra.png in the folder of `path`."""
        from framecast.plotting.scores import draw_charts

        draw_charts(path, self._make_charts(self.metrics), f"{self.about_samples()}. {self.about_intervals()}")
        for metric in self.metrics:
            if (rapsd := _find_rapsd(metric)) is not None:
                self._draw_spectra(path.with_name(_name_spectra(metric)), metric, rapsd)

    def print(self, console: Console, *, by_lead: bool = False) -> None:
        """Print means over lead times with their intervals, and the skill; with `by_lead`, a table per metric too."""
        lines = [*([self.verdict] if self.verdict else []), self.about_samples(), self.about_intervals()]
        if any(metric.unit.startswith("range") for metric in self.metrics):
            lines.append(self.about_scale())
        arrows = ", ".join(f"{ARROWS[better]} {words}" for better, words in DIRECTIONS.items())
        lines.append(f"Means over lead times: {arrows}; the best is bold")
        for line in lines:
            console.print(line, markup=False, highlight=False)
        print_means(console, self.summaries)
        print_skill(console, self.summaries)
        if by_lead:
            print_by_lead(console, self.summaries, self.horizon)

    def about_intervals(self) -> str:
        """Sentence on the intervals: what they are drawn from, and how far they can be trusted."""
        number = count_blocks(self.sequences, self.groups)
        blocks = {1: "single sequences", EVENT: "events"}.get(self._block, f"blocks of {self._block} sequences")
        if number < 2:
            return "No intervals: one sequence, block of them or event cannot scatter"
        text = f"Intervals: {100 * LEVEL:g} %, bootstrap over {number} {blocks}"
        first, last = (self.dataset.window(*self._locate(index)).time for index in (0, -1))
        if first is not None and first == last:
            text += "; all begin at the same time, so the scatter between events is not in them"
        elif first is not None and self.groups == 1:
            text += "; too narrow where neighbours in time are alike: see --block"
        if any(_find_rapsd(metric) for metric in self.metrics):
            text += "; rapsd's lean upward, as a draw of fewer different sequences has rougher spectra"
        return text

    @property
    def _block(self) -> int | str:
        return self.groups if isinstance(self.groups, int) else EVENT

    @property
    def _split(self) -> str:
        return self.split if self.split in SPLITS else "test"

    def _locate(self, index: int) -> tuple[str, int, int]:
        return self._split, 0, index % self.dataset.count(self._split)

    def about_samples(self) -> str:
        """Sentence on the scored sequences and pixels."""
        pixels = sum(next(iter(self.scores.values())).pixels)
        spec = self.dataset.spec
        crops = f" (crops of {spec.height} x {spec.width})" if "crop" in self.dataset.record else ""
        noun = "sequence" if self.sequences == 1 else "sequences"
        return (
            f"{self.sequences} {noun}{crops} of split {self.split}, {self.context} frames in, {self.horizon} out, "
            f"{format_count(pixels)} observed pixels"
        )

    def about_scale(self) -> str:
        """Sentence on the unit "range" of the scores."""
        specs = {metric.spec.names[0]: metric.spec for metric in self.metrics if isinstance(metric, ChannelMetric)}
        if not specs:
            return describe_scale(self.dataset.spec)
        return "Unit range: " + "; ".join(f"{name}, {_describe_range(spec)}" for name, spec in specs.items())

    def _draw_spectra(self, path: Path, metric: Metric, rapsd: RAPSD) -> None:
        from framecast.plotting.scores import Spectra, draw_spectra

        spec = metric.spec if isinstance(metric, ChannelMetric) else self.dataset.spec
        factor = (spec.high - spec.low) ** 2
        spectra = {name: _compute_spectra(scores, metric, rapsd, factor) for name, scores in self.scores.items()}
        truth = next(iter(spectra.values()))[1]
        step, word = (spec.step_minutes, "min") if spec.step_minutes else (1.0, "frames")
        step, word = (spec.step_months, "months") if spec.step_months else (step, word)
        leads = sorted({0, (self.horizon - 1) // 2, self.horizon - 1})[:_PICTURED_LEADS]
        pictures = [
            Spectra(
                f"lead time +{step * (lead + 1):g} {word}",
                truth[lead][1:],
                {name: power[lead][1:] for name, (power, _) in spectra.items()},
            )
            for lead in leads
        ]
        unit = "range²" if spec.units == "1" else f"({spec.units})²"
        note = f"{self.about_samples()}; mean over the sequences. Below the truth: smoothed away; above: too rough"
        draw_spectra(path, rapsd.wavelengths, pictures, unit, note)

    def _list_spectra(self) -> dict[str, Any]:
        spectra = {}
        for metric in self.metrics:
            rapsd = _find_rapsd(metric)
            if rapsd is None:
                continue
            powers = {name: _compute_spectra(scores, metric, rapsd, 1.0) for name, scores in self.scores.items()}
            truth = next(iter(powers.values()))[1]
            power = {"truth": truth} | {name: predicted for name, (predicted, _) in powers.items()}
            # k = 0, the mean, has no wavelength
            wavelengths = [None, *rapsd.wavelengths]
            spectra[metric.name] = {"wavelengths": wavelengths, "unit": "range²", "power": json_safe(power)}
        return {"spectra": spectra} if spectra else {}


def describe_scale(spec: FrameSpec) -> str:
    """Describe the unit "range" of scores on frames of a spec."""
    return f"Unit range: {_describe_range(spec)}"


def _describe_range(spec: FrameSpec) -> str:
    units = "" if spec.units == "1" else f" {spec.units}"
    return f"the {spec.high - spec.low:g}{units} from {spec.low:g} to {spec.high:g}"


def _find_rapsd(metric: Metric) -> RAPSD | None:
    """Find the RAPSD that a metric is, or wraps; None for other metrics."""
    inner = metric.metric if isinstance(metric, ChannelMetric) else metric
    return inner if isinstance(inner, RAPSD) else None


def _name_spectra(metric: Metric) -> str:
    """Name the picture of the spectra of a metric."""
    if not isinstance(metric, ChannelMetric):
        return "spectra.png"
    name = re.sub(r"\W+", "_", metric.spec.names[0])
    return f"spectra-{metric.index + 1}-{name}.png"


def _compute_spectra(
    scores: Scores, metric: Metric, rapsd: RAPSD, factor: float
) -> tuple[list[list[float]], list[list[float]]]:
    """Compute the spectra of predictions and truth by lead time, in range² times a factor."""
    sums = next(rows.sum(dim=0) for other, rows in scores.by_sequence() if other.name == metric.name)
    predicted, observed = rapsd.spectra(metric.drop_pixels(sums) if isinstance(metric, ChannelMetric) else sums)
    return (factor * predicted).tolist(), (factor * observed).tolist()
