"""Options that several commands share, and the parsers of their texts."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from framecast.errors import UsageError, escape

if TYPE_CHECKING:
    from rich.console import Console

    from framecast.data import DataConfig
    from framecast.devices import Launch
    from framecast.forecasting.memory_plan import MemoryLimits
    from framecast.models import ModelConfig

Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or mps.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="New folder. [default: runs/NAME-N]")]
Block = Annotated[
    str,
    typer.Option(
        "--block",
        metavar="N|event|auto",
        help="Windows that are drawn together for intervals, as they are alike: so many in a row; event, those of a "
        "sequence (with split_by=event of several near each other); auto, by event where there are 8 or more.",
    ),
]
Covariates = Annotated[
    Path | None,
    typer.Option("--covariates", metavar="PATH", help="Covariates of the frames to be predicted, if it needs them."),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="N|TIME", help="Frames in: 10, 50min. Else as trained, or 10."),
]
Horizon = Annotated[
    str | None,
    typer.Option("--horizon", metavar="N|TIME", help="Frames out: 12, 1h. Else as trained, or 10."),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", metavar="N", help="Sequences at a time.", min=1, show_default=False)
]
Size = Annotated[str | None, typer.Option("--size", metavar="HxW", help="Rows and columns of a frame.")]
Patch = Annotated[
    int | None,
    typer.Option("--patch", metavar="P", help="Side of patches that become channels; else the network's own.", min=1),
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many windows.", min=1)]
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="train, val, test, all. [default: test, else val]"),
]
Range = Annotated[
    str | None, typer.Option("--range", metavar="LOW,HIGH", help="Value range in raw units; over the file's.")
]
Units = Annotated[str | None, typer.Option("--units", metavar="TEXT", help="Units of the values; over the file's.")]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory", metavar="SIZE", help="The most the process may hold, e.g. 2GB. [default: most of what is free]"
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(
        "--tile",
        metavar="N",
        help="Edge of a tile, pixels; 0: the frame as a whole. [default: tiles only where the network needs them, or "
        "the limit of memory that predict keeps]",
        min=0,
    ),
]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        metavar="N",
        help="Pixels that tiles share, where there are tiles. [default: so many that tiles do not show, if the network "
        "allows]",
        min=0,
    ),
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        help="Of a model against a base: raw, as it forecasts, least in squared error; matched, with the values of the "
        "base, by rank, for rain of the right strength. [default: raw]"
    ),
]
Sequence = Annotated[
    int, typer.Option("--sequence", metavar="N", help="Which sequence films, strips and maps show, from 0.", min=0)
]
Class = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="CLASS",
        help="package.module:Class of a network that is not framecast's own; without it none is imported that a file "
        "names.",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class", metavar="CLASS", help="package.module:Class of a network of one's own; repeatable for several."
    ),
]

_WHOLE = re.compile(r"\d{1,18}")
"""Whole number; Python converts none of thousands of digits."""


def make_data_config(fields: dict[str, Any]) -> DataConfig:
    """Make a DataConfig from its fields.

    Raises:
        UsageError: a field that is unknown or has a wrong value.
    """
    from framecast.data import DataConfig
    from framecast.recipe.parsing import parse_config

    return parse_config(DataConfig, fields, "data")


def parse_numbers(text: str, option: str) -> tuple[float, ...]:
    """Parse comma-separated numbers.

    Args:
        text: the numbers.
        option: name of the option, for the error.

    Raises:
        UsageError: a word that is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(option, got=text, expected="numbers with commas between them, for example 0,70") from error


def make_memory_limits(max_memory: str | None, tile: int | None, overlap: int | None) -> MemoryLimits:
    """Make the limits of memory, and of tiles in pixels, from their options."""
    from framecast.forecasting.memory_plan import MemoryLimits

    return MemoryLimits(None if max_memory is None else parse_bytes(max_memory), tile, overlap)


def parse_calibration(text: str | None) -> Literal["raw", "matched"] | None:
    """Parse how a forecast is calibrated."""
    if text is None or text == "raw":
        return "raw" if text else None
    if text != "matched":
        raise UsageError("--calibrate", got=text, expected="raw or matched")
    return "matched"


def parse_bytes(text: str, option: str = "--max-memory") -> int:
    """Parse a size in memory to bytes: 2GB, 512MiB, 1.5g, 800000000."""
    from pydantic import ByteSize, Field, TypeAdapter, ValidationError

    # The whole text must match, as ByteSize takes 1,5g for one byte; it always gets a b, as it does not know 512Mi.
    match = re.fullmatch(r"(\d*\.?\d+\s*[kmgt]?i?)b?", text.strip().lower())
    try:
        return TypeAdapter(Annotated[ByteSize, Field(gt=0)]).validate_python(match and f"{match[1]}b")
    except ValidationError as error:
        raise UsageError(option, got=text, expected="a size, for example 2GB or 1500MiB") from error


