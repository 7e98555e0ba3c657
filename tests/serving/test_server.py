"""A real server in a process of its own: many clients, slow and hostile ones, tokens, signals, another model."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.fixtures.live import SPEC, tiny_model
from tests.fixtures.mutations import mutated
from tests.fixtures.runs import command, run_forked
from tests.fixtures.served import RealServer, blobs, from_npy, to_npy, to_npz, to_zip

from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import save_forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def server(tiny_folder: Path, placeless: Path):
    words = ["--out", str(placeless), "--max-age", "9000d", "--queue", "8", "--max-body", "1MB", "--horizon", "3"]
    real = RealServer(str(tiny_folder), *words)
    real.wait()
    yield real
    real.stop(signal.SIGKILL)


def held_bytes(server: RealServer) -> int:
    status = Path(f"/proc/{server.process._process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


async def hammer(url: str, clients: int, seconds: float, body, check) -> dict[int, int]:
    """So many clients that ask again and again; the number of answers by status."""
    counts: dict[int, int] = {}
    end = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients)

    async def ask(number: int) -> None:
        turn = 0
        while time.monotonic() < end:
            content = body(number, turn)
            answer = await client.post(f"{url}/predict", content=content)
            counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
            if answer.status_code == 200:
                check(number, turn, answer.content)
            else:
                assert int(answer.headers["retry-after"]) >= 1
                await asyncio.sleep(0.25)
            turn += 1

    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        await asyncio.gather(*(ask(number) for number in range(clients)))
    return counts


def load_test(server: RealServer, clients: int, seconds: float) -> None:
    shapes = [(4, 24, 24), (3, 24, 24), (2, 1, 16, 20)]
    frames = [blobs(n, *shapes[n % 3]) for n in range(12)]
    bodies, expected = [to_npy(one) for one in frames], [tiny_model().predict(one, 3) for one in frames]

    def check(number: int, turn: int, content: bytes) -> None:
        np.testing.assert_array_equal(from_npy(content), expected[(number + turn) % 12])

    before = held_bytes(server)
    counts = asyncio.run(hammer(server.url, clients, seconds, lambda n, turn: bodies[(n + turn) % 12], check))
    print(f"{clients} clients, {seconds:g} s: {counts}, {(held_bytes(server) - before) / 1e6:.0f} MB more")
    assert set(counts) <= {200, 503}, counts
    assert counts[200] > 10
    assert counts[503] > 0, "more clients than the queue holds"
    assert held_bytes(server) - before < 150e6
    text = httpx.get(f"{server.url}/metrics").text
    assert "framecast_waiting 0.0" in text


def test_128_clients_get_the_bits_of_the_direct_call_or_are_told_to_wait(server: RealServer) -> None:
    load_test(server, 128, 3)


@pytest.mark.slow
def test_128_clients_for_a_minute(server: RealServer) -> None:
    load_test(server, 128, 60)


def mutate_bodies(server: RealServer, count: int, tmp_path: Path) -> None:
    import xarray

    array = xarray.DataArray(blobs(0, 4, 24, 24), dims=("time", "y", "x"), name="rain")
    array.to_netcdf(tmp_path / "frames.nc", engine="h5netcdf")
    from PIL import Image

    for number in range(3):
        Image.fromarray(blobs(number, 24, 24).astype(np.uint8)).save(tmp_path / f"{number}.png")
    pictures = {f"{n}.png": (tmp_path / f"{n}.png").read_bytes() for n in range(3)}
    good = [
        to_npy(blobs(0, 4, 24, 24)),
        to_npz(frames=blobs(0, 4, 24, 24), valid=np.ones((4, 24, 24), bool)),
        (tmp_path / "frames.nc").read_bytes(),
        to_zip(pictures),
    ]
    random = np.random.default_rng(count)
    seen: dict[int, int] = {}
    with httpx.Client(timeout=60) as client:
        for number in range(count):
            content = mutated(good[number % 4], random)
            answer = client.post(f"{server.url}/predict", content=content)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            assert answer.status_code in (200, 413, 422), (number, answer.text)
            if answer.status_code != 200:
                assert set(answer.json()) == {"error"}
                assert "framecast-serve-" not in answer.text
    print(f"{count} mutated bodies: {seen}")
    assert seen[422] > count // 4
    assert seen[200] > count // 50


def test_mutated_bodies_are_no_error_of_the_server(server: RealServer, tmp_path: Path) -> None:
    mutate_bodies(server, 200, tmp_path)


@pytest.mark.slow
def test_ten_thousand_mutated_bodies(server: RealServer, tmp_path: Path) -> None:
    mutate_bodies(server, 10_000, tmp_path)


def send_slowly(port: int, head: bytes, dribble: bytes, pause: float, seconds: float) -> tuple[bytes, float]:
    """Send a part, then a byte now and then; what came back, and when the end came."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        client.sendall(head)
        client.settimeout(pause)
        got = b""
        while time.monotonic() - start < seconds:
            try:
                part = client.recv(4096)
                if not part:
                    return got, time.monotonic() - start
                got += part
            except TimeoutError:
                try:
                    client.sendall(dribble)
                except OSError:
                    return got, time.monotonic() - start
            except OSError:
                return got, time.monotonic() - start
    return got, time.monotonic() - start


