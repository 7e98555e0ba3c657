"""Runs commands in the server of commands: whole, ended at a system call, or with an error of one."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).with_name("syscalls.c")
ROOT = Path(__file__).parents[3]
FOREVER = 2**62
STOP = -1


class Ended(NamedTuple):
    """A command that has ended."""

    code: int | None
    """Exit code; negative for a signal; None for one that hung."""
    stdout: str
    stderr: str
    calls: list[str]
    """Counted system calls: number, name and path."""


class Shim:
    """Server of commands, and the library of system calls that it puts on.

    Args:
        process: the server.
        folder: for what commands print.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder, self.runs = process, folder, 0

    def run(
        self,
        words: list[str],
        folder: Path,
        *,
        watched: Path | None = None,
        first: int = 0,
        until: int = FOREVER,
        error: int = 0,
        states: Path | None = None,
        learn: bool = False,
        seconds: float = 120,
    ) -> Ended:
        """Run a command.

        Args:
            words: of the command line, without framecast.
            folder: current folder.
            watched: beginning of the paths whose changes are counted; None to count none.
            first: number of the call at which it dies, or meets the error; 0 for none.
            until: number of the last call that meets the error.
            error: number of the error; 0 to die; STOP to wait before each call.
            states: empty folder for what the watched one holds at each of these, under the number of the call.
            learn: whether the server imports what this command needed.
            seconds: after which it is killed.
        """
        self.runs += 1
        place = Path(tempfile.mkdtemp(dir=self._folder))
        request = {"words": words, "folder": str(folder), "place": str(place), "learn": learn, "seconds": seconds}
        request |= {"watched": None if watched is None else str(watched), "first": first, "until": until}
        request |= {"error": error, "states": None if states is None else str(states)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["threads"] == 1, "a fork of a process with threads may hang"
        texts = [
            (place / name).read_text() if (place / name).exists() else "" for name in ("stdout", "stderr", "calls")
        ]
        shutil.rmtree(place)
        return Ended(answer["code"], texts[0], texts[1], texts[2].splitlines())


def compile_shim(folder: Path) -> Path:
    """Compile the library; skips the test where there is no compiler or another kind of system."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the filter of system calls is for Linux on x86-64")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on the path")
    library = folder / "syscalls.so"
    words = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", str(SOURCE), "-o", str(library)]
    subprocess.run(words, check=True, capture_output=True, text=True)
    return library


@contextmanager
def open_shim(folder: Path) -> Iterator[Shim]:
    """Start a server; it ends with the context. Skips where the kernel allows no filter.

    Args:
        folder: empty, for its files.
    """
    library = compile_shim(folder)
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **one, "MPLBACKEND": "agg", "COLUMNS": "100", "TMPDIR": str(folder)}
    words = [sys.executable, "-m", "tests.faults.shim.server", str(library)]
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        shim = Shim(process, folder)
        tried = shim.run(["--version"], folder, watched=folder)
        if "AssertionError" in tried.stderr:
            pytest.skip(f"no filter of system calls: {tried.stderr.splitlines()[-1]}")
        yield shim
    finally:
        process.communicate()
