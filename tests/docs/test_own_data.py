"""The three commands of the guide "Your own data", on small data of every kind, in small; what comes out of them."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from PIL import Image
from tests.docs.story import read_commands
from tests.fixtures.commands import unchecked

from framecast.cli import app
from framecast.data import DataConfig, FileSource

DATA = Path(__file__).parents[1] / "fixtures"
TINY = [
    *("--set", "model.hidden=[2]", "--set", "model.kernel_size=3", "--set", "patch=4", "--set", "train.batch_size=1"),
    *("--set", "validate.sequences=1", "--budget", "2steps", "--device", "cpu", "--quiet"),
]


FRAMES = 3000
"""Of the store that is larger than memory."""


def framecast(*words: object) -> None:
    with unchecked():
        app([str(word) for word in words], standalone_mode=False)


def photos(folder: Path) -> Path:
    folder.mkdir()
    for number in range(14):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[10:30, 2 * number : 2 * number + 20] = (200, 100, 50)
        Image.fromarray(picture).save(folder / f"photo{number}.png")
    return folder


def archive(path: Path) -> Path:
    """3.1 GB of frames, on disk a few hundred KB: every chunk is a copy of the first."""
    time = np.datetime64("2020-01-01", "ns") + np.arange(FRAMES) * np.timedelta64(5, "m")
    data = xarray.Dataset(coords={"time": time, "y": 500.0 * np.arange(512), "x": 500.0 * np.arange(512)})
    data.to_zarr(path, zarr_format=3, consolidated=False)
    array = zarr.open_group(path).create_array(
        "precipitation",
        shape=(FRAMES, 512, 512),
        chunks=(8, 512, 512),
        dtype="float32",
        fill_value=float("nan"),
        dimension_names=("time", "y", "x"),
        attributes={
            "units": "mm/h",
            "_FillValue": base64.b64encode(np.float32(np.nan).astype("<f8").tobytes()).decode(),
        },
    )
    array[:8] = np.linspace(0, 9, 8 * 512, dtype=np.float32).reshape(8, 512, 1)
    first = path / "precipitation" / "c" / "0"
    for number in range(1, FRAMES // 8):
        shutil.copytree(first, first.with_name(str(number)))
    return path


def prepared(name: str, path: Path) -> None:
    """Small data where the guide has a user's own."""
    match name:
        case "photos/":
            photos(path)
        case "archive.zarr":
            archive(path)
        case "odim/":
            shutil.copytree(DATA / "radar" / "odim", path)
        case _:
            shutil.copy(DATA / {"film.mp4": "bigbuckbunny.mp4", "era5.nc": "era5_t2m.nc"}[name], path)


def commands_of(name: str) -> list[list[str]]:
    """The first commands of the guide "Your own data" that name these data, as words."""
    guide = DATA.parents[1] / "docs/guides/own_data.md"
    lines = [line.split()[1:] for line in read_commands(guide) if line.startswith("framecast ")]
    return [words for words in lines if name in words][:3]


OUTPUTS = {
    "photos/": ["photos.png", "photos.gif"],
    "film.mp4": ["future.mp4"],
    "era5.nc": ["t2m.nc", "t2m.png"],
    "odim/": ["opera.nc", "opera.tif", "opera.gif"],
}
SIZES = {"photos/": 2, "film.mp4": 3, "era5.nc": 4, "odim/": 1, "archive.zarr": 3}
"""Context and horizon of the small training."""


