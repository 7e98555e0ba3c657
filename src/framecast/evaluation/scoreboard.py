"""Forecasts side by side: scored on the same windows, shown as tables, pictures and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from framecast import files
from framecast.data import DataSet
from framecast.data.windows.loader import spread_windows
from framecast.evaluation.tables import ARROWS, metric_unit, print_by_lead, print_means, print_skill
from framecast.files import json_safe
from framecast.formatting import format_count
from framecast.metrics import DIRECTIONS, LEVEL, RAPSD, ChannelMetric, Metric, Scores, Summary, summarise
from framecast.metrics.bootstrap import Block, count_blocks
from framecast.types import FrameSpec

REFERENCES = ("persistence", "extrapolation")
"""Forecasts that skill is formed over, where they were scored."""
AUTO, EVENT = "auto", "event"
ENOUGH = 8
"""Events; fewer scatter by chance."""
_PICTURED_LEADS = 3


@dataclass(frozen=True)
class Scoreboard:
    """Scores of several forecasts on one split of one data set.

    Args:
        scores: by name of the forecast, each made with `keep`.
        dataset: what was scored.
        split: its name, as asked for.
        context: J.
        horizon: K.
        block: which windows are drawn together for intervals: so many in a row; those of an "event"; or "auto", by event
            where there are enough of them, else one by one.
        seed: of these draws.
    """

    scores: Mapping[str, Scores]
    dataset: DataSet
    split: str
    context: int
    horizon: int
    block: int | str = AUTO
    seed: int = 0

    @cached_property
    def groups(self) -> Block:
        """Which windows are drawn together, see `resample`."""
        if isinstance(self.block, int):
            return self.block
        event = self.dataset.event
        if event is None:
            return 1
        found = [event(self._split, window) for window in self.windows]
        return found if self.block == EVENT or len(set(found)) >= ENOUGH else 1

    @property
    def windows(self) -> list[int]:
        """Which windows of the split were scored."""
        return spread_windows(self.dataset.count(self._split), self.sequences)

    @cached_property
    def summaries(self) -> dict[str, dict[str, Summary]]:
        """{forecast: {metric: Summary}}."""
        return summarise(self.scores, REFERENCES, block=self.groups, seed=self.seed)

    @property
    def metrics(self) -> list[Metric]:
        """What was scored."""
        return next(iter(self.scores.values())).metrics

    @property
    def sequences(self) -> int:
        """How many windows were scored."""
        return next(iter(self.scores.values())).samples

    def as_dict(self) -> dict[str, Any]:
        """Everything in plain numbers; NaN becomes null."""
        spec = self.dataset.spec
        return {
            "framecast": version("framecast"),
            "data": {"fingerprint": self.dataset.fingerprint, "split": self.dataset.split_hash, **spec.model_dump()},
            "split": self.split,
            "sequences": self.sequences,
            "context": self.context,
            "horizon": self.horizon,
            "scale": self.about_scale(),
            "interval": {"level": LEVEL, "blocks": count_blocks(self.sequences, self.groups), "block": self._block},
            "scores": {
                forecast: {name: json_safe(summary.as_dict()) for name, summary in found.items()}
                for forecast, found in self.summaries.items()
            },
            **self._spectra_as_dict(),
        }

    def write(self, path: Path) -> None:
        """Write JSON."""
        files.write_text(path, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n")

    def draw(self, path: Path) -> None:
        """Draw every metric against lead time; where there are spectra, spectra.png beside it."""
        from framecast.plotting.scores import ScorePanel, draw_by_lead

        panels = [
            ScorePanel(
                metric.name,
                metric_unit(metric),
                DIRECTIONS[metric.better],
                {forecast: _curve(found[metric.name]) for forecast, found in self.summaries.items()},
            )
            for metric in self.metrics
        ]
        draw_by_lead(path, panels, self.dataset.spec.step_minutes, f"{self.about_samples()}. {self.about_intervals()}")
        for metric in self.metrics:
            if (spectral := _spectral(metric)) is not None:
                self._draw_spectra(path.with_name(_spectra_name(metric)), metric, spectral)

    def print(self, console: Console, *, by_lead: bool = False) -> None:
        """Show means over lead times with their intervals, and the skill; with `by_lead`, a table per metric too."""
        said = [self.about_samples(), self.about_intervals()]
        if any(metric.unit.startswith("range") for metric in self.metrics):
            said.append(self.about_scale())
        arrows = ", ".join(f"{ARROWS[better]} {words}" for better, words in DIRECTIONS.items())
        said.append(f"Means over lead times: {arrows}; the best is bold")
        for line in said:
            console.print(line, markup=False, highlight=False)
        print_means(console, self.summaries)
        print_skill(console, self.summaries)
        if by_lead:
            print_by_lead(console, self.summaries, self.horizon)

    def about_intervals(self) -> str:
        """What intervals are drawn from, and how far they can be trusted."""
        number = count_blocks(self.sequences, self.groups)
        of = {1: "single sequences", EVENT: "events"}.get(self._block, f"blocks of {self._block} sequences")
        if number < 2:
            return "No intervals: one sequence, block of them or event cannot scatter"
        said = f"Intervals: {100 * LEVEL:g} %, bootstrap over {number} {of}"
        first, last = (self.dataset.window(*self._place(index)).time for index in (0, -1))
        if first is not None and first == last:
            said += "; all begin at the same time, so the scatter between events is not in them"
        elif first is not None and self.groups == 1:
            said += "; too narrow where neighbours in time are alike: see --block"
        if any(_spectral(metric) for metric in self.metrics):
            said += "; rapsd's lean upward, as a draw of fewer different sequences has rougher spectra"
        return said

    @property
    def _block(self) -> int | str:
        return self.groups if isinstance(self.groups, int) else EVENT

    @property
    def _split(self) -> str:
        return self.split if self.split in self.dataset.counts else "test"

    def _place(self, index: int) -> tuple[str, int, int]:
        return self._split, 0, index % self.dataset.count(self._split)

    def about_samples(self) -> str:
        """What was scored, in words."""
        pixels = sum(next(iter(self.scores.values())).pixels)
        spec = self.dataset.spec
        crops = f" (crops of {spec.height} x {spec.width})" if "crop" in self.dataset.record else ""
        return (
            f"{self.sequences} sequences{crops} of split {self.split}, {self.context} frames in, {self.horizon} out, "
            f"{format_count(pixels)} observed pixels"
        )

    def about_scale(self) -> str:
        """What the unit "range" of the scores means."""
        own = {metric.spec.names[0]: metric.spec for metric in self.metrics if isinstance(metric, ChannelMetric)}
        if not own:
            return describe_scale(self.dataset.spec)
        return "Unit range: " + "; ".join(f"{name}, {_extent(spec)}" for name, spec in own.items())

    def _draw_spectra(self, path: Path, metric: Metric, spectral: RAPSD) -> None:
        from framecast.plotting.scores import Spectra, draw_spectra

        spec = metric.spec if isinstance(metric, ChannelMetric) else self.dataset.spec
        factor = (spec.high - spec.low) ** 2
        found = {name: _spectra(scores, metric, spectral, factor) for name, scores in self.scores.items()}
        truth = next(iter(found.values()))[1]
        step, word = (spec.step_minutes, "min") if spec.step_minutes else (1.0, "frames")
        leads = sorted({0, (self.horizon - 1) // 2, self.horizon - 1})[:_PICTURED_LEADS]
        pictures = [
            Spectra(
                f"lead time +{step * (lead + 1):g} {word}",
                truth[lead][1:],
                {name: power[lead][1:] for name, (power, _) in found.items()},
            )
            for lead in leads
        ]
        unit = "range²" if spec.units == "1" else f"({spec.units})²"
        note = f"{self.about_samples()}; mean over the sequences. Below the truth: smoothed away; above: too rough"
        draw_spectra(path, spectral.wavelengths, pictures, unit, note)

    def _spectra_as_dict(self) -> dict[str, Any]:
        spectra = {}
        for metric in self.metrics:
            spectral = _spectral(metric)
            if spectral is None:
                continue
            found = {name: _spectra(scores, metric, spectral, 1.0) for name, scores in self.scores.items()}
            power = {"truth": next(iter(found.values()))[1]} | {name: both[0] for name, both in found.items()}
            # k = 0, the mean, has no wavelength
            wavelengths = [None, *spectral.wavelengths]
            spectra[metric.name] = {"wavelengths": wavelengths, "unit": "range²", "power": json_safe(power)}
        return {"spectra": spectra} if spectra else {}


def describe_scale(spec: FrameSpec) -> str:
    """What the unit "range" of a score means."""
    return f"Unit range: {_extent(spec)}"


def _extent(spec: FrameSpec) -> str:
    units = "" if spec.units == "1" else f" {spec.units}"
    return f"the {spec.high - spec.low:g}{units} from {spec.low:g} to {spec.high:g}"


def _spectral(metric: Metric) -> RAPSD | None:
    """The spectra that a metric compares, if it does."""
    inner = metric.metric if isinstance(metric, ChannelMetric) else metric
    return inner if isinstance(inner, RAPSD) else None


def _spectra_name(metric: Metric) -> str:
    """Of a picture."""
    if not isinstance(metric, ChannelMetric):
        return "spectra.png"
    name = re.sub(r"\W+", "_", metric.spec.names[0])
    return f"spectra-{metric.index + 1}-{name}.png"


def _spectra(
    scores: Scores, metric: Metric, spectral: RAPSD, factor: float
) -> tuple[list[list[float]], list[list[float]]]:
    """Of the predictions and of the truth, by lead time, range² times a factor."""
    sums = next(rows.sum(dim=0) for one, rows in scores.by_sequence() if one.name == metric.name)
    predicted, observed = spectral.spectra(metric.drop_pixels(sums) if isinstance(metric, ChannelMetric) else sums)
    return (factor * predicted).tolist(), (factor * observed).tolist()


def _curve(summary: Summary) -> Any:
    from framecast.plotting.scores import Curve

    ends = summary.score.by_lead_interval
    return Curve(summary.score.by_lead, [low for low, _ in ends], [high for _, high in ends])
