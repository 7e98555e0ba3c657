"""Option groups that several commands share, and the decorator that expands them in a command's signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from framecast.cli import options

if TYPE_CHECKING:
    from framecast.evaluation.suite import EvaluationOptions
    from framecast.models import ModelConfig


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Expand each parameter of a command that is a group of options into these options.

    Typer reads the options of a command from its signature; a group is a dataclass whose fields are options.
    """
    hints: dict[str, Any] = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        kind = hints[parameter.name]
        parameters += list_options(kind) if is_dataclass(kind) else [parameter.replace(annotation=kind)]

    @wraps(command)
    def run(**values: Any) -> None:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        command(**values)

    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def list_options(group: Any) -> list[Parameter]:
    """List the options of a group as parameters of a command."""
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]


@dataclass(frozen=True)
class ReadingOptions:
    """Options to read the frames of a file; one that is left out comes from the file."""

    variable: Annotated[
        str | None,
        typer.Option("--var", metavar="NAME", help="Array in the file; u,v make two channels."),
    ] = None
    grey: Annotated[bool, typer.Option("--grey", help="Pictures and videos in one channel, not three.")] = False
    shrink: Annotated[
        int | None, typer.Option("--shrink", metavar="N", help="Average blocks of N x N pixels.", min=1)
    ] = None
    value_range: options.Range = None
    units: options.Units = None
    dims: Annotated[
        str | None,
        typer.Option("--dims", metavar="thw", help="Axes of an array; n: sequences, c: channels."),
    ] = None
    times: Annotated[
        str | None, typer.Option("--times", metavar="PATTERN", help="Times in the names of files, e.g. %Y%m%d_%H%M.")
    ] = None
    step_minutes: Annotated[
        float | None,
        typer.Option("--step-minutes", metavar="N", help="Minutes between frames; over what the file says."),
    ] = None
    missing: Annotated[
        float | None, typer.Option("--missing", metavar="N", help="Stored value that stands for a missing pixel.")
    ] = None
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="NAME=WHAT",
            help="What an axis of a CF grid is: time, channels, rows, columns; or the entry that is meant, by its value, "
            "e.g. number=3.",
        ),
    ] = None
    unpack_limit: Annotated[
        str | None,
        typer.Option(
            "--unpack-limit",
            metavar="SIZE",
            help="The most that is unpacked at once of a packed file, e.g. 4GB. [default: a quarter of the free memory]",
        ),
    ] = None

    def fields(self, source: str | None) -> dict[str, Any]:
        """Return the fields of a DataConfig whose options were given, and the source of the frames."""
        from framecast.data.addresses import make_absolute

        values = {
            "source": source if source in (None, "moving-mnist") else make_absolute(source),
            "dims": self.dims,
            "axes": None if not self.axis else options.parse_axes(self.axis),
            "variable": self.variable,
            "range": None if self.value_range is None else options.parse_interval(self.value_range),
            "missing": self.missing,
            "units": self.units,
            "times": self.times,
            "step_minutes": self.step_minutes,
            "colour": "grey" if self.grey else None,
            "shrink": self.shrink,
            "unpack_limit": None
            if self.unpack_limit is None
            else options.parse_bytes(self.unpack_limit, "--unpack-limit"),
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class DataOptions(ReadingOptions):
    """Options to read the frames of a file, and a part of them only."""

    frames: Annotated[
        str | None,
        typer.Option("--frames", metavar="A,B", help="Frames A to B-1 only, or times A to B."),
    ] = None

    def fields(self, source: str | None) -> dict[str, Any]:
        """Return the fields of a DataConfig whose options were given, and the source of the frames."""
        extent = {} if self.frames is None else {"frames": options.parse_extent(self.frames)}
        return super().fields(source) | extent


@dataclass(frozen=True)
class SourceOptions(DataOptions):
    """Source of the frames, and the options to read them."""

    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="File, folder, moving-mnist; else as trained."),
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the fields of a DataConfig whose options were given."""
        return self.fields(self.data)


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training, each short for a key of a recipe."""

    context: options.Context = None
    horizon: options.Horizon = None
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="Sequences of an iteration.", min=1)
    ] = None
    lr: Annotated[float | None, typer.Option("--lr", metavar="RATE", help="Learning rate, at its highest.")] = None
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another key of a recipe: patch=2; repeatable."),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the keys of a recipe whose options were given."""
        values = {
            "context": options.parse_length(self.context),
            "horizon": options.parse_length(self.horizon),
            "train.batch_size": self.batch_size,
            "train.lr": self.lr,
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True)
class ScoreOptions:
    """Options of scores: which windows, baselines and metrics."""

    split: options.Split = None
    baselines: Annotated[
        str | None,
        typer.Option(
            "--baselines",
            metavar="A,B",
            help="persistence, mean, blank, seasonal[:7d], extrapolation, linear[:24h], calibrated; ensembles steps, "
            "lagged, dressed:extrapolation; none.",
        ),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="A,B",
            help="mse,ssim,csi,...; or framecast, grid, ensemble, openstl, ...",
        ),
    ] = None
    thresholds: Annotated[
        str | None, typer.Option("--thresholds", metavar="A,B", help="Of csi, fss, ..., raw units, e.g. 15,25,35.")
    ] = None
    limit: options.Limit = None
    block: options.Block = "auto"

    def evaluation(self, **others: Any) -> EvaluationOptions:
        """Return the options of an evaluation.

        Args:
            others: its other fields.

        Raises:
            UsageError: a list that is none, or a wrong block.
        """
        from framecast.evaluation.suite import EvaluationOptions

        names = self.baselines
        return EvaluationOptions(
            self.split,
            options.parse_words(self.metrics) if self.metrics else None,
            options.parse_numbers(self.thresholds, "--thresholds") if self.thresholds else None,
            limit=self.limit,
            baselines=None if names is None else [] if names == "none" else options.parse_words(names),
            block=options.parse_block(self.block),
            **others,
        )


@dataclass(frozen=True)
class ModelOptions:
    """Options of a trained model: class of its network, device, precision."""

    class_name: options.Class = None
    device: options.Device = "auto"
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="auto, highest or high: which kernels compute. [default: as trained, else auto]",
        ),
    ] = None

    @property
    def kind(self) -> type[ModelConfig] | None:
        """The class of a network outside framecast; None for framecast's own."""
        return options.import_model(self.class_name)


@dataclass(frozen=True)
class OutputOptions:
    """Options of the output: progress and text, or one JSON object."""

    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors alone.")] = False
    as_json: options.Json = False

    @property
    def silent(self) -> bool:
        """Whether nothing but results is printed on standard output."""
        return self.quiet or self.as_json
