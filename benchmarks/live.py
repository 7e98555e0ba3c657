"""Time from a file to its forecast on the map, station by station: `framecast serve MODEL --watch` gets files one by one.

    python -m benchmarks.live rain ../shared/data/raw/knmi_hdf5

Each cell has the seconds after the file had its name, and the processor time that the service took up to there. With
`OMP_NUM_THREADS=1` the latter is what a machine with nothing else to do would take, besides `--settle` and `--poll`.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

STATIONS = ("seen", "read", "forecast", "written", "announced", "shown", "all pictures", "ready")
"""What is timed; shown is the first predicted frame as a picture, ready the end of all work, the next window prepared."""
LONGEST = 600.0
"""Seconds after which a file is given up."""


def main(
    model: Annotated[str, typer.Argument(help="A run, a model's folder, or a trained model.")],
    folder: Annotated[Path, typer.Argument(help="Files in the order of their names.")],
    count: Annotated[int, typer.Option(help="Newest files of the folder that are used.")] = 14,
    timed: Annotated[int, typer.Option(help="Of these the last so many are timed.")] = 4,
    rest: Annotated[
        bool, typer.Option(help="Drop a file when all work is done; else once the last one is shown.")
    ] = True,
    options: Annotated[str, typer.Option(help="Of framecast serve.")] = "",
) -> None:
    """Measure, and print a table in Markdown."""
    files = sorted(folder.iterdir())[-count:]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "in").mkdir()
        for path in files[:-timed]:
            shutil.copy(path, root / "in")
        server = Server(model, root, options.split())
        try:
            server.wait_for_station("ready")
            for path in files[-timed:]:
                rows.append(server.drop(path, rest=rest))
                print(path.name, json.dumps(rows[-1]), file=sys.stderr, flush=True)
        finally:
            server.stop()
    print(f"| {folder.name} | " + " | ".join(STATIONS) + " |")
    print("|---" * (len(STATIONS) + 1) + "|")
    for word, choose in (("median", np.median), ("longest", np.max)):
        cells = []
        for station in STATIONS:
            found = [row[station] for row in rows if station in row]
            cells.append("{:.1f} ({:.1f})".format(*choose(np.array(found), 0)) if found else "")
        print(f"| {word} | " + " | ".join(cells) + " |")


class Server:
    """The service in a process of its own, which tells when it reaches a station.

    Args:
        model: that forecasts.
        root: with a folder `in`.
        options: of framecast serve.
    """

    def __init__(self, model: str, root: Path, options: list[str]) -> None:
        self.folder = root / "in"
        words = ["serve", model, "--watch", str(self.folder), "--out", str(root / "out"), "--port", "0", *options]
        words = [sys.executable, "-m", "benchmarks.live", "--child", *words]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.stations: queue.Queue[tuple[str, float, float]] = queue.Queue()
        self.url: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.client = httpx.Client(base_url=self.url.get(timeout=LONGEST), timeout=LONGEST)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if (found := re.search(r"at (http://\S+)/$", line.strip())) is not None:
                self.url.put(found[1])
            elif line.startswith("station "):
                name, at, spent = json.loads(line.removeprefix("station "))
                self.stations.put((name, at, spent))
            else:
                print(line, end="", file=sys.stderr)

    def wait_for_station(self, name: str) -> dict[str, tuple[float, float]]:
        """Wait for a station; return the first time of each that came, of `ready` after the announcement."""
        reached: dict[str, tuple[float, float]] = {}
        while name not in reached:
            station, at, spent = self.stations.get(timeout=LONGEST)
            if station != "ready" or "announced" in reached:
                reached.setdefault(station, (at, spent))
        return reached

    def drop(self, path: Path, *, rest: bool) -> dict[str, tuple[float, float]]:
        """Put a file in the folder; return seconds and processor seconds from there to each station."""
        before = self._ask("/latest")["reference_time"]
        while not self.stations.empty():
            self.stations.get()
        (self.folder / ".part").write_bytes(path.read_bytes())
        os.utime(self.folder / ".part")
        start, spent = time.time(), processor_seconds(self.process.pid)
        (self.folder / ".part").replace(self.folder / path.name)
        end = time.monotonic() + LONGEST
        while self._ask("/latest")["reference_time"] == before and time.monotonic() < end:
            time.sleep(0.05)
        frames = self._ask("/map.json")["frames"]
        times = {}
        for station, chosen in (("shown", frames[-self._count_ahead(frames) :][:1]), ("all pictures", frames)):
            for frame in chosen:
                self.client.get("/" + frame["url"]).raise_for_status()
            times[station] = time.time(), processor_seconds(self.process.pid)
        times |= self.wait_for_station("ready" if rest else "announced")
        return {name: (round(at - start, 2), round(cpu - spent, 2)) for name, (at, cpu) in times.items()}

    @staticmethod
    def _count_ahead(frames: list[dict[str, Any]]) -> int:
        return sum(frame["kind"] == "forecast" for frame in frames)

    def _ask(self, address: str) -> dict[str, Any]:
        while (answer := self.client.get(address)).status_code == 503:
            time.sleep(0.1)
        content: dict[str, Any] = answer.raise_for_status().json()
        return content

    def stop(self) -> None:
        """End the service."""
        self.process.terminate()
        self.process.wait(LONGEST)


def processor_seconds(process: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve(words: list[str]) -> None:
    """Run the command, and print a line at each station."""
    from framecast.cli import main as run_command
    from framecast.live import intake, ladder, publish

    try:
        from framecast.live.watcher import Watcher
    except ImportError:  # as it was before the next window was prepared
        from framecast.live.loop import Watcher  # type: ignore[attr-defined, no-redef]

    def note(owner: Any, method: str, station: str, is_reached: Callable[[Any], bool] = lambda result: True) -> None:
        original = getattr(owner, method)

        def noted(*arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            if is_reached(result):
                print("station", json.dumps([station, time.time(), time.process_time()]), flush=True)
            return result

        setattr(owner, method, noted)

    note(intake.Inbox, "find_news", "seen", bool)
    note(intake.Intake, "take_all", "read", bool)
    note(ladder.Ladder, "forecast", "forecast")
    note(publish.Publisher, "_write", "written", lambda result: True)
    note(publish.Publisher, "publish", "announced")
    if hasattr(Watcher, "prepare"):
        note(Watcher, "prepare", "ready", lambda is_left: not is_left)
    else:
        note(Watcher, "look", "ready", lambda look: look.published is not None)
    sys.argv = ["framecast", *words]
    run_command()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        serve(sys.argv[2:])
    else:
        typer.run(main)
