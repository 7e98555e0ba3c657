"""The JSON file: raw samples, and what is needed to measure them again. Parts measured one by one come together in it."""

from __future__ import annotations

import hashlib
import inspect
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from framecast import files
from framecast.bench import timing
from framecast.bench.equivalence import Equivalence
from framecast.bench.implementations import SWITCHES, import_factory, short_name
from framecast.bench.ratios import LIMIT, Ratio, TimeSample, compute_ratio
from framecast.bench.settings import Setting, Task
from framecast.errors import UsageError
from framecast.kernels import describe_kernels

_HOUSE = Path(__file__).resolve().parents[1]
_MEASURED = (
    *("kernels", "nn", "models", "transforms", "devices"),
    *("forecasting/forecaster", "training/objective", "recipe/losses"),
)
_SOURCES = (".py", ".c", ".h")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stamp(_Frozen):
    """With what it was measured."""

    versions: dict[str, str]
    code: str
    """Hash of the measured sources: parts of older code are measured again."""
    threads: int


class TimeResult(_Frozen):
    """Time of one workload."""

    setting: Setting
    model: str
    task: Task
    batch: int
    stamp: Stamp
    contenders: list[str]
    """The first is the baseline."""
    multiply_adds: int
    """Of the direct convolutions of one sequence, forward."""
    roof: float
    """What a large matrix product reached just before, floating-point operations per second."""
    limit: float
    """Of the dropping rule, see `ratios`."""
    samples: list[TimeSample]
    ratios: dict[str, Ratio | None]


class MemoryResult(_Frozen):
    """Peak memory of one workload, bytes, of several processes of each contender."""

    setting: Setting
    model: str
    task: Task
    batch: int
    stamp: Stamp
    peaks: dict[str, list[int]]


class AgreementResult(_Frozen):
    """That all contenders compute the same thing."""

    setting: Setting
    model: str
    stamp: Stamp
    gates: list[Equivalence]


class ScalingResult(_Frozen):
    """Time and memory at one size."""

    setting: Setting
    model: str
    task: Task
    batch: int
    stamp: Stamp
    contender: str
    axis: str
    value: int
    wall: list[float]
    cpu: list[float]
    peak: int


class Results(_Frozen):
    """All that was measured so far."""

    format: Literal[1] = 1
    agreements: list[AgreementResult] = []
    times: list[TimeResult] = []
    memory: list[MemoryResult] = []
    growth: list[ScalingResult] = []

    def plus(self, part: AgreementResult | TimeResult | MemoryResult | ScalingResult) -> Results:
        """The same with a part added, or exchanged for an older one of the same workload."""
        name = {AgreementResult: "agreements", TimeResult: "times", MemoryResult: "memory", ScalingResult: "growth"}[
            type(part)
        ]
        others = [other for other in getattr(self, name) if part_key(other) != part_key(part)]
        return self.model_copy(update={name: [*others, part]})

    def write(self, path: Path) -> None:
        """Write JSON."""
        files.write_text(path, self.model_dump_json(indent=1) + "\n")


Part = TypeVar("Part", AgreementResult, TimeResult, MemoryResult, ScalingResult)


def part_key(part: AgreementResult | TimeResult | MemoryResult | ScalingResult) -> tuple[object, ...]:
    """What a part is about: two parts with the same key measure the same."""
    fields = ("model", "task", "batch", "contender", "axis", "value")
    return part.setting.name, *(getattr(part, name, None) for name in fields)


def find_current(parts: Sequence[Part], wanted: tuple[object, ...], setting: Setting, stamp: Stamp) -> Part | None:
    """The part of this key, if it was measured with this code, in this setting."""
    same = (part for part in parts if part_key(part) == wanted and part.setting == setting and part.stamp == stamp)
    return next(same, None)


def read_results(path: Path) -> Results:
    """Read what was measured before; nothing where there is no such file.

    Raises:
        UsageError: the file is something else.
    """
    if not path.exists():
        return Results()
    try:
        return Results.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        fix = "choose another --out"
        raise UsageError(str(path), got=first, expected="a file that framecast bench wrote", fix=fix) from error


def summarise_times(
    setting: Setting,
    model: str,
    task: Task,
    batch: int,
    *,
    stamp: Stamp,
    multiply_adds: int,
    roof: float,
    samples: list[TimeSample],
    contenders: Sequence[str],
) -> TimeResult:
    """A part with its statistics.

    Args:
        setting: sizes.
        model: which network.
        task: train or inference.
        batch: sequences at a time.
        stamp: with what it was measured.
        multiply_adds: of one sequence, forward.
        roof: floating-point operations per second.
        samples: raw.
        contenders: labels, the baseline first.
    """
    return TimeResult(
        setting=setting,
        model=model,
        task=task,
        batch=batch,
        stamp=stamp,
        contenders=list(contenders),
        multiply_adds=multiply_adds,
        roof=roof,
        limit=LIMIT,
        samples=samples,
        ratios={other: compute_ratio(samples, contenders[0], other) for other in contenders[1:]},
    )


def make_stamp(names: Sequence[str], threads: int) -> Stamp:
    """Versions and the hash of the measured code.

    Args:
        names: of the contenders.
        threads: of torch.
    """
    with timing.threads(threads):
        computing = describe_kernels()
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "framecast": version("framecast"),
        "torch's instructions": torch.backends.cpu.get_cpu_capability(),
        "kernels of fast and low": computing,
    }
    sources = [path for name in _MEASURED for path in _sources(_HOUSE / name)]
    for name in names:
        if name not in SWITCHES:
            sources += _sources(Path(inspect.getfile(inspect.unwrap(import_factory(name)))).parent)
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return Stamp(versions=versions, code=digest.hexdigest()[:16], threads=threads)


def short_names(names: Sequence[str]) -> list[str]:
    """Short names of contenders.

    Raises:
        UsageError: two of them would be called the same.
    """
    found = [short_name(name) for name in names]
    if len(set(found)) < len(found):
        raise UsageError("contenders", got=", ".join(found), expected="different names")
    return found


def _sources(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.suffix in _SOURCES)
    return [place.with_suffix(".py")]
