"""Loop: look again and again, prepare the next forecast in between; one watcher for one output."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from framecast import files
from framecast.errors import RunInUse, UsageError
from framecast.live.intake import FAILURES
from framecast.live.publish import STATE
from framecast.live.watcher import Look, Watcher

SOON = 0.25
"""Part of the time for which a file must not change after which one that has just been seen is looked at again."""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Lock a folder of output for one watcher at a time, and remove what killed ones left half written.

    Raises:
        RunInUse: another process watches into it.
        UsageError: it cannot be made, or written to.
    """
    files.check_folder(out)
    lock = FileLock(out / STATE / "lock", blocking=False)
    try:
        (out / STATE).mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
    except Timeout as error:
        fix = "stop it, or choose another --out"
        raise RunInUse(f"{out} is in use by another watcher", fix=fix) from error
    except OSError as error:
        raise UsageError(str(out), got=str(error), expected="a folder that can be written to") from error
    with held:
        for folder in (out, out / STATE, *(out / STATE / name for name in ("files", "observed", "waiting"))):
            if folder.is_dir():
                files.remove_abandoned(folder)
        yield


def run(
    watcher: Watcher,
    say: Callable[[Look], None],
    describe: Callable[[BaseException], str],
    *,
    poll: float,
    settle: float,
    once: bool = False,
    ending: threading.Event | None = None,
) -> None:
    """Look again and again; once only, but for files that are still growing, where `once`.

    Args:
        watcher: looks.
        say: tells the user what a look brought.
        describe: tells an error in one line.
        poll: seconds between looks.
        settle: seconds after which a file that grew is looked at again.
        once: whether to end after one look; an error is then raised.
        ending: once set, no look begins any more; None to look for ever.
    """
    told, ending = "", ending or threading.Event()
    for number in range(3) if once else iter(int, 1):
        try:
            look = watcher.look()
            told = ""
        except FAILURES as error:
            if once:
                raise
            text = describe(error)
            look = Look([] if text == told else [f"{text}; the last forecast stays, and it is tried again"])
            told = text
        say(look)
        if once and look.failure is not None:
            raise look.failure
        if once and (not look.growing or number == 2):
            return
        seconds = settle if once else min(poll, settle * SOON) if look.growing else poll
        if _pause(watcher, seconds, ending, is_idle=not once):
            return


def _pause(watcher: Watcher, seconds: float, ending: threading.Event, *, is_idle: bool) -> bool:
    """Wait until the next look, and meanwhile prepare the next forecast; return whether the end was asked for."""
    end = time.monotonic() + seconds
    while is_idle and not ending.is_set() and time.monotonic() < end and watcher.prepare():
        pass
    return ending.wait(max(0.0, end - time.monotonic()))
