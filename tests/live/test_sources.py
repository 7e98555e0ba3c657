"""Places that are far away: a web server that fails in all ways, and a bucket, both on this machine."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.live import Bench, drop, name_of, time_of

from framecast.errors import InputError, UsageError
from framecast.live.inbox import Entry
from framecast.live.presets import list_presets
from framecast.live.slots import Cadence, name_time
from framecast.live.sources import CopiedFiles, RemoteFolder, TimedAddress, open_place
from framecast.live.start import WatchOptions, open_watcher
from framecast.recipe.recipe import Recipe

pytest.importorskip("fsspec", reason="the extra live is not installed")
pytest.importorskip("aiohttp", reason="the extra live is not installed")


class Server:
    """A web server of one folder, whose answers can be spoiled by name: a status, "half", or seconds of delay."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spoiled, self.asked = folder, dict[str, object](), Counter[str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, *, body: bool) -> None:
                name = self.path.rstrip("/").rsplit("/", 1)[-1].partition("?")[0]
                outer.asked[f"{self.command} {name}"] += 1
                spoiled = outer.spoiled.get(name)
                if isinstance(spoiled, float):
                    time.sleep(spoiled)
                if self.path.endswith("/"):
                    links = "".join(f'<a href="{p.name}">{p.name}</a>' for p in sorted(outer.folder.glob("rain*")))
                    content: bytes | None = f"<html>{links}</html>".encode()
                else:
                    path = outer.folder / name
                    content = path.read_bytes() if path.is_file() else None
                if isinstance(spoiled, int) or content is None:
                    self.send_error(spoiled if isinstance(spoiled, int) else 404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "image/png")
                self.end_headers()
                if body:
                    self.wfile.write(content[: len(content) // 2] if spoiled == "half" else content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "web").mkdir()
    server = Server(tmp_path / "web")
    yield server
    server.close()


def undisturbed(tmp_path: Path, *numbers: int) -> np.ndarray:
    (tmp_path / "plain").mkdir()
    bench = Bench(tmp_path / "plain")
    for number in numbers:
        drop(bench.folder, number)
    bench.watcher().look()
    return bench.values()


def at(bench: Bench, number: int, seconds: int = 30) -> None:
    bench.now = float(time_of(number).astype("datetime64[s]").astype(int)) + seconds


def test_an_address_with_the_time_in_it_is_asked_for_what_is_not_there_yet(tmp_path: Path, server: Server) -> None:
    bench = Bench(tmp_path)
    for number in (2, 3, 4, 5, 6):
        drop(server.folder, number)
    at(bench, 7)
    watcher = bench.watcher(place=f"{server.address}/data/rain_%Y%m%d%H%M.png")
    assert watcher.look().published["reference_time"] == name_time(time_of(6)), "the newest is not published yet"
    drop(server.folder, 8)
    at(bench, 8)
    assert watcher.look().published["reference_time"] == name_time(time_of(8))
    drop(server.folder, 7)
    assert watcher.look().published["revision"] == 1, "up to three slots back are asked for again"
    np.testing.assert_array_equal(bench.values(), undisturbed(tmp_path, 2, 3, 4, 5, 6, 7, 8))
    asked = dict(server.asked)
    assert watcher.look().published is None
    assert dict(server.asked) == asked, "what is there is asked for once"


def test_failing_servers_delay_a_forecast_and_spoil_none(tmp_path: Path, server: Server) -> None:
    bench = Bench(tmp_path)
    for number in range(2, 8):
        drop(server.folder, number)
    server.spoiled = {name_of(7): 500, name_of(6): "half", name_of(5): 0.2, name_of(4): 404}
    at(bench, 7)
    watcher = bench.watcher(place=f"{server.address}/rain_%Y%m%d%H%M.png", max_filled=4)
    lines = "\n".join(watcher.look().lines)
    assert bench.latest()["reference_time"] == name_time(time_of(5)), lines
    server.spoiled.clear()
    watcher.look()
    assert bench.latest()["reference_time"] == name_time(time_of(7))
    at(bench, 8)
    watcher.look()
    np.testing.assert_array_equal(bench.values(), undisturbed(tmp_path, 2, 3, 4, 5, 6, 7))
    copies = sorted(path.name for path in (bench.out / ".watch" / "files").iterdir())
    assert copies == [name_of(n) for n in range(2, 8)], "copies are whole, or not there"


def test_the_index_of_a_web_server_is_a_folder(tmp_path: Path, server: Server) -> None:
    bench = Bench(tmp_path)
    for number in range(6):
        drop(server.folder, number)
    (server.folder / "rain_notes.txt").write_text("not a frame")
    watcher = bench.watcher(place=f"{server.address}/index/", match=r"rain_\d+\.png")
    watcher.look()
    drop(server.folder, 6)
    drop(server.folder, 6, name="rain_202405011230_again.png")
    watcher.look()
    assert bench.latest()["reference_time"] == name_time(time_of(6))
    np.testing.assert_array_equal(bench.values(), undisturbed(tmp_path, *range(1, 7)))
    assert all(count == 1 for name, count in server.asked.items() if name.startswith("GET rain_2"))


def test_copies_of_half_a_file_are_none(tmp_path: Path) -> None:
    copies = CopiedFiles(tmp_path / "files", ".h5")
    entry = Entry("https://host/a/OPERA@20240501T1200@0@DBZH?x=1", 10, None)
    with pytest.raises(OSError, match="3 of 10 bytes"):
        copies.save(entry, lambda part: part.write_bytes(b"abc"))
    assert list(tmp_path.rglob("*")) == []
    path = copies.save(entry, lambda part: part.write_bytes(b"0123456789"))
    assert path.name == "OPERA@20240501T1200@0@DBZH.h5"
    assert copies.save(entry, lambda part: pytest.fail("it is there")) == path
    copies.save(entry._replace(size=None), lambda part: part.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
    assert [p.name for p in (tmp_path / "files").iterdir()] == [path.name]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict]:
    server_module = pytest.importorskip("moto.server", reason="moto's server is not installed")
    pytest.importorskip("s3fs", reason="the extra live is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    urllib.request.urlopen(f"{address}/moto-api/reset", data=b"")  # its buckets live as long as the process
    client.create_bucket(Bucket="radar")
    yield {"address": address, "client": client}
    server.stop()


@pytest.mark.parametrize("place", ["s3://radar/2024", "s3://radar/2024/rain_%Y%m%d%H%M.png"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_bucket_is_a_folder(tmp_path: Path, bucket: dict, place: str) -> None:
    bench = Bench(tmp_path)

    def upload(number: int) -> None:
        path = drop(tmp_path, number)
        bucket["client"].put_object(Bucket="radar", Key=f"2024/{path.name}", Body=path.read_bytes())

    for number in range(6):
        upload(number)
    at(bench, 6)
    storage = {"endpoint_url": bucket["address"], "client_kwargs": {"region_name": "us-east-1"}}
    watcher = bench.watcher(place=place, storage=storage)
    assert watcher.look().published["reference_time"] == name_time(time_of(5))
    upload(7)
    at(bench, 7)
    watcher.look()
    upload(6)
    assert watcher.look().published["revision"] == 1
    np.testing.assert_array_equal(bench.values(), undisturbed(tmp_path, *range(8)))


def test_presets_open_their_places(tmp_path: Path) -> None:
    copies = CopiedFiles(tmp_path, "")
    for name, preset in list_presets().items():
        if preset.address:
            place = open_place(preset.address, Cadence(preset.step_minutes), copies, preset.match, {})
            assert isinstance(place, RemoteFolder if name == "mrms" else TimedAddress)
    bench = Bench(tmp_path)
    with pytest.raises(UsageError, match="needs a key"):
        open_watcher(bench.model, "tiny", Recipe(), WatchOptions("knmi", bench.out, 3))
    with pytest.raises(InputError, match="no such folder"):
        open_watcher(bench.model, "tiny", Recipe(), WatchOptions(str(tmp_path / "nothing"), bench.out, 3))


def test_presets_know_the_names_of_their_files() -> None:
    names = {
        "opera": ("OPERA@20241126T0100@0@DBZH.h5", "2024-11-26T01:00"),
        "mrms": ("MRMS_PrecipRate_00.00_20190610-010637.grib2.gz", "2019-06-10T01:06:37"),
        "dwd": ("composite_hx_20240501_1205-hd5", "2024-05-01T12:05"),
        "fmi": ("202405011205_FIN-DBZ-3067-250M.tif", "2024-05-01T12:05"),
        "dmi": ("dk.com.202405011210.500_max.h5", "2024-05-01T12:10"),
        "knmi": ("RAD_NL25_RAC_RT_202405011205.h5", "2024-05-01T12:05"),
    }
    from framecast.live.reader import FrameReader

    for name, preset in list_presets().items():
        found = FrameReader({"times": preset.times}, Recipe(), None).find_time(names[name][0])
        assert found == np.datetime64(names[name][1], "ms"), name
        if "%" in preset.address:
            when = np.datetime64(names[name][1], "us").item()
            assert when.strftime(preset.address).endswith(names[name][0])


def test_an_unknown_protocol_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="protocol"):
        open_place("nonsense://x/y", Cadence(5.0), CopiedFiles(tmp_path, ""), "", {})