def smaller(words: list[str], name: str) -> list[str]:
    """A command of the guide with a training that takes a second."""
    if words[0] == "train":
        sizes = ["--context", str(SIZES[name]), "--horizon", str(SIZES[name])]
        return [*words, *TINY, *sizes, *(["--set", "data.fractions=[1,0,0]"] if name == "odim/" else [])]
    return [*words, "--device", "cpu", "--quiet"] if words[0] == "predict" else [*words, "--no-picture"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", list(OUTPUTS))
def test_three_commands_of_the_guide(tmp_path: Path, monkeypatch, capsys, name: str):
    monkeypatch.chdir(tmp_path)
    prepared(name, tmp_path / name)
    commands = commands_of(name)
    assert [words[0] for words in commands] == ["inspect", "train", "predict"]
    for words in commands:
        framecast(*smaller(words, name))
    assert all(Path(out).exists() for out in OUTPUTS[name])
    said = dict(itertools.pairwise(commands[2]))
    source = FileSource(DataConfig(source=name, variable=said.get("--var")))
    times = source.frame_times(len(source.lengths) - 1)
    grids = [out for out in OUTPUTS[name] if out.endswith(".nc")]
    assert bool(grids) is (times is not None)
    for out in grids:
        with xarray.open_dataset(out, engine="h5netcdf") as data:
            step = np.timedelta64(round(60 * (source.spec.step_minutes or 0)), "s")
            np.testing.assert_array_equal(data["time"], times[-1] + step * np.arange(1, int(said["--horizon"]) + 1))
    last = np.sort([path.name for path in Path(OUTPUTS[name][0]).iterdir()])[-1] if name == "photos/" else ""
    assert name != "photos/" or last == f"frame_{int(said['--horizon']):04d}.png"
    run = commands[1][commands[1].index("--out") + 1]
    capsys.readouterr()
    framecast("evaluate", run, "--split", "train", "--limit", 1, "--device", "cpu", "--quiet", "--json")
    beside = ["persistence", "mean", *([] if name == "era5.nc" else ["blank"]), "linear"]  # 0 K is no baseline
    assert list(json.loads(capsys.readouterr().out)["scores"])[1:] == beside


LIMITED = """
import json, resource, sys, warnings
warnings.simplefilter("ignore")
import matplotlib.figure, torch, xarray, zarr
from framecast.plotting import frames
from framecast.cli import app
words, spare = json.loads(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
used = 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))
app(words, standalone_mode=False)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and read as Linux does it")
@pytest.mark.slow
def test_a_zarr_store_larger_than_memory(tmp_path: Path):
    """The three commands, each in a process that may take a third of the array's size and no more."""
    prepared("archive.zarr", tmp_path / "archive.zarr")
    commands = commands_of("archive.zarr")
    assert [words[0] for words in commands] == ["inspect", "train", "predict"]
    size = FRAMES * 512 * 512 * 4
    for words in commands:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, json.dumps(smaller(words, "archive.zarr")), str(size // 3)],
            cwd=tmp_path,
            env={**os.environ, "MALLOC_ARENA_MAX": "2"},  # else each thread reserves 64 MB that it does not use
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    with xarray.open_dataset(tmp_path / "forecast.zarr", engine="zarr", consolidated=False) as data:
        assert data["precipitation"].sizes == {"time": 10, "y": 512, "x": 512}
        assert data["time"].values[0] == np.datetime64("2020-01-01") + FRAMES * np.timedelta64(5, "m")


def test_the_line_that_inspect_proposes_is_understood(tmp_path: Path, capsys, monkeypatch):
    import shlex

    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "bigbuckbunny.mp4", tmp_path / "film.mp4")
    framecast("inspect", "film.mp4", "--shrink", "8", "--json")
    told = json.loads(capsys.readouterr().out)
    assert Path(told["picture"]).is_file()
    assert told["frames"] == 48
    assert told["windows"] is None
    words = shlex.split(told["command"])[1:]
    words[words.index("--steps") + 1] = "1"
    framecast(*words, "--set", "model.hidden=[2]", "--device", "cpu", "--quiet")
    assert (tmp_path / "runs" / "film" / "recipe.yaml").is_file()


def test_inspect_says_what_is_odd(tmp_path: Path, capsys):
    folder = photos(tmp_path / "photos")
    (folder / "photo5.png").unlink()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(folder / "photo9.png")
    shutil.copy(folder / "photo2.png", folder / "photo3.png")
    framecast("inspect", folder, "--no-picture")
    said = capsys.readouterr().out
    for words in (
        "1 gaps of 1 frames",
        "1 constant",
        "1 equal to the one before",
        "48 x 64 pixels, 3 channel(s)",
        "framecast predict persistence",  # nine frames leave too few windows for a training
    ):
        assert words in said


def test_inspect_draws_north_up_and_tells_the_dates_of_the_calendar(tmp_path: Path, capsys, monkeypatch):
    """Two channels from the south, in a year of months of 30 days."""
    values = np.random.default_rng(0).random((2, 5, 6, 9), np.float32)
    data = xarray.Dataset({name: (("time", "lat", "lon"), part) for name, part in zip("uv", values, strict=True)})
    data["time"] = ("time", np.arange(58.0, 63.0), {"units": "days since 2000-01-01", "calendar": "360_day"})
    data["lat"] = ("lat", np.arange(50.0, 56.0), {"units": "degrees_north"})
    data["lon"] = ("lon", np.arange(9.0), {"units": "degrees_east"})
    data.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    seen = {}
    monkeypatch.setattr(
        "framecast.plotting.frames.draw_survey",
        lambda path, frames, titles, *rest: path.touch() or seen.update(f=frames, t=titles, r=rest),
    )
    framecast("inspect", tmp_path / "x.nc", "--var", "u,v", "--picture", tmp_path / "x.png", "--json")
    np.testing.assert_array_equal(seen["f"][0], values[:1, 0, ::-1])
    assert seen["r"][-2:] == ("u, the first of 2 channels", "1")
    assert seen["t"][:3] == ["2000-02-29 00:00", "2000-02-30 00:00", "2000-03-01 00:00"]
    told = json.loads(capsys.readouterr().out)
    assert (told["first"], told["last"]) == ("2000-02-29T00:00:00", "2000-03-03T00:00:00")
