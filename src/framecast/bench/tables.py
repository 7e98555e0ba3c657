"""Tables of a benchmark, for a terminal and in Markdown, with the targets of speed and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framecast.bench.ratios import LIMIT, compute_median_seconds
from framecast.bench.results import AgreementResult, MemoryResult, Part, Results, ScalingResult, TimeResult
from framecast.bench.settings import BENCHED, Task

MB = 1e6
CONSTANT = 0.05
"""Growth of peak memory up to which it is called constant, in inference over ten times the frames; a share."""


class Sheet(NamedTuple):
    """Table of text, with notes below it."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def print(self, console: Console) -> None:
        """Print the table to a terminal."""
        table = Table(title=Text(self.title), box=None, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(Text(column), justify="left" if number < 2 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(Text, row))
        console.print(table)
        for note in self.notes:
            console.print(note, style="dim", markup=False)

    def to_markdown(self) -> str:
        """Format the table as Markdown."""
        head = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        rows = ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*head, *rows, *(f"\n{note}" for note in self.notes)])


def tabulate_speed(results: Results, setting: str) -> Sheet:
    """Tabulate the time of each workload, and the baseline's time over it.

    Args:
        results: measurements.
        setting: name of the setting.
    """
    rows = [row for part in _select_parts(results.times, setting) for row in _make_speed_rows(part)]
    columns = (
        *("network", "task", "batch", "form", "wall s", "CPU s"),
        *("faster, wall", "faster, CPU", "target", "pairs (dropped)", "of the roof"),
    )
    notes = (
        "Median (lowest to highest) of per-pair ratios; where wall and CPU disagree, believe CPU. A pair is dropped "
        f"where one of its four calibrations took more than {LIMIT} times the median.",
        "Of the roof: multiply-adds of the direct convolutions (three times the forward ones in training) against a "
        "large matrix product of the same run; fewer multiplications can pass 100 %.",
    )
    return Sheet(f"Time, setting {setting}", columns, rows, notes if rows else ())


def _make_speed_rows(part: TimeResult) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    passes = 3 if part.task == "train" else 1
    operations = 2 * passes * part.batch * part.multiply_adds
    baseline = part.contenders[0]
    for name in part.contenders:
        wall, cpu = compute_median_seconds(part.samples, name)
        is_baseline = name == baseline
        workload = (part.model, part.task, str(part.batch)) if is_baseline else ("", "", "")
        ratio = part.ratios.get(name)
        figures: tuple[str, ...] = ("", "", "", "") if is_baseline else ("-", "-", "", "0")
        if ratio is not None:
            target = speed_target(part.setting.name, part.model, part.task, part.batch, name)
            figures = (
                f"{ratio.wall:.2f}x ({ratio.wall_low:.2f} to {ratio.wall_high:.2f})",
                f"{ratio.cpu:.2f}x ({ratio.cpu_low:.2f} to {ratio.cpu_high:.2f})",
                _describe_target(target if baseline == PLAIN else None, ratio.cpu, "x", more=True),
                f"{ratio.pairs} ({ratio.dropped})",
            )
        share = f"{operations / wall / part.roof:.0%}"
        rows.append((*workload, name, f"{wall:.2f}", f"{cpu:.2f}", *figures, share))
    return rows


def tabulate_memory(results: Results, setting: str) -> Sheet:
    """Tabulate the peak memory of each workload, and its share of the baseline's.

    Args:
        results: measurements.
        setting: name of the setting.
    """
    rows = [row for part in _select_parts(results.memory, setting) for row in _make_memory_rows(part)]
    columns = ("network", "task", "batch", "form", "peak MB", "lowest to highest", "share", "target")
    notes = ("Peak resident memory of fresh processes, median; Python and torch themselves are in it.",)
    return Sheet(f"Memory, setting {setting}", columns, rows, notes if rows else ())


