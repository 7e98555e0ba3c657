"""The three commands of README, "Your own data", on small data of every kind, in small."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from framecast.cli import app
from framecast.data import ArraySource, DataConfig

DATA = Path(__file__).parent / "data"
TINY = [
    *("--set", "model.hidden=[2]", "--set", "model.kernel_size=3", "--set", "patch=8", "--set", "train.batch_size=1"),
    *("--set", "validate.sequences=1", "--steps", "2", "--device", "cpu", "--quiet"),
]


def framecast(*words: object) -> None:
    app([str(word) for word in words], standalone_mode=False)


def photos(folder: Path) -> Path:
    folder.mkdir()
    for number in range(14):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[10:30, 2 * number : 2 * number + 20] = (200, 100, 50)
        Image.fromarray(picture).save(folder / f"photo{number}.png")
    return folder


def archive(path: Path) -> Path:
    time = np.datetime64("2020-01-01", "ns") + np.arange(30) * np.timedelta64(10, "m")
    values = np.random.default_rng(0).random((30, 16, 24), np.float32)
    data = xarray.Dataset(
        {"rain": (("time", "y", "x"), values)}, {"time": time, "y": np.arange(16.0), "x": np.arange(24.0)}
    )
    data["rain"].attrs["units"] = "mm/h"
    data.to_zarr(path, encoding={"rain": {"chunks": (5, 16, 24)}})
    return path


def prepared(kind: str, folder: Path) -> tuple[Path, list[str], tuple[int, int, int], int]:
    """The data, options, (channels, height, width), and context = horizon."""
    match kind:
        case "folder of PNG":
            return photos(folder / "photos"), ["--grey", "--shrink", "2"], (1, 24, 32), 2
        case "mp4":
            return DATA / "bigbuckbunny.mp4", ["--shrink", "4"], (3, 16, 28), 3
        case "NetCDF":
            return DATA / "era5_t2m.nc", ["--var", "t2m"], (1, 24, 32), 4
        case "Zarr":
            return archive(folder / "archive.zarr"), [], (1, 16, 24), 3
    return DATA / "radar" / "odim", ["--var", "RATE", "--shrink", "4"], (1, 24, 24), 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["folder of PNG", "mp4", "NetCDF", "Zarr", "ODIM"])
def test_three_commands(tmp_path: Path, capsys, kind: str):
    path, said, (channels, height, width), frames = prepared(kind, tmp_path)
    sizes = ["--set", f"context={frames}", "--set", f"horizon={frames}"]
    sizes += ["--set", "data.fractions=[1,0,0]"] if kind == "ODIM" else []
    framecast("inspect", path, *said, "--json", "--picture", tmp_path / "look.png")
    told = json.loads(capsys.readouterr().out)
    assert told["spec"]["channels"] == channels
    assert str(path) in told["command"]
    framecast("train", "convlstm", "--data", path, *said, *TINY, *sizes, "--out", tmp_path / "run")
    variable = [] if kind != "ODIM" else ["--var", "RATE"]  # grey and shrink come from the run
    out = tmp_path / "future.npz"
    framecast("predict", tmp_path / "run", path, *variable, "--horizon", 3, "--out", out, "--device", "cpu", "--quiet")
    found = np.load(out)
    assert found["frames"].shape == (3, channels, height, width)
    source = ArraySource(DataConfig(source=str(path), variable="RATE" if kind == "ODIM" else None))
    times = source.frame_times(len(source.lengths) - 1)
    if times is not None:
        step = np.timedelta64(round(60 * (source.spec.step_minutes or 0)), "s")
        assert found["start_time"][0] == times[-1] + step
    framecast("evaluate", tmp_path / "run", "--split", "train", "--limit", 1, "--device", "cpu", "--quiet", "--json")


def test_the_line_that_inspect_proposes_is_understood(tmp_path: Path, capsys, monkeypatch):
    import shlex

    monkeypatch.chdir(tmp_path)
    shutil.copytree(DATA / "radar" / "fmi_pgm", tmp_path / "radar")
    framecast("inspect", "radar", "--json")
    told = json.loads(capsys.readouterr().out)
    assert Path(told["picture"]).is_file()
    assert told["frames"] == 6
    assert told["windows"] is None
    words = shlex.split(told["command"])[1:]
    words[words.index("--steps") + 1] = "1"
    framecast(*words, "--set", "model.hidden=[2]", "--device", "cpu", "--quiet")
    assert (tmp_path / "runs" / "radar" / "recipe.yaml").is_file()


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
        "framecast train",
    ):
        assert words in said
