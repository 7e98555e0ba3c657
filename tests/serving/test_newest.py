"""Addresses of the newest forecast: announcement, file, map, curve, events, health, the page without a place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.fixtures.live import Bench, drop, frame
from tests.fixtures.served import make_client, make_service

from framecast.serving.newest.forecast import NewestReader
from framecast.serving.newest_routes import listen


@pytest.fixture(scope="module")
def client(placeless: Path):
    with make_client(make_service(out=placeless, max_age=1e12)) as opened:
        while opened.get("/health").json()["status"] != "ok":
            pass
        yield opened


def test_the_announcement_and_the_file(client, placeless: Path) -> None:
    latest, said = client.get("/latest").json(), json.loads((placeless / "latest.json").read_text())
    said.pop("digest")
    age, stale = latest.pop("age_seconds"), latest.pop("stale")
    assert age > 1e6
    assert not stale
    assert latest == {key: value for key, value in said.items() if key != "age_seconds"}
    assert client.get("/latest.nc").content == (placeless / said["files"][0]).read_bytes()


def test_the_time_line_has_observed_then_predicted_frames(client, placeless: Path) -> None:
    about = client.get("/map.json").json()
    kinds = [one["kind"] for one in about["frames"]]
    assert kinds == ["past"] * 6 + ["forecast"] * 3
    assert [one["time"] for one in about["frames"]] == sorted(one["time"] for one in about["frames"])
    assert about["bounds"] == [[0, 0], [24, 24]]
    assert not about["geographic"]
    assert about["skill"]["leads"][0]["forecasts"] == 1
    for one in about["frames"]:
        answer = client.get("/" + one["url"])
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/maps/nothing.png").status_code == 404


def test_the_curve_of_a_pixel(client, placeless: Path) -> None:
    answer = client.get("/point", params={"latitude": 23.5 - 8, "longitude": 7.5}).json()
    assert (answer["row"], answer["column"]) == (8, 7)
    with xarray.open_dataset(placeless / client.get("/latest").json()["files"][0]) as file:
        predicted = next(iter(file.data_vars.values())).values[:, 8, 7]
    values = [one["value"] for one in answer["curve"]]
    np.testing.assert_array_equal(np.float32(values), [*(frame(n)[8, 7] for n in range(2, 8)), *predicted])
    assert client.get("/point", params={"latitude": 30, "longitude": 3}).status_code == 404
    assert client.get("/point", params={"latitude": "nan", "longitude": 3}).status_code == 422


def test_health_says_what_is_wrong(placeless: Path, tmp_path: Path) -> None:
    with make_client(make_service(out=placeless)) as old:
        while old.get("/health").json()["age_seconds"] is None:
            pass
        answer = old.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "stale")
        assert old.get("/map.json").json()["stale"]
    with make_client(make_service(out=tmp_path)) as empty:
        while empty.get("/health").json()["status"] == "warming up":
            pass
        assert (empty.get("/health").status_code, empty.get("/health").json()["status"]) == (503, "no forecast yet")
        assert empty.get("/latest").status_code == 503
        assert empty.get("/latest").headers["retry-after"]
    with make_client(make_service()) as alone:
        while alone.get("/health").status_code != 200:
            pass
        assert alone.get("/latest").status_code == 404


def test_a_new_forecast_is_seen_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(6):
        drop(bench.folder, number)
    watcher, reader = bench.watcher(formats=("nc",)), NewestReader(bench.out)
    assert not reader.refresh()
    watcher.look()
    assert reader.refresh()
    assert not reader.refresh()
    first = reader.newest
    drop(bench.folder, 6)
    watcher.look()
    (path,) = bench.out.glob("*123000Z.nc")
    shutil.move(path, tmp_path / "kept")
    path.write_bytes((tmp_path / "kept").read_bytes()[:500])
    assert not reader.refresh()
    assert reader.newest is first
    shutil.move(tmp_path / "kept", path)
    assert reader.refresh()
    assert reader.newest.name == "20240501T123000Z"


def test_events_name_each_forecast_once(tmp_path: Path) -> None:
    import asyncio

    bench = Bench(tmp_path)
    for number in range(6):
        drop(bench.folder, number)
    watcher = bench.watcher(formats=("nc",))
    watcher.look()
    service = make_service(out=bench.out)

    async def follow() -> list[str]:
        service.reader.refresh()
        looking, heard = asyncio.create_task(service.look()), []
        async for event in listen(service, set()):
            heard.append(event)
            if len(heard) == 1:
                drop(bench.folder, 6)
                await asyncio.to_thread(watcher.look)
            else:
                service.is_ending = True
        looking.cancel()
        return heard

    heard = asyncio.run(follow())
    assert [event.splitlines()[1] for event in heard] == ["id: 20240501T122500Z", "id: 20240501T123000Z"]
    service.compute.close()
