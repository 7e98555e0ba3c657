"""The command line within this process: what a stranger meets, but for the seconds that starting takes, and warnings."""

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import jaxtyping
import pytest

from framecast import kernels
from framecast.cli import main


class Done(NamedTuple):
    stdout: str
    stderr: str


def framecast(*words: object, code: int = 0, cwd: Path | None = None) -> Done:
    said, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, unchecked(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(cwd or os.getcwd())
        patch.setattr(sys, "argv", ["framecast", *map(str, words)])
        patch.setattr(sys, "path", list(sys.path))
        patch.setenv("COLUMNS", "100")
        try:
            with redirect_stdout(said), redirect_stderr(errors), pytest.raises(SystemExit) as stopped:
                main()
        finally:
            kernels.set_precision("auto")
            kernels.set_memory("fast")
    done = Done(said.getvalue(), errors.getvalue())
    assert int(stopped.value.code or 0) == code, f"{stopped.value.code}: {done.stdout}\n{done.stderr}"
    return done


@contextmanager
def unchecked() -> Iterator[None]:
    """Shapes are not looked at: that takes half the time of a training, and other tests do it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
