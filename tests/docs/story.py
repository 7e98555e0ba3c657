"""Small data where a guide has a user's own, and what makes its commands small: two iterations, a narrow network."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray
from PIL import Image

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(?:(?<=\n\n)|^)((?:    .*\S.*\n|\n(?=    \S))+)", re.M)
"""Indented lines after an empty one: what a reader copies."""


def read_commands(page: Path) -> list[str]:
    """The commands of a page in their order, each on one line."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = "\n".join(block.replace("\\\n", " ") for block in BLOCK.findall(prose))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def make_photos(path: Path) -> None:
    path.mkdir()
    for number in range(60):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[10:30, number % 44 : number % 44 + 20] = (200, 100, 50)
        Image.fromarray(picture).save(path / f"photo{number}.png")


def make_film(path: Path) -> None:
    """The film of the fixtures forward, backward, and so on: 144 frames."""
    import av

    with av.open(str(FIXTURES / "bigbuckbunny.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for picture in [*frames, *frames[::-1], *frames]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def make_era5(path: Path) -> None:
    """The four days of the fixture, five times one after the other."""
    with xarray.open_dataset(FIXTURES / "era5_t2m.nc", engine="h5netcdf") as data:
        days = data.load()
    step = np.timedelta64(1, "h")
    times = days.time.values[0] + step * np.arange(5 * days.sizes["time"])
    xarray.concat([days] * 5, "time").assign_coords(time=times).to_netcdf(path, engine="h5netcdf")


def make_archive(path: Path) -> None:
    rain = np.random.default_rng(0).gamma(0.2, 5, (200, 1, 48, 48)).astype(np.float32)
    _make_grid(rain, ["precipitation"], "mm/h").to_zarr(path, zarr_format=3, consolidated=False)


def make_weather(path: Path) -> None:
    values = np.random.default_rng(1).random((200, 3, 16, 16), np.float32)
    values[:, 2] = values[0, 2]
    _make_grid(values, ["t2m", "q", "z"], "1", minutes=60).to_netcdf(path, engine="h5netcdf")


def make_radar(path: Path) -> None:
    """A tile of the Finnish radar, forward and backward: 120 frames of 5 minutes, in dBZ."""
    with np.load(FIXTURES / "fmi_140.npz") as file:
        codes = np.concatenate(list(file["frames"][:2, :, 14:126, 14:126]))
    frames = np.where(codes == 255, np.nan, 0.5 * codes - 32).astype(np.float32)
    frames = np.concatenate([frames, frames[::-1], frames])[:, None]
    _make_grid(np.maximum(frames, -32), ["dbz"], "dBZ").to_netcdf(path, engine="h5netcdf")


def _make_grid(values: np.ndarray, names: list[str], units: str, minutes: int = 5) -> xarray.Dataset:
    count, _, height, width = values.shape
    axes = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(minutes, "m"),
        "y": ("y", 1000.0 * np.arange(height), {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": ("x", 1000.0 * np.arange(width), {"units": "m", "standard_name": "projection_x_coordinate"}),
    }
    fields = {name: (("time", "y", "x"), values[:, n], {"units": units}) for n, name in enumerate(names)}
    return xarray.Dataset(fields, axes)


def make_odim(path: Path) -> None:
    """The composites of the fixture again and again, every quarter of an hour."""
    import h5py

    path.mkdir()
    composites = sorted((FIXTURES / "radar/odim").glob("T_PAAH22*"))
    for number in range(64):
        moment = np.datetime64("2024-11-26T01:00:00") + np.timedelta64(15 * number, "m")
        stamp = str(moment).replace("-", "").replace(":", "").replace("T", "")
        target = path / f"T_PAAH22_C_EUOC_{stamp}.hdf"
        shutil.copy(composites[number % len(composites)], target)
        with h5py.File(target, "r+") as file:
            file.visititems(lambda _, group, stamp=stamp: _set_times(group, stamp))


def _set_times(group: Any, stamp: str) -> None:
    for key in group.attrs:
        if key.endswith("date"):
            group.attrs[key] = np.bytes_(stamp[:8])
        elif key.endswith("time"):
            group.attrs[key] = np.bytes_(stamp[8:])


def make_digits(path: Path) -> None:
    frames = np.zeros((20, 3, 64, 64), np.uint8)
    for t in range(20):
        frames[t, :, 2 * t : 2 * t + 20, 10:30] = 255
    np.save(path, frames)


NAMES = {"head.weight": "conv_last.weight", "regularizer.adapter.weight": "adapter.weight"}


def make_checkpoint(path: Path) -> None:
    """Weights under the names of the published code, of a narrow PredRNN-V2."""
    from framecast.models import PredRNNV2

    weights = {}
    for key, value in PredRNNV2(hidden=(4, 4)).build(16, 16, 16).state_dict().items():
        parts = key.replace("cells", "cell_list").replace("fusion", "conv_last").split(".")
        if parts[0] == "cell_list" and parts[2] != "conv_last":
            parts.insert(3, "0")  # of a Sequential, with or without a layer norm
        weights[NAMES.get(key, ".".join(parts))] = value
    torch.save({"net_param": weights}, path)


MAKERS: dict[str, Callable[[Path], object]] = {
    "photos/": make_photos,
    "film.mp4": make_film,
    "era5.nc": make_era5,
    "archive.zarr": make_archive,
    "weather.nc": make_weather,
    "radar.nc": make_radar,
    "odim/": make_odim,
    "radar/": lambda path: shutil.copytree(FIXTURES / "radar/fmi_pgm", path),
    "rain.npz": lambda path: shutil.copy(FIXTURES / "fmi_140.npz", path),
    "digits.npy": make_digits,
    "model.ckpt": make_checkpoint,
}


def make_missing(folder: Path, line: str) -> None:
    """Make the data that a command names, unless an earlier one has written them."""
    words = shlex.split(line, comments=True)
    written = {words[at + 1] for at, word in enumerate(words) if word == "--out"}
    for name, make in MAKERS.items():
        if name in words and name not in written and not (folder / name).exists():
            make(folder / name)


NARROW = ["--set", "model.hidden=[2,2]", "--set", "model.kernel_size=3", "--set", "patch=4"]
SHORT = ["--batch-size", "2", "--set", "validate.sequences=1"]
FEW = {
    "train": [*SHORT, "--steps", "2", "--device", "cpu", "--quiet"],
    "race": [*NARROW, *SHORT, "--budget", "2steps", "--seeds", "1", "--device", "cpu", "--quiet"],
    "predict": ["--device", "cpu", "--quiet"],
    "evaluate": ["--limit", "2", "--device", "cpu", "--quiet"],
    "compare": ["--limit", "2", "--device", "cpu", "--quiet"],
    "report": ["--limit", "2", "--device", "cpu", "--quiet"],
    "study": ["--limit", "1", "--device", "cpu", "--quiet"],
    "inspect": ["--no-picture"],
}
FEW_DIGITS = ["--set", "data.moving_mnist.validation=2", "--set", "data.moving_mnist.test=2"]
FITTED = ("linear", "calibrated", "--from")
"""What is trained without a network of ours, whose width cannot be chosen."""


def make_small(line: str) -> list[str]:
    """The words of a command, and after them options that make it small."""
    words = shlex.split(line, comments=True)[1:]
    more = list(FEW.get(words[0], []))
    if words[0] == "train" and words[1] in FITTED[:2]:
        more = ["--device", "cpu", "--quiet"]
    elif words[0] == "train" and words[1] not in FITTED:
        more = (
            [*NARROW, *(word.replace("--steps", "--budget") for word in more)]
            if "--budget" in words
            else [*NARROW, *more]
        )
        more = ["2steps" if before == "--budget" else word for before, word in zip(["", *more], more, strict=False)]
    if words[0] in ("train", "race") and ("--data" not in words or "moving-mnist" in words):
        more += FEW_DIGITS
    return [*words, *more]