def parse_words(text: str) -> list[str]:
    """Parse comma-separated names."""
    return [word.strip() for word in text.split(",")]


def parse_block(text: str) -> int | str:
    """Parse the block of windows that are resampled together for intervals: event, auto, or a number of windows."""
    if text in ("auto", "event"):
        return text
    if not _WHOLE.fullmatch(text) or int(text) < 1:
        raise UsageError("--block", got=text, expected="event, auto, or how many windows in a row, for example 12")
    return int(text)


def parse_integers(text: str, option: str) -> tuple[int, ...]:
    """Parse comma-separated whole numbers; `option` is named in the error."""
    numbers = parse_numbers(text, option)
    if not all(number.is_integer() for number in numbers):
        raise UsageError(option, got=text, expected="whole numbers with commas between them, for example 4,16")
    return tuple(int(number) for number in numbers)


def parse_extent(text: str) -> list[int] | list[str]:
    """Parse an extent: two numbers of frames, or two times."""
    ends = parse_words(text)
    if len(ends) != 2:
        raise UsageError("--frames", got=text, expected="A,B, for example 0,20")
    return [int(end) for end in ends] if all(_WHOLE.fullmatch(end) for end in ends) else ends


def parse_axes(texts: list[str]) -> dict[str, str]:
    """Parse NAME=WHAT, once for each axis."""
    axes: dict[str, str] = {}
    for text in texts:
        name, sign, word = (part.strip() for part in text.partition("="))
        if not (name and sign and word) or name in axes:
            expected = "NAME=WHAT, once for each axis, for example number=3 or member=channels"
            raise UsageError("--axis", got=text, expected=expected)
        axes[name] = word
    return axes


def parse_length(text: str | None) -> int | str | None:
    """Parse a length: a number of frames, or a time such as 50min, which stays a text."""
    return int(text) if text is not None and _WHOLE.fullmatch(text) else text


def parse_seconds(text: str, option: str) -> float:
    """Parse a time as in 5s, 2min to seconds; a number is seconds."""
    from framecast.data.durations import in_frames

    try:
        return float(text)
    except ValueError:
        return in_frames(text, 1 / 60_000, option) / 1000


def parse_interval(text: str) -> tuple[float, float]:
    """Parse LOW,HIGH."""
    ends = parse_numbers(text, "--range")
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise UsageError("--range", got=text, expected="LOW,HIGH with LOW < HIGH, for example 0,70")
    return ends[0], ends[1]


def parse_size(text: str) -> tuple[int, int]:
    """Parse HxW, or one number for a square, to (rows, columns)."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(_WHOLE.fullmatch(part) and int(part) > 0 for part in parts):
        raise UsageError("--size", got=text, expected="HxW, for example 64x64")
    return int(parts[0]), int(parts[-1])


def read_launch(device: str) -> Launch:
    """Make the Launch of this process from a device and the environment that torchrun sets."""
    from framecast.devices import Launch

    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    return Launch(device, local, max(1, world // local), int(os.environ.get("RANK", "0")))


def choose_folder(out: Path | None, name: str) -> AbstractContextManager[Path]:
    """Choose the folder of a run or race: the user's, or a new runs/NAME-N that no other command gets too.

    Args:
        out: folder that the user gave.
        name: name of a numbered folder.
    """
    from framecast.runs.folder import reserve_folder

    return nullcontext(out) if out is not None else reserve_folder(Path("runs"), name)


def make_console(*, quiet: bool = False) -> Console:
    """Make a console on standard output, 140 columns wide where that is no terminal, so that tables stay whole.

    Texts are printed as they are: brackets and colons in names of files and runs are no markup. What cannot be printed
    is escaped, as a text of a file may hold commands for the terminal.
    """
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
    from rich.segment import Segment

    class Printable(NamedTuple):
        inner: ConsoleRenderable

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for segment in console.render(self.inner, options):
                # the colours of rich itself come later, from the styles of the segments
                yield segment if segment.control else Segment(escape(segment.text, "\n"), segment.style)

    class Escape(RenderHook):
        def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
            return [Printable(renderable) for renderable in renderables]

    width = None if sys.stdout.isatty() else 140
    console = Console(quiet=quiet, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False)
    console.push_render_hook(Escape())
    return console


def print_lines(*lines: str) -> None:
    """Print lines on standard output; what a file has brought into them moves no cursor."""
    print(*(escape(line, "\n") for line in lines), sep="\n", flush=True)


def import_model(name: str | None) -> type[ModelConfig] | None:
    """Import the class of a network outside framecast; None for no name."""
    if name is None:
        return None
    from framecast.recipe.model_section import import_class

    return import_class(name)


def print_json(value: Any) -> None:
    """Print one JSON object."""
    print(json.dumps(value, indent=2))
