"""What options mean."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest
import typer

from framecast.cli.option_groups import DataOptions, OutputOptions, SourceOptions, expand_groups
from framecast.cli.options import parse_bytes
from framecast.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9),
        ("512MiB", 512 * 2**20),
        ("512Mi", 512 * 2**20),
        ("1.5g", 1_500_000_000),
        (".5 gb", 500_000_000),
        (" 3t ", 3 * 10**12),
        ("10k", 10_000),
        ("800000000", 800_000_000),
        ("64B", 64),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["plenty", "", "0", "0GB", "-1GB", "1,5g", "8Gbit", "5i", "5iB", "1e9", "2 GB or so", "1.5.5g"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(UsageError, match=r"--max-memory: got .*, expected a size, for example 2GB"):
        parse_bytes(text)


def command() -> tuple[Callable[..., None], list[object]]:
    """A command with two groups, and what it was called with."""
    got: list[object] = []

    @expand_groups
    def run(name: str, *, reading: DataOptions, output: OutputOptions, steps: int = 3) -> None:
        got.extend((name, reading, output, steps))

    return run, got


def test_a_group_becomes_options_in_its_place() -> None:
    run, _ = command()
    names = list(signature(run).parameters)
    assert names[:3] == ["name", "variable", "grey"]
    assert names[-5:] == ["unpack_limit", "frames", "quiet", "as_json", "steps"]
    assert signature(run).parameters["grey"].default is False


def test_a_command_gets_a_group_as_one_value() -> None:
    run, got = command()
    app = typer.Typer()
    app.command()(run)
    app(["a", "--range", "0,70", "--grey", "--frames", "4,9", "-q", "--steps", "5"], standalone_mode=False)
    name, reading, output, steps = got
    assert (name, steps) == ("a", 5)
    assert (output, output.silent) == (OutputOptions(quiet=True), True)
    assert reading.fields("moving-mnist") == {
        "source": "moving-mnist",
        "range": (0.0, 70.0),
        "colour": "grey",
        "frames": [4, 9],
    }


def test_what_was_not_said_is_no_field() -> None:
    assert DataOptions().fields(None) == {}
    assert SourceOptions(missing=0.0, data="a.nc").given() == {"source": str(Path("a.nc").absolute()), "missing": 0.0}
