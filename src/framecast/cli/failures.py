"""Failures that are no bugs, in one line and an exit code: of disks, of memory, of files that are not there."""

from __future__ import annotations

from typing import NamedTuple

from framecast.errors import DiskFull, FramecastError, is_disk_full

OUT_OF_MEMORY = 6
"""Exit code; the others are those of `framecast.errors`."""


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
        return Failure(str(error), error.exit_code)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _is_out_of_memory(str(error))):
        words = [str(error).partition("\n")[0]] if str(error) else []
        return Failure(
            f"{': '.join(['out of memory', *words])}; use smaller batches, or train.accumulate", OUT_OF_MEMORY
        )
    if isinstance(error, OSError) and error.strerror:
        fix = "look at its name, and whether it may be read or written"
        return Failure(str(FramecastError(str(error.filename or "file"), got=error.strerror, fix=fix)), 2)
    return Failure(str(error), 2) if isinstance(error, OSError) else None


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
