"""What a hindcast costs in one process and on workers of Dask, and how many empty tasks the scheduler passes on.

    OMP_NUM_THREADS=1 python -m benchmarks.archives --days 2 --pairs 3

An archive of made-up rain is forecast in one process, and by one and two workers, one after the other, as often as
asked; medians. The last line is of tasks that do nothing: what the scheduler itself takes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import xarray

PLACES = {"one process": (), "--dask local:1": ("--dask", "local:1"), "--dask local:2": ("--dask", "local:2")}
EMPTY = 2000
"""Tasks that do nothing."""


def main(
    run: Annotated[str, typer.Argument(help="A run, a model's folder, a trained model or a baseline.")] = "rain",
    days: Annotated[float, typer.Option(help="Of frames every five minutes.")] = 1.0,
    size: Annotated[int, typer.Option(help="Rows and columns.")] = 140,
    pairs: Annotated[int, typer.Option(help="Rounds.")] = 3,
) -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        archive = make_archive(Path(folder) / "rain.nc", round(days * 288), size)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in PLACES}
        for number in range(pairs):
            for name, words in PLACES.items():
                out = Path(folder) / f"{number}{len(words)}{words[-1:]}.zarr"
                found[name].append(measure(run, archive, out, words))
    forecasts = round(days * 288) - 10 - 10 + 1
    about = f"{forecasts} forecasts of {size} x {size}, 10 in, 10 out"
    print(f"| {about} | wall s | CPU s | forecasts a second |\n|---|---|---|---|")
    for name, times in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {forecasts / wall:.1f} |")
    print(f"\nempty tasks: {count_empty():.0f} a second")


def make_archive(path: Path, frames: int, size: int) -> Path:
    """Make showers that drift, in mm/h."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    centres, widths = random.uniform(0, size, (40, 2)), random.uniform(3, 9, 40)
    rain = np.zeros((frames, size, size), np.float32)
    for (row, column), width in zip(centres, widths, strict=True):
        for number in range(frames):
            at = (column + 0.9 * number) % size
            rain[number] += 12 * np.exp(-((y - row) ** 2 + (x - at) ** 2) / width**2)
    times = np.datetime64("2020-06-01", "ns") + np.arange(frames) * np.timedelta64(5, "m")
    attributes = {"units": "mm/h", "standard_name": "rainfall_rate"}
    coordinates = {"time": times, "y": np.arange(size) * 1000.0, "x": np.arange(size) * 1000.0}
    xarray.Dataset({"rain": (("time", "y", "x"), rain, attributes)}, coordinates).to_netcdf(path)
    return path


def measure(run: str, archive: Path, out: Path, words: tuple[str, ...]) -> tuple[float, float]:
    """Time a hindcast: wall and processor seconds of its processes."""
    given = ("hindcast", run, str(archive), "--out", str(out), "--context", "10", "--horizon", "10", "-q")
    scored = ("--metrics", "mse,csi", "--thresholds", "1,5", "--baselines", "persistence")
    before, begun = os.times(), time.monotonic()
    subprocess.run([sys.executable, "-m", "framecast", *given, *scored, *words], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, spent


def count_empty() -> float:
    """Count the empty tasks that two workers do in a second."""
    from framecast.archives.workers import open_client

    with open_client("local:2") as client:
        client.gather(client.map(_do_nothing, range(10)))
        begun = time.monotonic()
        client.gather(client.map(_do_nothing, range(10, 10 + EMPTY)))
        return EMPTY / (time.monotonic() - begun)


def _do_nothing(number: int) -> int:
    return number


if __name__ == "__main__":
    typer.run(main)
