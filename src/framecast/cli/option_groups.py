"""Options that several commands take as one value, and the decorator that writes them into a command's signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from framecast.cli import options

if TYPE_CHECKING:
    from framecast.models import ModelConfig


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of each of its parameters that is a group, in the place of that parameter.

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
    """The options of a group as parameters of a command."""
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    ]


@dataclass(frozen=True)
class ReadingOptions:
    """How the frames of a file are read; what is not said, the file says."""

    dims: Annotated[
        str | None,
        typer.Option("--dims", help="The array's axes in order: n sequences, t time, c channels, h, w. E.g. tnhw."),
    ] = None
    variable: Annotated[
        str | None,
        typer.Option(
            "--var", help="Array, variable, quantity or field inside the file; u,v make two channels of a CF grid."
        ),
    ] = None
    value_range: options.Range = None
    missing: Annotated[
        float | None, typer.Option("--missing", help="Stored value that stands for a missing pixel.")
    ] = None
    units: options.Units = None
    times: Annotated[
        str | None, typer.Option("--times", metavar="PATTERN", help="Times in the names of files, e.g. %Y%m%d_%H%M.")
    ] = None
    step_minutes: Annotated[
        float | None, typer.Option("--step-minutes", help="Minutes between frames; over what the file says.")
    ] = None
    grey: Annotated[bool, typer.Option("--grey", help="Pictures and videos in grey: one channel instead of three.")] = (
        False
    )
    shrink: Annotated[
        int | None, typer.Option("--shrink", help="Average blocks of so many pixels in each direction.", min=1)
    ] = None

    def fields(self, source: str | None) -> dict[str, Any]:
        """The fields of a DataConfig that were said, with the source of the frames."""
        said = {
            "source": source if source in (None, "moving-mnist") else str(Path(source).absolute()),
            "dims": self.dims,
            "variable": self.variable,
            "range": None if self.value_range is None else options.parse_interval(self.value_range),
            "missing": self.missing,
            "units": self.units,
            "times": self.times,
            "step_minutes": self.step_minutes,
            "colour": "grey" if self.grey else None,
            "shrink": self.shrink,
        }
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class DataOptions(ReadingOptions):
    """How the frames of a file are read, and which of them."""

    frames: Annotated[
        str | None,
        typer.Option(
            "--frames", metavar="A,B", help="Frames A to B-1 only: numbers from 0, or times 2016-09-28T14:45,..."
        ),
    ] = None

    def fields(self, source: str | None) -> dict[str, Any]:
        """The fields of a DataConfig that were said, with the source of the frames."""
        extent = {} if self.frames is None else {"frames": options.parse_extent(self.frames)}
        return super().fields(source) | extent


@dataclass(frozen=True)
class ModelOptions:
    """Which network a trained model has, where it computes, and how precisely."""

    model: options.Model = None
    device: options.Device = "auto"
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", help="auto, highest or high: which kernels compute. [default: as trained, else auto]"
        ),
    ] = None

    @property
    def kind(self) -> type[ModelConfig] | None:
        """The class of a network that is not framecast's own."""
        return options.import_model(self.model)


@dataclass(frozen=True)
class OutputOptions:
    """What a command prints: progress and text, or one JSON object."""

    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Plain lines instead of a progress bar.")] = False
    as_json: options.Json = False

    @property
    def silent(self) -> bool:
        """Whether no progress bar is drawn."""
        return self.quiet or self.as_json
