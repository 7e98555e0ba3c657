"""Failures that are no bugs, in one line and an exit code: of disks, of memory, of files that are not there."""

from __future__ import annotations

import re
from typing import NamedTuple

from framecast.errors import DiskFull, FramecastError, is_disk_full

OPTIONS = {
    "variable": "--var",
    "dims": "--dims",
    "times": "--times",
    "range": "--range",
    "missing": "--missing",
    "units": "--units",
    "shrink": "--shrink",
    "step_minutes": "--step-minutes",
    "unpack_limit": "--unpack-limit",
    "frames": "--frames",
    "axes": "--axis",
    "context": "--context",
    "horizon": "--horizon",
    "seed": "--seed",
    "lr": "--lr",
    "steps": "--steps",
    "batch_size": "--batch-size",
    "baseline": "--baselines",
    "scales": "--scales",
    "in_dbz": "--in-dbz",
    "source": "--source",
    "model": "--model",
    "patch": "--patch",
    "size": "--size",
}
"""{key of a recipe or keyword in Python: option of the command line}."""
_PYTHON = (
    (r"\bmodel=Class\b", "--class package.module:Class"),
    (r"\bmodel='([^']+)'", r"--class \1"),
    (r"\bcheck patch and size\b", "check --patch and --size"),
    (r"\bhow large patches were: patch\b", "how large patches were: --patch"),
    (r"(?<!-)\bset ((?:train|data|validate|loss)\.\w+=\S+)", r"say --set \1"),
)
"""Words of Python in errors, each with those of the command line."""
OUT_OF_MEMORY = 6
"""Exit code; the others are those of `framecast.errors`."""
PROCESS_LOST = 9
"""Exit code of a training whose other processes ended without a word to this one."""
_LOST = re.compile(r"third_party/gloo|\bNCCL\b|Connection (?:closed|reset) by peer", re.IGNORECASE)


class Failure(NamedTuple):
    """One line for the user, and the exit code."""

    text: str
    code: int


def describe_failure(error: BaseException) -> Failure | None:
    """Describe an error that the user can do something about; None for one that is a bug.

    Args:
        error: what a command raised.
    """
    if is_disk_full(error) and not isinstance(error, DiskFull):
        error = DiskFull(_find_path(error), _find_system_error(error))
    if isinstance(error, FramecastError):
        return Failure(name_options(error), error.exit_code)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _is_out_of_memory(str(error))):
        words = [str(error).partition("\n")[0]] if str(error) else []
        return Failure(
            f"{': '.join(['out of memory', *words])}; use a smaller --batch-size, or --set train.accumulate=2",
            OUT_OF_MEMORY,
        )
    if isinstance(error, RuntimeError) and (type(error).__name__.startswith("Dist") or _LOST.search(str(error))):
        text = "another process of this training has ended, or cannot be reached: what it printed says why"
        return Failure(f"{text}; framecast resume goes on from the last checkpoint", PROCESS_LOST)
    if isinstance(error, OSError) and error.strerror:
        fix = "look at its name, and whether it may be read or written"
        return Failure(str(FramecastError(str(error.filename or "file"), got=error.strerror, fix=fix)), 2)
    return Failure(str(error), 2) if isinstance(error, OSError) else None


def name_options(error: FramecastError) -> str:
    """Write an error with the options of the command line in place of keys of recipes and keywords of Python."""
    text, what = str(error), error.what
    place, _, key = what.rpartition(": ")
    if text.startswith(f"{what}:") and (option := OPTIONS.get(key.removeprefix("data.").removeprefix("train."))):
        text = f"{place}: {option}{text[len(what) :]}" if place else f"{option}{text[len(what) :]}"
    text = re.sub(r"(?<![\w.])(?<!--set )\b(?:data|train)\.(\w+)\b(?!=)", _name_option, text)
    for python, words in _PYTHON:
        text = re.sub(python, words, text)
    return text


def _name_option(key: re.Match[str]) -> str:
    return OPTIONS.get(key[1], key[0])


def _is_out_of_memory(text: str) -> bool:
    # torch has no class for it on a CPU
    return "out of memory" in text or "can't allocate memory" in text


def _find_system_error(error: BaseException) -> BaseException:
    """Find the error of the system that led to another error; that one itself where there is none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def _find_path(error: BaseException) -> str:
    filename = getattr(_find_system_error(error), "filename", None)
    return "output" if filename is None else str(filename)
