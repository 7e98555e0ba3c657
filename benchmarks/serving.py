"""Load of `framecast serve`: so many clients that ask again and again, each answer compared with the direct call.

    python -m benchmarks.serving digits --clients 1,16,64,128 --seconds 20

A client that is told to come again waits half a second. One line a setting: answers, refusals, time of an answer,
processor time of the server for each answer, its memory and threads. Clients run on the same machine.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer

from framecast.forecasting.model_folder import load

HORIZON = 10
DIFFERENT = 8
"""Requests that differ."""


def main(
    run: Annotated[str, typer.Argument(help="A run, a model's folder, or a trained model.")] = "digits",
    clients: Annotated[str, typer.Option(help="Numbers of clients.")] = "1,16,64,128",
    seconds: Annotated[float, typer.Option(help="Of each setting.")] = 20.0,
    size: Annotated[int, typer.Option(help="Rows and columns.")] = 64,
    batches: Annotated[str, typer.Option(help="Largest batches.")] = "16",
) -> None:
    """Measure, and print a table in Markdown."""
    model = load(run)
    random = np.random.default_rng(0)
    low, high = model.spec.low, model.spec.high
    frames = random.uniform(low, high, (DIFFERENT, model.context or 10, size, size)).astype(np.float32)
    bodies, expected = [], []
    for one in frames:
        content = io.BytesIO()
        np.save(content, one)
        bodies.append(content.getvalue())
        expected.append(model.predict(one, HORIZON))
    print("| batch | clients | answers | 503 | p50, s | p95, s | CPU ms an answer | memory MB | threads |")
    print("|---|---|---|---|---|---|---|---|---|")
    for batch in map(int, batches.split(",")):
        for count in map(int, clients.split(",")):
            measure(run, count, seconds, batch, bodies, expected)


def measure(
    run: str, clients: int, seconds: float, batch: int, bodies: list[bytes], expected: list[np.ndarray]
) -> None:
    """Measure one setting with a server of its own, and print its line."""
    words = [sys.executable, "-m", "framecast", "serve", run, "--port", "0", "--max-batch", str(batch)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert server.stdout is not None
    found = re.search(r"at (http://\S+)/", server.stdout.readline())
    assert found is not None
    try:
        while httpx.get(f"{found[1]}/health", timeout=60).status_code != 200:
            time.sleep(0.1)
        before = processor_seconds(server.pid)
        times, refused = asyncio.run(ask_all(found[1], clients, seconds, bodies, expected))
        spent = processor_seconds(server.pid) - before
        status = Path(f"/proc/{server.pid}/status").read_text()
        memory, threads = (int(status.partition(f"{name}:")[2].split()[0]) for name in ("VmHWM", "Threads"))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    middle, late = np.quantile(times, (0.5, 0.95))
    print(
        f"| {batch} | {clients} | {len(times)} | {refused} | {middle:.2f} | {late:.2f} | {1000 * spent / len(times):.0f} "
        f"| {memory / 1000:.0f} | {threads} |",
        flush=True,
    )


async def ask_all(
    url: str, clients: int, seconds: float, bodies: list[bytes], expected: list[np.ndarray]
) -> tuple[list[float], int]:
    """Ask by so many clients; the time of each answer, and how often they were told to come again."""
    times: list[float] = []
    refused = 0
    end = time.monotonic() + seconds

    async def ask(number: int) -> None:
        nonlocal refused
        turn = number
        while time.monotonic() < end:
            start = time.monotonic()
            answer = await client.post(f"{url}/predict?horizon={HORIZON}", content=bodies[turn % DIFFERENT])
            if answer.status_code == 503:
                refused += 1
                await asyncio.sleep(0.5)
                continue
            assert answer.status_code == 200, answer.text
            times.append(time.monotonic() - start)
            np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected[turn % DIFFERENT])
            turn += 1

    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=clients)) as client:
        await asyncio.gather(*(ask(number) for number in range(clients)))
    return times, refused


def processor_seconds(process: int) -> float:
    """Processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    typer.run(main)