def _make_memory_rows(part: MemoryResult) -> list[tuple[str, ...]]:
    baseline = next(iter(part.peaks))
    rows: list[tuple[str, ...]] = []
    for name, peaks in part.peaks.items():
        share = median(peaks) / median(part.peaks[baseline])
        target = memory_target(part.setting.name, part.model, part.task, part.batch, name)
        target = target if baseline == PLAIN else None
        is_baseline = name == baseline
        figures = ("", "") if is_baseline else (f"{share:.2f}", _describe_target(target, share))
        workload = (part.model, part.task, str(part.batch)) if is_baseline else ("", "", "")
        spread = f"{min(peaks) / MB:.0f} to {max(peaks) / MB:.0f}"
        rows.append((*workload, name, f"{median(peaks) / MB:.0f}", spread, *figures))
    return rows


def tabulate_agreement(results: Results, setting: str) -> Sheet:
    """Tabulate the errors of each form.

    Args:
        results: measurements.
        setting: name of the setting.
    """
    rows: list[tuple[str, ...]] = []
    for part in _select_parts(results.agreements, setting):
        for number, gate in enumerate(part.gates):
            model = part.model if number == 0 else ""
            errors = (f"{gate.outputs:.1e}", f"{gate.gradients:.1e}", gate.worst, f"{gate.curve:.1e}")
            rows.append((model, gate.contender, *errors))
    columns = ("network", "form", "outputs", "gradients", "worst parameter", "loss of ten steps")
    notes = (
        "Relative rms error of outputs and of the worst gradient against float64; largest difference of the loss from "
        "the first form's. Fresh weights; nothing is timed before this passes.",
    )
    return Sheet(f"Agreement, setting {setting}", columns, rows, notes if rows else ())


def tabulate_scaling(results: Results) -> Sheet:
    """Tabulate time and memory against each size, and the exponent of growth from the line above: 1 is linear."""
    rows: list[tuple[str, ...]] = []
    for part, previous in _pair_with_previous(results.growth):
        exponents = ("", "")
        if previous is not None:
            time, memory = (compute_exponent(previous, part, memory=memory) for memory in (False, True))
            exponents = (f"{time:.2f}", f"{memory:.2f}")
        point = (part.axis, part.model, part.task, part.contender, str(part.value))
        rows.append((*point, f"{min(part.wall):.2f}", f"{min(part.cpu):.2f}", f"{part.peak / MB:.0f}", *exponents))
    columns = ("against", "network", "task", "form", "value", "wall s", "CPU s", "peak MB")
    notes = (
        "Exponent: how time (CPU) and memory grow from the line above, 1 is linear, 0 constant; of the map's side in "
        "pixels of its area. The quickest of the repeats, each size in a process of its own.",
    )
    lines = describe_memory_growth(results.growth)
    return Sheet("Growth", (*columns, "exponent, time", "memory"), rows, (*notes, *lines) if rows else ())


def compute_exponent(small: ScalingResult, large: ScalingResult, *, memory: bool = False) -> float:
    """Exponent p of growth between two sizes, cost ~ size^p; the size of a map is its area.

    Args:
        small: the smaller size.
        large: the larger size.
        memory: whether the cost is peak memory, and not CPU time.
    """
    size_ratio = math.log(large.value / small.value) * (2 if large.axis == "cells" else 1)
    cost_ratio = large.peak / small.peak if memory else min(large.cpu) / min(small.cpu)
    return math.log(cost_ratio) / size_ratio


def _pair_with_previous(points: Sequence[ScalingResult]) -> list[tuple[ScalingResult, ScalingResult | None]]:
    """Each size with the next smaller one of its line, ordered as in the table."""
    pairs: list[tuple[ScalingResult, ScalingResult | None]] = []
    previous: dict[tuple[str, ...], ScalingResult] = {}
    for point in sorted(
        points, key=lambda point: (point.axis, *_make_sort_key(point)[:2], point.contender, point.value)
    ):
        line = (point.setting.name, point.axis, point.model, point.task, point.contender)
        pairs.append((point, previous.get(line)))
        previous[line] = point
    return pairs


