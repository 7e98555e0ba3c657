"""Predictions over HTTP: each answer is that of the direct call, to the bit; what cannot be used is told, never a 500."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image
from tests.fixtures.live import frame, name_of, tiny_model
from tests.fixtures.served import blobs, from_npy, make_client, make_service, to_npy, to_npz, to_zip

from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.predictor import PastFrames
from framecast.serving.limits import ServiceLimits
from framecast.types import FrameSpec

LIMITS = ServiceLimits(body=200_000, horizon=20, frames=50, memory=64 << 20)


@pytest.fixture(scope="module")
def client():
    with make_client(make_service(limits=LIMITS)) as opened:
        yield opened


def ask(client, content: bytes, **words):
    return client.post("/predict", content=content, params=words)


@pytest.mark.parametrize("shape", [(6, 24, 24), (4, 1, 24, 24), (2, 3, 1, 20, 31)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", ">i2"])
def test_arrays_are_answered_as_by_the_direct_call(client, shape: tuple[int, ...], dtype: str) -> None:
    frames = blobs(1, *shape).astype(dtype)
    answer = ask(client, to_npy(frames), horizon=5)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-npy"
    np.testing.assert_array_equal(from_npy(answer.content), tiny_model().predict(frames, 5))


def test_missing_pixels_are_nan_or_a_mask(client) -> None:
    frames = blobs(2, 5, 24, 24)
    frames[:, :4, :4] = np.nan
    frames[1, 10:, :] = np.nan
    valid, model = np.isfinite(frames), tiny_model()
    past = PastFrames.from_arrays(frames[None, :, None], model.spec, valid=valid[None, :, None])
    expected = model.forecast(past, 3).values[0, 0, :, 0]
    assert np.isnan(expected[:, :4, :4]).all()
    np.testing.assert_array_equal(from_npy(ask(client, to_npy(frames)).content), expected)
    answer = ask(client, to_npz(frames=np.nan_to_num(frames), valid=valid))
    with np.load(io.BytesIO(answer.content)) as found:
        np.testing.assert_array_equal(found["frames"], expected)
        assert str(found["model"]) == "convlstm"


def test_netcdf_in_and_out(client, tmp_path: Path) -> None:
    times = np.datetime64("2024-05-01T12:00", "ns") + np.arange(7) * np.timedelta64(5, "m")
    array = xarray.DataArray(
        blobs(3, 7, 24, 24), dims=("time", "y", "x"), coords={"time": times}, name="grey", attrs={"units": "1"}
    )
    array.to_netcdf(tmp_path / "frames.nc", engine="h5netcdf")
    answer = ask(client, (tmp_path / "frames.nc").read_bytes(), horizon="20min")
    assert answer.status_code == 200, answer.text
    (tmp_path / "answer.nc").write_bytes(answer.content)
    expected = tiny_model().predict(str(tmp_path / "frames.nc"), 4)
    with xarray.open_dataset(tmp_path / "answer.nc") as found:
        np.testing.assert_array_equal(found["grey"].values, expected.values.squeeze())
        np.testing.assert_array_equal(found["time"].values, expected["time"].values)


def test_a_zip_of_pictures_is_answered_by_one(client, tmp_path: Path) -> None:
    files, folder = {}, tmp_path / "frames"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(frame(number)).save(folder / name_of(number))
        files[f"some/where/{name_of(number)}"] = (folder / name_of(number)).read_bytes()
    answer = ask(client, to_zip(files), horizon=2)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 2
    numbers = from_npy(ask(client, to_zip(files), horizon=2, answer="npy").content)
    np.testing.assert_array_equal(numbers.squeeze(), tiny_model().predict(str(folder), 2).values.squeeze())


def test_a_baseline_is_served() -> None:
    frames = np.stack([np.roll(frame(0), step, 1) for step in range(4)]).astype(np.float32)
    spec = FrameSpec(channels=1, height=24, width=24)
    with make_client(make_service("extrapolation")) as client:
        answer = ask(client, to_npy(frames), horizon=3)
        assert answer.status_code == 200, answer.text
        np.testing.assert_array_equal(from_npy(answer.content), make_baseline("extrapolation", spec).predict(frames, 3))
        assert client.get("/model").json()["kind"] == "baseline"


def damaged_npy(shape: str) -> bytes:
    return to_npy(np.zeros((3, 4, 5), np.float32)).replace(b"(3, 4, 5)", shape.encode())


def nameless_zip() -> bytes:
    """A zip whose directory has a member without a name: its one letter is said to be of another field."""
    content = bytearray(to_zip({"x": b"x"}))
    at = content.index(b"PK\x01\x02") + 28
    content[at : at + 4] = b"\0\0\1\0"
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words", "status", "text"),
    [
        (b"", {}, 422, "got nothing"),
        (b"hello there", {}, 422, "11 bytes that begin with"),
        (to_npy(np.array([{}], dtype=object)), {}, 422, "dtype"),
        (to_npy(np.zeros((3, 2, 24, 24), np.float32)), {}, 422, "C = 1"),
        (to_npy(np.zeros((3, 24), np.float32)), {}, 422, "shape (3, 24)"),
        (to_npy(np.zeros((0, 24, 24), np.float32)), {}, 422, "one number or more"),
        (to_npy(np.full((3, 24, 24), np.inf, np.float32)), {}, 422, "NaN or infinite"),
        (to_npy(np.zeros((3, 24, 24), complex)), {}, 422, "dtype"),
        (damaged_npy("(9, 4, 5)"), {}, 422, "as its header says"),
        (damaged_npy("(3, 4, 9" + "9" * 30), {}, 422, "header"),
        (to_npy(blobs(0, 3, 24, 24)), {"horizon": "0"}, 422, "at least 1"),
        (to_npy(blobs(0, 3, 24, 24)), {"horizon": "-3"}, 422, "horizon"),
        (to_npy(blobs(0, 3, 24, 24)), {"horizon": "soon"}, 422, "horizon"),
        (to_npy(blobs(0, 3, 24, 24)), {"horizon": "21"}, 413, "at most 20"),
        (to_npy(blobs(0, 3, 24, 24)), {"answer": "exe"}, 422, "answer"),
        (to_npy(np.zeros((60, 4, 4), np.uint8)), {}, 413, "at most 50"),
        (to_npy(np.zeros((1, 440, 440), np.uint8)), {}, 413, "cut or shrink"),
        (b"x" * 200_001, {}, 413, "at most 200000 bytes"),
        (to_npz(frame=blobs(0, 3, 24, 24), valid=np.ones((3, 24, 24), bool)), {}, 422, "did you mean frames"),
        (to_npz(frames=blobs(0, 3, 24, 24), valid=np.ones((3, 24, 23), bool)), {}, 422, "valid"),
        (to_npz(frames=np.zeros((100, 1000, 1000), np.uint8)), {}, 413, "memory"),
        (to_zip({"../../etc/passwd": b"x"}), {}, 422, "a file 'passwd' in a zip"),
        (nameless_zip(), {}, 422, "a file '' in a zip"),
        (to_zip({"a/x.png": b"x", "b/x.png": b"x"}), {}, 422, "of another name"),
        (to_zip({"x.png": b"no picture"}), {}, 422, "x.png"),
        (to_zip({f"{n}.png": b"x" for n in range(51)}), {}, 422, "51 files"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, {}, 422, "body.nc"),
        (b"PK\x03\x04" + b"\0" * 100, {}, 422, "damaged zip"),
    ],
)
def test_what_cannot_be_used_is_told(client, content: bytes, words: dict, status: int, text: str) -> None:
    answer = ask(client, content, **words)
    assert (answer.status_code, text in answer.json()["error"]) == (status, True), answer.text
    assert "/tmp" not in answer.text
    assert "framecast-serve" not in answer.text


def test_memory_is_given_back(client) -> None:
    service = make_service(limits=LIMITS)
    with make_client(service) as opened:
        for content in (to_npy(blobs(0, 3, 24, 24)), b"x", to_npz(frames=np.zeros((9, 1000, 1000), np.uint8))):
            ask(opened, content)
        assert service.memory.held == 0
        assert opened.get("/metrics").text.count('framecast_requests_total{route="/predict"') == 3