def test_slow_clients_are_let_go_and_others_served_meanwhile(server: RealServer) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\n"
    results: dict[str, tuple[bytes, float]] = {}

    def slow(name: str, begin: bytes) -> None:
        results[name] = send_slowly(server.port, begin, b"x", 0.5, 25)

    begins = {"head": head, "body": head + b"content-length: 1000\r\n\r\n\x93NUMPY"}
    threads = [threading.Thread(target=slow, args=item) for item in begins.items()]
    for thread in threads:
        thread.start()
    for _ in range(5):
        assert httpx.post(f"{server.url}/predict", content=to_npy(blobs(0, 3, 24, 24)), timeout=60).status_code == 200
    for thread in threads:
        thread.join()
    assert b"408" in results["body"][0].splitlines()[0]
    assert results["head"][0] == b""
    assert all(9 < seconds < 20 for _, seconds in results.values()), results


def test_bodies_have_an_end_whatever_they_claim(server: RealServer) -> None:
    def chunks():
        for _ in range(40):
            yield b"\x93NUMPY" + b"x" * 65536

    for content in (chunks(), b"x" * 2_000_000):
        try:
            answer = httpx.post(f"{server.url}/predict", content=content, timeout=60)
            assert answer.status_code == 413
        except (httpx.WriteError, httpx.ReadError):  # it was cut off while it still sent
            pass
    assert httpx.get(f"{server.url}/health").status_code == 200
    huge = {"x-header": "y" * 2_000_000}
    with suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        assert httpx.get(f"{server.url}/health", headers=huge).status_code == 400


def test_no_address_leads_to_files(server: RealServer) -> None:
    for path in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/maps/..%2f..%2flatest.png",
        "//etc/passwd",
    ):
        answer = httpx.get(f"{server.url}{path}")
        assert answer.status_code in (404, 405), path
    assert httpx.get(f"{server.url}/docs").status_code == 404


