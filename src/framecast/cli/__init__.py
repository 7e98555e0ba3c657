"""Command line: parses options and calls the packages. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from framecast.cli import bench, evaluate, inspect, predict, report, study, train
from framecast.errors import FramecastError

DISK_FULL, OUT_OF_MEMORY = 5, 6
"""Exit codes of errors that are not framecast's own."""

app = typer.Typer(
    name="framecast",
    help="Predict the next frames of a gridded sequence (video, radar, traffic, reanalysis) with recurrent networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: framecast demo. Exit codes: 0 done, 2 usage, 3 data, 4 checkpoint, 5 disk full, 6 memory, "
    "7 non-finite loss, 8 wrong numbers, 73 run in use, 130/143 stopped by a signal and saved.",
)


class _Computation(TyperCommand):
    """Command that computes with networks."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with subnormal numbers flushed to zero: threads inherit that only when they start."""
        from framecast.devices import flush_subnormals

        flush_subnormals()
        return super().invoke(ctx)


app.command(cls=_Computation)(train.demo)
app.command()(inspect.models)
app.command()(inspect.doctor)
app.command()(inspect.inspect)
app.add_typer(inspect.data_app, name="data")
app.command("train", cls=_Computation)(train.train)
app.command(cls=_Computation)(train.resume)
app.command(cls=_Computation)(evaluate.evaluate)
app.command(cls=_Computation)(report.report)
app.command(cls=_Computation)(report.compare)
app.command(cls=_Computation)(report.race)
app.command(cls=_Computation)(study.study)
app.command(cls=_Computation)(predict.predict)
app.command()(predict.convert)
app.command(cls=_Computation)(bench.bench)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True)) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"framecast {installed('framecast')}")
        raise typer.Exit


def main() -> None:
    """Run the command of sys.argv; foreseen errors become one line and an exit code."""
    sys.path.append(os.getcwd())  # for package.module:Class of the user, found there last
    try:
        app()
    except FramecastError as error:
        _fail(str(error), error.exit_code)
    except MemoryError as error:
        _fail(f"out of memory {error}; use smaller batches, or train.accumulate", OUT_OF_MEMORY)
    except RuntimeError as error:
        # torch has no class for it on a CPU.
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        _fail(f"out of memory: {str(error).splitlines()[0]}; use smaller batches, or train.accumulate", OUT_OF_MEMORY)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        _fail(f"disk full: {error}; free some space, then resume" if full else str(error), DISK_FULL if full else 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(text: str, code: int) -> None:
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)
