"""A Zarr in a bucket: the frames of the local one, no copies on this machine, one line where it cannot be read."""

import gc
import os
import urllib.request
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from tests.faults.test_machines import on_machines
from tests.fixtures.runs import run_forked, train_command

import framecast
from framecast.data import DataConfig
from framecast.data.sources.multi_file_source import open_source
from framecast.errors import InputError, UsageError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """A server of buckets on this machine; the environment that leads to it."""
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
    s3fs = pytest.importorskip("s3fs", reason="the extra live is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3fs.S3FileSystem.clear_instance_cache()  # those of other tests lead to their servers
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.items():
            patch.setenv(name, value)
        urllib.request.urlopen(f"{place['AWS_ENDPOINT_URL']}/moto-api/reset", data=b"")
        boto3.client("s3").create_bucket(Bucket="radar")
        yield place
    s3fs.S3FileSystem.clear_instance_cache()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fsspec closes no session of a thread that has ended
        gc.collect()
    server.stop()


def make_rain(frames: int = 60) -> xarray.Dataset:
    values = np.random.default_rng(0).random((frames, 16, 16), np.float32) * 5
    values[7, 3:9] = np.nan
    times = np.datetime64("2020-01-01", "ns") + np.arange(frames) * np.timedelta64(5, "m")
    return xarray.Dataset({"rain": (("time", "y", "x"), values, {"units": "mm/h"})}, {"time": times})


def write_both(folder: Path) -> tuple[str, str]:
    """The same store here and in the bucket."""
    here, there = str(folder / "rain.zarr"), f"s3://radar/{folder.name}/rain.zarr"
    for place in (here, there):
        make_rain().to_zarr(place, zarr_format=3, consolidated=False, encoding={"rain": {"chunks": (4, 16, 16)}})
    return here, there


def test_a_store_in_a_bucket_is_read_as_one_here(tmp_path: Path, bucket: dict[str, str]) -> None:
    here, there = (open_source(DataConfig(source=place)) for place in write_both(tmp_path))
    assert there.spec == here.spec
    assert there.notes == here.notes
    assert list(there.lengths) == list(here.lengths)
    ours, theirs = here.read(0, 4, 12), there.read(0, 4, 12)
    np.testing.assert_array_equal(theirs.frames, ours.frames)
    np.testing.assert_array_equal(theirs.valid, ours.valid)
    np.testing.assert_array_equal(theirs.times, ours.times)


def test_an_array_without_names_is_read_too(tmp_path: Path, bucket: dict[str, str]) -> None:
    values = np.random.default_rng(1).random((20, 16, 16), np.float32)
    zarr.create_array("s3://radar/plain.zarr", shape=values.shape, chunks=(4, 16, 16), dtype="f4")[:] = values
    source = open_source(DataConfig(source="s3://radar/plain.zarr", dims="thw"))
    np.testing.assert_array_equal(source.read(0, 3, 9).frames[:, 0], values[3:9])


def test_the_fingerprint_is_that_of_names_and_versions(tmp_path: Path, bucket: dict[str, str]) -> None:
    there = write_both(tmp_path)[1]
    before = open_source(DataConfig(source=there)).fingerprint()
    assert open_source(DataConfig(source=there)).fingerprint() == before
    zarr.open_group(there, mode="r+", use_consolidated=False)["rain"][5] = 1.0
    assert open_source(DataConfig(source=there)).fingerprint() != before


def test_what_cannot_be_read_is_said_in_a_line(bucket: dict[str, str]) -> None:
    for place in ("s3://radar/nothing.zarr", "s3://nobody/rain.zarr"):
        with pytest.raises(InputError, match=f"{place}: got no Zarr store there"):
            open_source(DataConfig(source=place))
    with pytest.raises(UsageError, match="expected a protocol of fsspec"):
        open_source(DataConfig(source="foo://radar/rain.zarr"))


def watch_copies(folder: Path, place: dict[str, str]) -> None:
    """Let a process note what it opens for writing."""
    import sys

    os.environ.update(place)
    log = os.open(folder / "opened", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def note(event: str, args: tuple) -> None:
        if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
            os.write(log, f"{args[0]}\n".encode())

    sys.addaudithook(note)


def test_two_processes_train_from_a_bucket_as_from_a_disk(tmp_path: Path, bucket: dict[str, str]) -> None:
    """Bits are those of the local store, and nothing is written but the run itself."""
    here, there = write_both(tmp_path)
    given = {"data.moving_mnist": "{}", "data.gap": 0, "data.max_missing": 0.9, "train__workers": 1}
    local = run_forked(train_command(tmp_path / "local", 4, **{**given, "data.source": here}, train__accumulate=2))
    assert local.returncode == 0, local.stderr
    words = train_command(tmp_path / "remote", 4, **{**given, "data.source": there})
    both = on_machines(words, prepare=lambda number: partial(watch_copies, tmp_path, bucket))
    finished = [(process.communicate(timeout=300)[1], process.returncode) for process in both]
    assert [code for _, code in finished] == [0, 0], finished
    ours, theirs = ((tmp_path / name / "events.jsonl").read_bytes() for name in ("local", "remote"))
    assert theirs == ours
    opened = {Path(line) for line in (tmp_path / "opened").read_text().splitlines()}
    beside = {path for path in opened if path.name not in ("stdout", "stderr") and path.parts[1] != "dev"}
    assert beside
    assert all(path.is_relative_to(tmp_path / "remote") for path in beside), beside


def test_scores_and_hindcasts_of_a_bucket_are_those_of_a_disk(tmp_path: Path, bucket: dict[str, str]) -> None:
    here, there = write_both(tmp_path)
    asked = {"context": 3, "horizon": 2, "metrics": ["mse"], "baselines": ["persistence"], "quiet": True}
    ours, theirs = (framecast.evaluate("mean", place, device="cpu", **asked).to_dataset() for place in (here, there))
    xarray.testing.assert_equal(theirs, ours)
    made = [
        framecast.hindcast("mean", place, tmp_path / f"{number}.zarr", every="30min", **asked)
        for number, place in enumerate((here, there))
    ]
    xarray.testing.assert_equal(made[1].scores.to_dataset(), made[0].scores.to_dataset())
    stores = [xarray.open_zarr(one.store, chunks=None).rain.values for one in made]
    np.testing.assert_array_equal(*stores)