def test_a_token_is_asked_for(tiny_folder: Path, placeless: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    words = ["--out", str(placeless), "--max-age", "9000d", "--token-file", str(tmp_path / "token"), "--open-map"]
    real = RealServer(str(tiny_folder), *words)
    real.wait()
    try:
        body, right = to_npy(blobs(0, 3, 24, 24)), {"authorization": f"Bearer {TOKEN}"}
        ask = lambda **more: httpx.post(f"{real.url}/predict", content=body, **more).status_code  # noqa: E731
        assert [
            ask(),
            ask(headers={"authorization": "Bearer no"}),
            ask(headers={"authorization": f"Basic {TOKEN}"}),
        ] == [401] * 3
        assert ask(headers=right) == 200
        assert httpx.get(f"{real.url}/metrics").status_code == 401
        assert httpx.get(f"{real.url}/openapi.json").status_code == 401
        assert httpx.get(f"{real.url}/map.json").status_code == 200
        with httpx.Client(base_url=real.url) as browser:
            assert browser.post("/session", data={"token": "wrong"}).headers["location"].endswith("#wrong")
            assert browser.get("/model").status_code == 401
            assert browser.post("/session", data={"token": TOKEN}).headers["location"] == "/"
            assert browser.get("/model").status_code == 200
    finally:
        code, _ = real.stop(signal.SIGINT)
    assert code == 130


def test_another_model_is_swapped_in_under_load_without_a_failed_answer(tmp_path: Path) -> None:
    import torch

    def other_model() -> Forecaster:
        torch.manual_seed(7)
        return Forecaster(ConvLSTM(hidden=(3,), kernel_size=3), SPEC, Range(low=0, high=255), 2, context=6).eval()

    save_forecaster(tmp_path / "model", tiny_model())
    real = RealServer(str(tmp_path / "model"), "--horizon", "3", "--queue", "64")
    real.wait()
    frames = blobs(3, 4, 24, 24)
    body, choices = to_npy(frames), [model.predict(frames, 3) for model in (tiny_model(), other_model())]
    answers: list[int] = []

    def check(number: int, turn: int, content: bytes) -> None:
        answers.append(next(n for n, choice in enumerate(choices) if np.array_equal(choice, from_npy(content))))

    def swap() -> None:
        time.sleep(1)
        save_forecaster(tmp_path / "model", other_model())
        assert httpx.post(f"{real.url}/reload", timeout=60).status_code == 200
        time.sleep(0.5)
        (tmp_path / "model" / "model.json").write_text("{}")
        assert httpx.post(f"{real.url}/reload", timeout=60).status_code == 409

    thread = threading.Thread(target=swap)
    thread.start()
    counts = asyncio.run(hammer(real.url, 12, 4, lambda n, turn: body, check))
    thread.join()
    assert set(counts) == {200}
    assert {answers[0], answers[-1]} == {0, 1}
    assert answers[-1] == 1
    shutil.rmtree(tmp_path / "model")
    save_forecaster(tmp_path / "model", tiny_model())
    real.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 30
    while "loaded again" not in real.said() and time.monotonic() < end:
        time.sleep(0.05)
    np.testing.assert_array_equal(from_npy(httpx.post(f"{real.url}/predict", content=body).content), choices[0])
    real.stop(signal.SIGKILL)


def test_sigterm_answers_what_was_asked_and_ends(tiny_folder: Path, placeless: Path) -> None:
    real = RealServer(str(tiny_folder), "--out", str(placeless), "--max-age", "9000d")
    real.wait()
    body, statuses = to_npy(blobs(0, 8, 10, 1, 48, 48)), []

    def ask() -> None:
        statuses.append(httpx.post(f"{real.url}/predict?horizon=60", content=body, timeout=60).status_code)

    def hear() -> None:
        with httpx.stream("GET", f"{real.url}/events", timeout=60) as stream:
            statuses.append(200 if b"event: forecast" in b"".join(stream.iter_bytes()) else 0)

    threads = [threading.Thread(target=each) for each in (ask, ask, hear)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    start = time.monotonic()
    code, errors = real.stop(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert (code, statuses) == (143, [200] * 3), errors
    assert time.monotonic() - start < 30
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--host", "0.0.0.0"], "without a token"),
        (["--watch", "."], "--out: got none beside --watch"),
        (["--watch", ".", "--out", "o", "--write", "npy"], "nc or zarr among them"),
        (["--token-file", "nowhere"], "--token-file"),
        (["--host", "256.1.1.1", "--no-token"], "a free address"),
    ],
)
def test_what_cannot_be_served_is_told_at_the_start(words: list[str], text: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run_forked(command("serve", "extrapolation", "--port", "0", *words))
    assert refused.returncode == 2, refused.stderr
    assert text in refused.stderr


def test_openapi_names_every_address(server: RealServer) -> None:
    about = httpx.get(f"{server.url}/openapi.json").json()
    assert {"/health", "/metrics", "/model", "/predict", "/latest", "/latest.nc", "/events"} <= set(about["paths"])
    assert json.dumps(about).count("HTTPValidationError") == 0
