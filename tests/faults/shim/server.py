"""Server of commands: imports framecast once, and forks for each command, with the filter of syscalls.c put on.

Requests and answers are lines of JSON on its standard input and output.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

LIBRARY = ctypes.CDLL(sys.argv[1]) if len(sys.argv) > 1 else None


def run_child(request: dict[str, Any], place: Path) -> None:
    """Run a command in this process, which is a fork, and end it."""
    for number, name in ((0, os.devnull), (1, place / "stdout"), (2, place / "stderr")):
        descriptor = os.open(name, os.O_RDONLY if number == 0 else os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
    os.chdir(request["folder"])
    os.environ.update(request.get("environment", {}))
    code = 1
    try:
        from framecast.cli import main

        sys.argv = ["framecast", *request["words"]]
        if request.get("watched") is not None:
            assert LIBRARY is not None
            log = os.open(place / "calls", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            watched, numbers = os.fsencode(request["watched"]), (request["first"], request["until"])
            failed = LIBRARY.arm(watched, *map(ctypes.c_long, numbers), request["error"], log)
            assert failed == 0, os.strerror(-failed)
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 -- what the interpreter would do
        traceback.print_exc()
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        if request.get("learn"):
            (place / "modules").write_text("\n".join(sys.modules))
        os._exit(code)


def wait(child: int, seconds: float, watched: Path | None, states: Path | None) -> int | None:
    """Wait for a process, and copy the watched folder each time that it stops.

    Returns:
        its exit code, negative for a signal, None where it was killed as time was over.
    """
    end, pause, stops = time.monotonic() + seconds, 0.001, 0
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            assert watched is not None
            assert states is not None
            stops, pause = stops + 1, 0.001
            shutil.copytree(watched, states / str(stops), symlinks=True)
            os.kill(child, signal.SIGCONT)
        elif ended:
            return os.waitstatus_to_exitcode(status)
        else:
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def learn(place: Path) -> None:
    """Import what a command has imported, so that the next one need not."""
    for name in (place / "modules").read_text().splitlines():
        if name not in sys.modules and not name.startswith(("tests", "__")):
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 -- a module that another one puts there under its name
                continue


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("framecast.cli", "framecast.training.start", "framecast.report", "matplotlib.figure"):
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        place = Path(request["place"])
        child = os.fork()
        if child == 0:
            run_child(request, place)
        folders = [None if request.get(key) is None else Path(request[key]) for key in ("watched", "states")]
        code = wait(child, request["seconds"], *folders)
        if request.get("learn") and code == 0:
            learn(place)
        print(json.dumps({"code": code, "threads": len(os.listdir("/proc/self/task"))}), flush=True)


if __name__ == "__main__":
    main()
