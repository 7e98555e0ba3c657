"""JSON file of a benchmark: parts measured one by one, each with its raw samples and the setting to repeat it with."""

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
from framecast.bench.implementations import SWITCHES, import_factory, shorten_name
from framecast.bench.ratios import LIMIT, Ratio, TimeSample, compute_ratio
from framecast.bench.settings import Setting, Task
from framecast.errors import UsageError
from framecast.kernels import describe_kernels

_PACKAGE = Path(__file__).resolve().parents[1]
_MEASURED = (
    *("kernels", "nn", "models", "transforms", "devices"),
    *("forecasting/forecaster", "training/objective", "recipe/losses"),
)
"""Folders and modules whose code is measured: another hash of them makes results out of date."""
_SOURCES = (".py", ".c", ".h")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stamp(_Frozen):
    """Versions, code and threads that a part was measured with."""

    versions: dict[str, str]
    code: str
    """Hash of the measured sources: parts of older code are measured again."""
    threads: int
    """Number of torch's threads."""


class TimeResult(_Frozen):
    """Time of one workload."""

    setting: Setting
    model: str
    task: Task
    batch: int
    stamp: Stamp
    contenders: list[str]
    """Names of the implementations; the first is the baseline."""
    multiply_adds: int
    """Number of multiply-adds of the direct convolutions of one sequence, forward."""
    roof: float
    """Speed of a large matrix product just before, floating-point operations per second."""
    limit: float
    """`LIMIT` of the rule by which pairs were dropped."""
    samples: list[TimeSample]
    ratios: dict[str, Ratio | None]


class MemoryResult(_Frozen):
    """Peak memory of one workload."""

    setting: Setting
    model: str
    task: Task
    batch: int
    stamp: Stamp
    peaks: dict[str, list[int]]
    """Peak memory of each process, bytes, by the name of the implementation."""


class AgreementResult(_Frozen):
    """Errors of all implementations, which are within the limits."""

    setting: Setting
    model: str
    stamp: Stamp
    gates: list[Equivalence]


class ScalingResult(_Frozen):
    """Time and memory of one implementation at one size."""

    setting: Setting
    model: str
    task: Task
    batch: int
    stamp: Stamp
    contender: str
    """Name of the implementation."""
    axis: str
    """Name of the size that is varied: batch, cells, frames or layers."""
    value: int
    wall: list[float]
    """Seconds of each repeat."""
    cpu: list[float]
    """CPU seconds of each repeat."""
    peak: int
    """Peak memory, bytes."""


class Results(_Frozen):
    """All parts that were measured."""

    format: Literal[1] = 1
    agreements: list[AgreementResult] = []
    times: list[TimeResult] = []
    memory: list[MemoryResult] = []
    growth: list[ScalingResult] = []

    def with_part(self, part: AgreementResult | TimeResult | MemoryResult | ScalingResult) -> Results:
        """Copy the results with a part added, in place of an older one with the same key."""
        name = {AgreementResult: "agreements", TimeResult: "times", MemoryResult: "memory", ScalingResult: "growth"}[
            type(part)
        ]
        others = [other for other in getattr(self, name) if make_key(other) != make_key(part)]
        return self.model_copy(update={name: [*others, part]})

    def write(self, path: Path) -> None:
        """Write the results as JSON; an earlier file is replaced."""
        files.write_text(path, self.model_dump_json(indent=1) + "\n")


Part = TypeVar("Part", AgreementResult, TimeResult, MemoryResult, ScalingResult)


def make_key(part: AgreementResult | TimeResult | MemoryResult | ScalingResult) -> tuple[object, ...]:
    """Setting, network, task, batch, implementation, axis and value of a part; None for those that it does not have."""
    fields = ("model", "task", "batch", "contender", "axis", "value")
    return part.setting.name, *(getattr(part, name, None) for name in fields)


def find_current(parts: Sequence[Part], key: tuple[object, ...], setting: Setting, stamp: Stamp) -> Part | None:
    """Find the part of a key that was measured in a setting with the code, versions and threads of a stamp."""
    current = (part for part in parts if make_key(part) == key and part.setting == setting and part.stamp == stamp)
    return next(current, None)


def read_results(path: Path) -> Results:
    """Read a file of results; a file that does not exist has none.

    Raises:
        UsageError: the file is not one of results, or cannot be written to.
    """
    if not files.check_replaceable(path).exists():
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
    """Make a part of the samples and their ratios.

    Args:
        setting: sizes.
        model: name of the network.
        task: train or inference.
        batch: sequences at a time.
        stamp: versions, code and threads.
        multiply_adds: of one sequence, forward.
        roof: speed of a large matrix product, floating-point operations per second.
        samples: raw samples.
        contenders: short names of the implementations, the baseline first.
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
    """Collect versions, and hash the measured code.

    Args:
        names: names of framecast's implementations, or import paths.
        threads: number of torch's threads.
    """
    with timing.using_threads(threads):
        kernels = describe_kernels()
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "framecast": version("framecast"),
        "torch's instructions": torch.backends.cpu.get_cpu_capability(),
        "kernels of fast and low": kernels,
    }
    sources = [path for name in _MEASURED for path in _list_sources(_PACKAGE / name)]
    for name in names:
        if name not in SWITCHES:
            sources += _list_sources(Path(inspect.getfile(inspect.unwrap(import_factory(name)))).parent)
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return Stamp(versions=versions, code=digest.hexdigest()[:16], threads=threads)


def shorten_names(names: Sequence[str]) -> list[str]:
    """Shorten the names of implementations.

    Raises:
        UsageError: two of them have the same short name.
    """
    short = [shorten_name(name) for name in names]
    if len(set(short)) < len(short):
        raise UsageError("contenders", got=", ".join(short), expected="different names")
    return short


def _list_sources(path: Path) -> list[Path]:
    """Files of a folder, or of a module named without its suffix."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix in _SOURCES)
    return [path.with_suffix(".py")]
