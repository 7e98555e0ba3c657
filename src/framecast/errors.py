"""Errors of framecast. Each names the thing that is wrong, the value got, the value expected, and the fix."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FramecastError(Exception):
    """Base of all errors that framecast raises on purpose; `exit_code` is what the command line returns.

    One line of text: a name in a damaged file may hold anything, and what cannot be printed is escaped.

    Args:
        what: the thing that is wrong, named as the user knows it (an argument, a file, a key).
        got: the value that is wrong.
        expected: the values that would be right.
        fix: action that repairs it.

    Example:
        >>> from framecast.errors import UsageError
        >>> str(UsageError("horizon", got=0, expected="at least 1", fix="leave it out for that of the training"))
        'horizon: got 0, expected at least 1; leave it out for that of the training'
    """

    exit_code = 1

    def __init__(self, what: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
        parts = [] if got is None else [f"got {got}"]
        parts += [] if expected is None else [f"expected {expected}"]
        text = f"{what}: {', '.join(parts)}" if parts else what
        super().__init__(_escape(f"{text}; {fix}" if fix else text))

    @classmethod
    def unknown(
        cls, what: str, got: str, known: Iterable[str], *, expected: str | None = None, fix: str | None = None
    ) -> FramecastError:
        """Make an error of this class for an unknown name, with the nearest known name as its fix.

        Args:
            what: the thing that takes a name: an option, a key.
            got: the unknown name.
            known: the names that can be used.
            expected: description of the right names; by default a list of the known ones.
            fix: action where no known name is near.
        """
        names = list(known)
        near = get_close_matches(got.lower(), names, 1)
        fix = f"did you mean {near[0]}?" if near else fix
        return cls(what, got=repr(got), expected=expected or f"one of {', '.join(names)}", fix=fix)


def _escape(text: str) -> str:
    """Escape characters that cannot be printed, line ends among them."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class UsageError(FramecastError, ValueError):
    """An option, argument or recipe key that cannot be used."""

    exit_code = 2


class InputError(FramecastError, ValueError):
    """Data that cannot be used: its shape, range, dtype, missing pixels or the file itself."""

    exit_code = 3


class CheckpointError(FramecastError):
    """No valid checkpoint, or weights that do not fit."""

    exit_code = 4


class NonFiniteLoss(FramecastError):
    """The loss or a gradient became NaN or infinite; nothing of that step was saved."""

    exit_code = 7


class WrongNumbers(FramecastError):
    """An implementation gives other numbers than the reference; it is not timed."""

    exit_code = 8


class RunInUse(FramecastError):
    """Another process holds the run folder."""

    exit_code = 73


class Stopped(FramecastError):
    """A signal requested the end; the run was saved. `exit_code` is 128 + the number of the signal."""

    def __init__(self, signal_number: int, step: int, command: str) -> None:
        super().__init__(f"stopped by signal {signal_number} after step {step}; saved; go on with {command}")
        self.exit_code = 128 + signal_number
