"""Who holds a run: nobody who is dead, and no worker that was forked from who held it."""

import os
import signal
import subprocess
import sys

import pytest
from tests.fixtures.runs import ENVIRONMENT

from framecast.errors import RunInUse
from framecast.runs.folder import RunFolder

HOLDER = """
import os, sys, time
from framecast.runs.folder import RunFolder

with RunFolder(sys.argv[1]).lock():
    worker = os.fork()
    if not worker:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no process")
def test_a_dead_process_and_its_living_workers_hold_nothing(tmp_path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as holder:
        worker = int(holder.stdout.readline())
        try:
            with pytest.raises(RunInUse, match="in use by another process"), RunFolder(tmp_path / "run").lock():
                pass
            holder.kill()
            holder.wait()
            os.kill(worker, 0)  # it lives
            with RunFolder(tmp_path / "run").lock():
                pass
        finally:
            holder.kill()
            os.kill(worker, signal.SIGKILL)
    assert [path.name for path in (tmp_path / "run").iterdir()] in ([], ["lock"])
