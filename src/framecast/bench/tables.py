"""Tables of a benchmark for a terminal and for a page, with the targets beside the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from framecast.bench.ratios import LIMIT, median_seconds
from framecast.bench.results import AgreementResult, MemoryResult, Part, Results, ScalingResult, TimeResult
from framecast.bench.settings import BENCHED, Task

MB = 1e6
CONSTANT = 0.05
"""Peak memory that grows by at most so much, inference over ten times the frames, is constant."""


class Sheet(NamedTuple):
    """A table: text in all cells."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def print(self, console: Console) -> None:
        """To a terminal."""
        table = Table(title=self.title, box=None, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number < 2 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for note in self.notes:
            console.print(note, style="dim", markup=False)

    def markdown(self) -> str:
        """For a page."""
        head = ["| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        rows = ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([*head, *rows, *(f"\n{note}" for note in self.notes)])


def tabulate_speed(results: Results, setting: str) -> Sheet:
    """Time of each workload, and how many times faster than the baseline."""
    rows = [row for part in _of(results.times, setting) for row in _speed_rows(part)]
    columns = ("network", "task", "batch", "form", "wall s", "CPU s", "faster, wall", "faster, CPU")
    notes = (
        "Median (lowest to highest) of per-pair ratios; where wall and CPU disagree, believe CPU. A pair is dropped "
        f"where one of its four calibrations took more than {LIMIT} times the median.",
        "Of the roof: multiply-adds of the direct convolutions (three times the forward ones in training) against a "
        "large matrix product of the same run; fewer multiplications can pass 100 %.",
    )
    return Sheet(
        f"Time, setting {setting}", (*columns, "target", "pairs (dropped)", "of the roof"), rows, notes if rows else ()
    )


def _speed_rows(part: TimeResult) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    passes = 3 if part.task == "train" else 1
    work = 2 * passes * part.batch * part.multiply_adds
    for name in part.contenders:
        wall, cpu = median_seconds(part.samples, name)
        first = (part.model, part.task, str(part.batch)) if name == part.contenders[0] else ("", "", "")
        ratio = part.ratios.get(name)
        figures: tuple[str, ...] = ("", "", "", "")
        if name != part.contenders[0]:
            figures = ("-", "-", "", "0")
        if ratio is not None:
            aim = speed_target(part.setting.name, part.model, part.task, part.batch, name)
            figures = (
                f"{ratio.wall:.2f}x ({ratio.wall_low:.2f} to {ratio.wall_high:.2f})",
                f"{ratio.cpu:.2f}x ({ratio.cpu_low:.2f} to {ratio.cpu_high:.2f})",
                _aim(aim if part.contenders[0] == PLAIN else None, ratio.cpu, "x", more=True),
                f"{ratio.pairs} ({ratio.dropped})",
            )
        rows.append((*first, name, f"{wall:.2f}", f"{cpu:.2f}", *figures, f"{work / wall / part.roof:.0%}"))
    return rows


def tabulate_memory(results: Results, setting: str) -> Sheet:
    """Peak memory of each workload, and its share of the baseline's."""
    rows = [row for part in _of(results.memory, setting) for row in _memory_rows(part)]
    columns = ("network", "task", "batch", "form", "peak MB", "lowest to highest", "share", "target")
    notes = ("Peak resident memory of fresh processes, median; Python and torch themselves are in it.",)
    return Sheet(f"Memory, setting {setting}", columns, rows, notes if rows else ())


def _memory_rows(part: MemoryResult) -> list[tuple[str, ...]]:
    names = list(part.peaks)
    base = median(part.peaks[names[0]])
    rows: list[tuple[str, ...]] = []
    for name, peaks in part.peaks.items():
        share = median(peaks) / base
        aim = memory_target(part.setting.name, part.model, part.task, part.batch, name)
        is_base = name == names[0]
        figures = ("", "") if is_base else (f"{share:.2f}", _aim(aim if names[0] == PLAIN else None, share))
        first = (part.model, part.task, str(part.batch)) if is_base else ("", "", "")
        spread = f"{min(peaks) / MB:.0f} to {max(peaks) / MB:.0f}"
        rows.append((*first, name, f"{median(peaks) / MB:.0f}", spread, *figures))
    return rows


def tabulate_agreement(results: Results, setting: str) -> Sheet:
    """How far each form is from the truth."""
    rows: list[tuple[str, ...]] = []
    for part in _of(results.agreements, setting):
        for number, gate in enumerate(part.gates):
            first = part.model if number == 0 else ""
            rows.append(
                (first, gate.contender, f"{gate.outputs:.1e}", f"{gate.gradients:.1e}", gate.worst, f"{gate.curve:.1e}")
            )
    columns = ("network", "form", "outputs", "gradients", "worst parameter", "loss of ten steps")
    notes = (
        "Relative rms error of outputs and of the worst gradient against float64; largest difference of the loss from "
        "the first form's. Fresh weights; nothing is timed before this passes.",
    )
    return Sheet(f"Agreement, setting {setting}", columns, rows, notes if rows else ())


def tabulate_scaling(results: Results) -> Sheet:
    """Time and memory against each size, and the exponent of the last step: 1 is linear."""
    rows: list[tuple[str, ...]] = []
    for part, before in _with_before(results.growth):
        figures = ("", "")
        if before is not None:
            figures = (f"{growth_exponent(before, part):.2f}", f"{growth_exponent(before, part, memory=True):.2f}")
        head = (part.axis, part.model, part.task, part.contender, str(part.value))
        rows.append((*head, f"{min(part.wall):.2f}", f"{min(part.cpu):.2f}", f"{part.peak / MB:.0f}", *figures))
    columns = ("against", "network", "task", "form", "value", "wall s", "CPU s", "peak MB")
    notes = (
        "Exponent: how time (CPU) and memory grow from the line above, 1 is linear, 0 constant; of the map's side in "
        "pixels of its area. The quickest of the repeats, each size in a process of its own.",
    )
    said = (*notes, *constant_memory(results.growth)) if rows else ()
    return Sheet("Growth", (*columns, "exponent, time", "memory"), rows, said)


def growth_exponent(before: ScalingResult, after: ScalingResult, *, memory: bool = False) -> float:
    """P in quantity ~ size^p between two sizes; cells of a map count as its area."""
    size = math.log(after.value / before.value) * (2 if after.axis == "cells" else 1)
    grown = after.peak / before.peak if memory else min(after.cpu) / min(before.cpu)
    return math.log(grown) / size


def _with_before(points: Sequence[ScalingResult]) -> list[tuple[ScalingResult, ScalingResult | None]]:
    found: list[tuple[ScalingResult, ScalingResult | None]] = []
    last: dict[tuple[str, ...], ScalingResult] = {}
    for point in sorted(points, key=lambda point: (point.axis, *_place(point)[:2], point.contender, point.value)):
        line = (point.setting.name, point.axis, point.model, point.task, point.contender)
        found.append((point, last.get(line)))
        last[line] = point
    return found


def constant_memory(points: Sequence[ScalingResult]) -> list[str]:
    """What the longest rollout takes at inference beside the shortest, one line for each network and form."""
    lines: dict[tuple[str, str, str], list[ScalingResult]] = {}
    for point in points:
        if point.axis == "frames" and point.task == "inference":
            lines.setdefault((point.setting.name, point.model, point.contender), []).append(point)
    said = []
    for (_, model, name), found in lines.items():
        short, long = min(found, key=lambda p: p.value), max(found, key=lambda p: p.value)
        more = long.peak / short.peak - 1
        verdict = "constant" if more <= CONSTANT else "not constant"
        said.append(f"{model}, {name}: {long.value} frames take {more:+.1%} memory beside {short.value}: {verdict}.")
    return said


def describe_setup(results: Results) -> str:
    """With what all of it was measured, one line for each way; empty if nothing was."""
    parts: list[AgreementResult | TimeResult | MemoryResult | ScalingResult] = []
    parts += [*results.agreements, *results.times, *results.memory, *results.growth]
    lines = []
    for part in parts:
        versions = ", ".join(f"{name}: {value}" for name, value in part.stamp.versions.items())
        lines.append(f"* {versions}; {part.stamp.threads} threads, seed {part.setting.seed}; code {part.stamp.code}")
    return "\n".join(sorted(set(lines)))


def _of(parts: Sequence[Part], setting: str) -> list[Part]:
    """The parts of a setting, by network, task and batch."""
    found = [part for part in parts if part.setting.name == setting]
    return sorted(found, key=_place)


def _place(part: AgreementResult | TimeResult | MemoryResult | ScalingResult) -> tuple[int, bool, int]:
    return BENCHED.index(part.model), getattr(part, "task", "") == "inference", getattr(part, "batch", 0)


def _aim(aim: float | None, got: float, unit: str = "", *, more: bool = False) -> str:
    """The target, and whether it is met."""
    if aim is None:
        return ""
    met = got >= aim if more else got <= aim
    return f"{aim:g}{unit} {'met' if met else 'missed'}"


PLAIN = "plain"
"""The opponent that the targets are about."""
_SPEED: dict[tuple[str, Task, int], dict[str, float]] = {
    ("standard", "train", 8): {"predrnn": 4.0, "predrnn_v2": 4.0, "predrnn_pp": 4.0, "mim": 4.0, "convlstm": 3.5},
    ("standard", "inference", 1): {"predrnn": 3.0, "predrnn_v2": 3.0, "predrnn_pp": 3.0, "mim": 3.0, "convlstm": 2.5},
    ("standard", "inference", 8): {"predrnn": 4.0, "predrnn_v2": 4.0, "predrnn_pp": 4.0, "mim": 4.0, "convlstm": 3.5},
}
_OTHER_SIZES = 2.5
"""In training, of maps of 35 x 35 cells and of 3 x 3 kernels."""
_MEMORY: dict[tuple[str, Task, int], dict[str, float]] = {
    ("fast", "train", 8): {"predrnn": 0.8, "predrnn_v2": 0.8, "predrnn_pp": 0.8, "mim": 0.8, "convlstm": 0.9},
    ("low", "train", 8): {"predrnn": 0.5, "predrnn_v2": 0.45, "predrnn_pp": 0.5, "mim": 0.5, "convlstm": 0.6},
    ("fast", "inference", 1): dict.fromkeys(("predrnn", "predrnn_v2", "predrnn_pp", "mim", "convlstm"), 1.1),
}


def speed_target(setting: str, model: str, task: Task, batch: int, contender: str) -> float | None:
    """How many times faster than the plain form; None where nothing is aimed at."""
    if contender != "fast":
        return None
    if setting in ("radar", "kernel3") and task == "train":
        return _OTHER_SIZES
    return _SPEED.get((setting, task, batch), {}).get(model)


def memory_target(setting: str, model: str, task: Task, batch: int, contender: str) -> float | None:
    """The most that peak memory may be, as a share of the plain form's; None where nothing is aimed at."""
    return _MEMORY.get((contender, task, batch), {}).get(model) if setting == "standard" else None
