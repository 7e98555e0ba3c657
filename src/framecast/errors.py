"""Errors of framecast. Each names the thing that is wrong, the value got, the value expected, and the fix."""

from __future__ import annotations

import errno
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LONGEST_PART = 1000
"""Letters of a name or value in an error, at most: what a damaged or hostile file holds may be of any length."""
_CONTAINERS = (list, tuple, dict, set, frozenset)


class FramecastError(Exception):
    """Base of all errors that framecast raises on purpose; `exit_code` is what the command line returns.

    One line of text, of bounded length: a name in a damaged file may hold anything, so that what cannot be printed is
    escaped, and what is long is shortened.

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
        parts = [] if got is None else [f"got {abbreviate(got)}"]
        parts += [] if expected is None else [f"expected {abbreviate(expected)}"]
        text = f"{abbreviate(what)}: {', '.join(parts)}" if parts else abbreviate(what)
        super().__init__(escape(f"{text}; {abbreviate(fix)}" if fix else text))
        self.what = escape(abbreviate(what))

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
        near = find_nearest(got, names)
        fix = fix if near is None else f"did you mean {near}?"
        return cls(what, got=repr(got), expected=expected or f"one of {', '.join(names)}", fix=fix)


SYNONYMS = {
    "epochs": "steps",
    "iterations": "steps",
    "learningrate": "lr",
    "minibatch": "batch_size",
    "variable": "var",
    "channel": "var",
    "gray": "grey",
    "greyscale": "grey",
    "leadtime": "horizon",
    "gpu": "device",
    "output": "out",
    "input": "data",
    "verbose": "quiet",
    "opticalflow": "extrapolation",
    "advection": "extrapolation",
    "scale": "in_dbz",
    "climatology": "seasonal",
}
"""Words of other programs, in small letters alone, each with the one that framecast has for it."""
_LONGEST_WORD = 40


def find_nearest(got: str, known: Iterable[str]) -> str | None:
    """Find the known name that a user meant by a misspelt one: another word for it, its beginning, or some slips away.

    Args:
        got: the misspelt name; small and large letters, hyphens and underscores are alike.
        known: the names that can be used.

    Returns:
        the name; None where none is near.
    """
    names = {_plain(name): name for name in reversed(list(known))}
    word = _plain(got[: _LONGEST_WORD + 1])
    meant = _plain(SYNONYMS.get(word, word))
    if meant in names:
        return names[meant]
    if not word or len(word) > _LONGEST_WORD:
        return None
    longer = [name for name in names if len(word) > 2 and name.startswith(word)]
    shorter = [name for name in names if len(name) > 2 and word.startswith(name)]
    if longer:
        return names[min(longer, key=len)]
    # a misspelt beginning counts one slip more
    slips = {n: min(_count_slips(word, n), 1 + _count_slips(word, n[: len(word)])) for n in names}
    near = min(slips, key=lambda name: (slips[name], name[:1] != word[0]), default="")
    if shorter and slips[near] > 1:
        return names[max(shorter, key=len)]
    return names[near] if near and slips[near] <= max(1, len(word) // 3) < len(word) else None


def _plain(name: str) -> str:
    """Write a name without what users mix up: case, hyphens, pluses of a paper's name."""
    return name.lower().replace("-", "_").replace("+", "p").replace("_", "")


def _count_slips(one: str, other: str) -> int:
    """Count letters that are too many, missing, wrong, or swapped with their neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted)))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def abbreviate(value: object, *, quoted: bool = False) -> str:
    """Write a value for an error in `LONGEST_PART` letters at most, cut between words; containers by their first items.

    Args:
        value: any; of a long or deeply nested container only the beginning is looked at.
        quoted: whether a text gets quotation marks.
    """
    brief = isinstance(value, _CONTAINERS) or (quoted and isinstance(value, str))
    try:
        text = _BRIEF.repr(value) if brief else str(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        text = "a number of thousands of digits"
    if len(text) <= LONGEST_PART:
        return text
    start = text[: LONGEST_PART - 4]
    words, space, _ = start.rpartition(" ")
    return f"{words if space and 2 * len(words) > len(start) else start} ..."


def _make_brief() -> reprlib.Repr:
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring, brief.maxother, brief.maxlong = 4, 200, 200, 100
    brief.maxlist = brief.maxtuple = brief.maxdict = brief.maxset = brief.maxfrozenset = 16
    return brief


_BRIEF = _make_brief()


def make_printable(text: str) -> str:
    """Make a text fit for a terminal: escape what cannot be printed, line ends too, and shorten it as `abbreviate`."""
    return abbreviate(escape(text[: LONGEST_PART + 1]))


def escape(text: str, keep: str = "") -> str:
    """Escape characters that cannot be printed, line ends among them.

    Args:
        text: any.
        keep: characters that stay nevertheless.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else repr(letter)[1:-1] for letter in text)


class UsageError(FramecastError, ValueError):
    """An option, argument or recipe key that cannot be used.

    Example:
        >>> import framecast
        >>> try:
        ...     framecast.train("convlstm", stepps=3)
        ... except framecast.UsageError as error:
        ...     print(str(error).split("; ")[-1])
        did you mean steps?
    """

    exit_code = 2


class InputError(FramecastError, ValueError):
    """Data that cannot be used: its shape, range, dtype, missing pixels or the file itself.

    Example:
        >>> import framecast
        >>> try:
        ...     framecast.open_frames("nothing.nc")
        ... except framecast.InputError as error:
        ...     print(str(error).split(",")[0])
        nothing.nc: got no such file
    """

    exit_code = 3


class CheckpointError(FramecastError):
    """No valid checkpoint, or weights that do not fit."""

    exit_code = 4


class DiskFull(FramecastError, OSError):
    """A disk without space, a quota that is used up, or a file larger than its file system holds.

    Args:
        path: path that was to be written.
        error: error of the system, or of a library; its `errno` becomes that of this one.
        then: what to do once there is space; by default the same again.
    """

    exit_code = 5

    def __init__(self, path: str, error: BaseException, then: str = "run the command again") -> None:
        number = error.errno if isinstance(error, OSError) else None
        got = error.strerror if isinstance(error, OSError) and error.strerror else "No space left on device"
        super().__init__(path, got=got, expected="room for what is written", fix=f"free some space, then {then}")
        self.path = path
        self.errno = errno.ENOSPC if number is None else number


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is the cause of an error, by its number or, as of libraries that keep none, by its words."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            return True
        if not isinstance(error, FramecastError) and _NO_SPACE.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def naming_full_disk(path: object, then: str | None = None) -> Iterator[None]:
    """Turn the error of a full disk into one that names what was to be written; one that has a name keeps it.

    Args:
        path: name for the user.
        then: what to do once there is space; None for what the error says.

    Raises:
        DiskFull: there was no space.
    """
    try:
        yield
    except OSError as error:
        named = error.path if isinstance(error, DiskFull) else None
        if not is_disk_full(error) or (named is not None and then is None):
            raise
        cause = error.__cause__ if named is not None and error.__cause__ is not None else error
        raise DiskFull(named or str(path), cause, *([] if then is None else [then])) from error


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_SPACE = re.compile(r"no space left on|disk quota exceeded|file too large|errno = 28\b", re.IGNORECASE)


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
