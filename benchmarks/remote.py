"""How long a training waits for its data: a Zarr on the disk, and the same one in a bucket behind HTTP.

    OMP_NUM_THREADS=1 python -m benchmarks.remote --steps 60

A server of buckets (moto) runs on this machine, so that the network takes no time, and the server takes some of the
processor's. Shares are those of timing.jsonl, the time until a batch was there over the time of an iteration, without
the first lines, which hold the start of workers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from benchmarks.archives import make_archive

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def main(
    steps: Annotated[int, typer.Option(help="Iterations.")] = 60,
    size: Annotated[int, typer.Option(help="Rows and columns.")] = 128,
    hidden: Annotated[int, typer.Option(help="Channels of each of two layers.")] = 32,
    frames: Annotated[int, typer.Option(help="Of the archive.")] = 300,
) -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder, run_server() as environment:
        here, there = write_stores(Path(folder), frames, size, environment)
        print(f"| {frames} frames of {size} x {size}, batches of 4 | workers | ms an iteration | share waited |")
        print("|---|---|---|---|")
        for name, place in (("on disk", here), ("in a bucket", there)):
            for workers in (0, 1):
                out = Path(folder) / f"{name[:2]}{workers}"
                pace, share = measure(place, out, workers, steps, hidden, environment)
                print(f"| {name} | {workers} | {1000 * pace:.0f} | {share:.1%} |", flush=True)


@contextmanager
def run_server() -> Iterator[dict[str, str]]:
    """Run a server of buckets; give the environment that leads to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield {**KEYS, "AWS_ENDPOINT_URL": address}
    finally:
        server.terminate()
        server.wait()


def write_stores(folder: Path, frames: int, size: int, environment: dict[str, str]) -> tuple[str, str]:
    """Write the frames on disk and into the bucket, a chunk for each four."""
    import boto3
    import xarray

    os.environ.update(environment)
    boto3.client("s3").create_bucket(Bucket="radar")
    places = str(folder / "rain.zarr"), "s3://radar/rain.zarr"
    with xarray.open_dataset(make_archive(folder / "rain.nc", frames, size)) as rain:
        for place in places:
            rain.to_zarr(place, zarr_format=3, encoding={"rain": {"chunks": (4, size, size)}})
    return places


def measure(
    place: str, out: Path, workers: int, steps: int, hidden: int, environment: dict[str, str]
) -> tuple[float, float]:
    """Train; return the seconds of an iteration and the share of them in which data were waited for."""
    options: dict[str, Any] = {
        "model.hidden": f"[{hidden},{hidden}]",
        "patch": 4,
        "train.workers": workers,
        "train.log_every": 10,
        "validate.every": steps,
        "validate.sequences": 2,
    }
    given = [
        "convlstm",
        "--data",
        place,
        "--context",
        "5",
        "--horizon",
        "5",
        "--batch-size",
        "4",
        "--steps",
        str(steps),
    ]
    words = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "framecast", "train", *given, *words, "--out", str(out), "-q", "--device", "cpu"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    lines = [json.loads(line) for line in (out / "timing.jsonl").read_text().splitlines()]
    timed = [line for line in lines if line["event"] == "timing"][1:]
    pace = sum(line["seconds_per_step"] for line in timed) / len(timed)
    waited = sum(line["seconds_per_step"] * line["share_waited"] for line in timed)
    return pace, waited / sum(line["seconds_per_step"] for line in timed)


if __name__ == "__main__":
    typer.run(main)
