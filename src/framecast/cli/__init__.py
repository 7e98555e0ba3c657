"""Command line: parses options and calls the packages. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from types import FrameType

import typer

from framecast.cli import (
    archive,
    bench,
    calibrate,
    evaluate,
    export,
    inspect,
    predict,
    protocol,
    report,
    serve,
    study,
    train,
    watch,
)
from framecast.cli.failures import describe_failure
from framecast.cli.help.command import Command, Computation
from framecast.errors import FramecastError, escape, is_disk_full

app = typer.Typer(
    name="framecast",
    help="Predict the next frames of a gridded sequence (video, radar, traffic, reanalysis) with recurrent networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: framecast demo. Exit codes: 0 done, 2 usage, 3 data, 4 checkpoint, 5 disk full, 6 memory, "
    "7 non-finite loss, 8 wrong numbers, 73 run in use, 130/143 stopped by a signal; a training has saved.",
)


app.command(cls=Computation)(train.demo)
app.command(cls=Command)(inspect.models)
app.command(cls=Command)(inspect.doctor)
app.command(cls=Command)(inspect.inspect)
app.add_typer(inspect.data_app, name="data")
app.command("train", cls=Computation)(train.train)
app.command(cls=Computation)(train.resume)
app.command(cls=Computation)(evaluate.evaluate)
app.command(cls=Computation)(protocol.protocol)
app.command(cls=Computation)(calibrate.calibrate)
app.command(cls=Computation)(report.report)
app.command(cls=Computation)(report.compare)
app.command(cls=Computation)(report.race)
app.command(cls=Computation)(study.study)
app.command(cls=Computation)(predict.predict)
app.command(cls=Computation)(watch.watch)
app.command(cls=Computation)(serve.serve)
app.command(cls=Computation)(archive.hindcast)
app.command(cls=Computation)(archive.verify)
app.command(cls=Command)(predict.convert)
app.command(cls=Computation)(bench.bench)
app.command(cls=Computation)(export.export)
app.command(cls=Command)(export.push)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True)) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"framecast {installed('framecast')}")
        raise typer.Exit


class _Terminated(BaseException):
    """SIGTERM, where no training takes it to save first."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def main() -> None:
    """Run the command of sys.argv; foreseen errors become one line and an exit code.

    SIGTERM ends it as Ctrl-C does: at once, wherever it is, and what is half written is removed.
    """
    before, safe = signal.getsignal(signal.SIGTERM), os.environ.get("PYTHONSAFEPATH", "")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _run_command()
    except _Terminated:
        _fail("stopped by signal 15", 128 + signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
        os.environ["PYTHONSAFEPATH"] = safe  # an empty text is none


def _run_command() -> None:
    # No process that is started from here finds modules in the current folder, which may be a stranger's.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        _run()
    except (FramecastError, MemoryError, RuntimeError, OSError) as error:
        failure = describe_failure(error)
        if failure is None:
            raise
        _fail(*failure)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _run() -> None:
    """Run the command, and flush what it printed while a failure can still be told."""
    threading.excepthook = _note_thread
    try:
        app()
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at the exit
            if error.errno != errno.EPIPE:  # who reads no further has seen enough
                error.filename = "standard output"
                raise


def _note_thread(args: threading.ExceptHookArgs) -> None:
    """Say nothing of a full disk that a thread met, as TensorBoard's: the main thread meets it too, and says so."""
    if not is_disk_full(args.exc_value):
        threading.__excepthook__(args)


def _fail(text: str, code: int) -> None:
    print(f"error: {escape(text)}", file=sys.stderr)
    sys.exit(code)