def describe_memory_growth(points: Sequence[ScalingResult]) -> list[str]:
    """Compare the peak memory of the longest rollout at inference with that of the shortest, in words.

    Returns:
        one line for each network and form.
    """
    lines: dict[tuple[str, str, str], list[ScalingResult]] = {}
    for point in points:
        if point.axis == "frames" and point.task == "inference":
            lines.setdefault((point.setting.name, point.model, point.contender), []).append(point)
    words = []
    for (_, model, name), line in lines.items():
        short, long = min(line, key=lambda p: p.value), max(line, key=lambda p: p.value)
        growth = long.peak / short.peak - 1
        verdict = "constant" if growth <= CONSTANT else "not constant"
        words.append(f"{model}, {name}: {long.value} frames take {growth:+.1%} memory beside {short.value}: {verdict}.")
    return words


def describe_setup(results: Results) -> str:
    """List versions, threads, seed and code of all parts, one line for each combination; empty without parts."""
    parts: list[AgreementResult | TimeResult | MemoryResult | ScalingResult] = []
    parts += [*results.agreements, *results.times, *results.memory, *results.growth]
    lines = []
    for part in parts:
        versions = ", ".join(f"{name}: {value}" for name, value in part.stamp.versions.items())
        lines.append(f"* {versions}; {part.stamp.threads} threads, seed {part.setting.seed}; code {part.stamp.code}")
    return "\n".join(sorted(set(lines)))


def _select_parts(parts: Sequence[Part], setting: str) -> list[Part]:
    """Parts of a setting, ordered by network, task and batch."""
    return sorted((part for part in parts if part.setting.name == setting), key=_make_sort_key)


def _make_sort_key(part: AgreementResult | TimeResult | MemoryResult | ScalingResult) -> tuple[int, bool, int]:
    return BENCHED.index(part.model), getattr(part, "task", "") == "inference", getattr(part, "batch", 0)


def _describe_target(target: float | None, value: float, unit: str = "", *, more: bool = False) -> str:
    """The target, and whether a value meets it, in words."""
    if target is None:
        return ""
    is_met = value >= target if more else value <= target
    return f"{target:g}{unit} {'met' if is_met else 'missed'}"


PLAIN = "plain"
"""Short name of the opponent that the targets refer to."""
_SPEED: dict[tuple[str, Task, int], dict[str, float]] = {
    ("standard", "train", 8): {"predrnn": 4.0, "predrnn_v2": 4.0, "predrnn_pp": 4.0, "mim": 4.0, "convlstm": 3.5},
    ("standard", "inference", 1): {"predrnn": 3.0, "predrnn_v2": 3.0, "predrnn_pp": 3.0, "mim": 3.0, "convlstm": 2.5},
    ("standard", "inference", 8): {"predrnn": 4.0, "predrnn_v2": 4.0, "predrnn_pp": 4.0, "mim": 4.0, "convlstm": 3.5},
}
_OTHER_SIZES = 2.5
"""Target of the speed in training, of maps of 35 x 35 cells and of 3 x 3 kernels."""
_MEMORY: dict[tuple[str, Task, int], dict[str, float]] = {
    ("fast", "train", 8): {"predrnn": 0.8, "predrnn_v2": 0.8, "predrnn_pp": 0.8, "mim": 0.8, "convlstm": 0.9},
    ("low", "train", 8): {"predrnn": 0.5, "predrnn_v2": 0.45, "predrnn_pp": 0.5, "mim": 0.5, "convlstm": 0.6},
    ("fast", "inference", 1): dict.fromkeys(("predrnn", "predrnn_v2", "predrnn_pp", "mim", "convlstm"), 1.1),
}


def speed_target(setting: str, model: str, task: Task, batch: int, contender: str) -> float | None:
    """Target of the plain form's time over that of an implementation; None without a target."""
    if contender != "fast":
        return None
    if setting in ("radar", "kernel3") and task == "train":
        return _OTHER_SIZES
    return _SPEED.get((setting, task, batch), {}).get(model)


def memory_target(setting: str, model: str, task: Task, batch: int, contender: str) -> float | None:
    """Target of peak memory, as a share of the plain form's; None without a target."""
    return _MEMORY.get((contender, task, batch), {}).get(model) if setting == "standard" else None
