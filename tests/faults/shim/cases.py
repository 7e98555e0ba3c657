"""Commands that write, what they need, and what is theirs when they have ended."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tests.archives.conftest import make_rain
from tests.faults.shim.client import Ended, Shim
from tests.fixtures.live import drop

PLACE = ["--device", "cpu", "--quiet"]
TINY = ["--set", "patch=8", "--set", "train.batch_size=2", "--set", "data.moving_mnist={size: 32, digits: 1}"]
TINY += ["--set", "validate.sequences=2", "--set", "validate.every=1", "--set", "train.checkpoint_every=1"]
TINY += ["--set", "context=3", "--set", "horizon=3", "--set", "train.log_every=1", "--set", "train.loggers=[]"]
TRAIN = ["train", "convlstm", "--data", "moving-mnist", "--steps", "2", "--set", "model.hidden=[2]", *TINY, *PLACE]
SCORED = ["--context", "3", "--horizon", "2", "--metrics", "mse", "--baselines", "persistence", "--batch-size", "4"]
PREDICT = ["predict", "persistence", "x.npy", "--dims", "thw", "--horizon", "2", "--times", "00:00/5min"]
WATCH = ["watch", "extrapolation", "in", "--horizon", "2", "--settle", "0", "--write", "npy,strip", "--grey", "--once"]
CONVERT = [
    "convert",
    "old.ckpt",
    "--source",
    "predrnn-pytorch",
    "--model",
    "predrnn",
    "--patch",
    "2",
    "--range",
    "0,255",
]
VARYING = {"timing.jsonl", "lock", "zarr.json", ".watch.lock"}
"""Files whose content says when, or how long."""


class Case(NamedTuple):
    """A command that writes into the watched folder OUT.

    Attributes:
        words: of the command line.
        again: the words that go on after a death; None for the same ones.
        start: names in the prepared folder that lie in OUT before, each with its name there.
        publishes: whether all of it appears under names that must be free, so that a second run is refused.
    """

    words: list[str]
    again: list[str] | None = None
    start: tuple[tuple[str, str], ...] = ()
    publishes: bool = False


def publish(*words: str) -> Case:
    """Make the case of a command that writes new files."""
    return Case(list(words), publishes=True)


CASES = {
    "train": Case([*TRAIN, "--out", "OUT/run"], ["resume", "OUT/run", *PLACE]),
    "resume": Case(["resume", "OUT/run", *PLACE], start=(("stopped", "run"),)),
    "report": Case(["report", "OUT/run", "--limit", "1", *PLACE], start=(("run", "run"),)),
    "report of pictures": publish("report", "run", "--limit", "1", "--out", "OUT/page.html", *PLACE),
    "evaluate": publish("evaluate", "run", "--limit", "1", "--metrics", "mse", "--out", "OUT/scores", *PLACE),
    "predict .nc": publish(*PREDICT, "--out", "OUT/a.nc"),
    "predict .zarr": publish(*PREDICT, "--out", "OUT/a.zarr"),
    "predict .npy": publish(*PREDICT, "--out", "OUT/a.npy"),
    "predict .npz": publish(*PREDICT, "--out", "OUT/a.npz"),
    "predict .tif": publish(*PREDICT, "--out", "OUT/a.tif"),
    "predict .png": publish(*PREDICT, "--out", "OUT/a.png"),
    "predict .gif": publish(*PREDICT, "--out", "OUT/a.gif"),
    "predict .mp4": publish(*PREDICT, "--out", "OUT/a.mp4"),
    "convert": publish(*CONVERT, "--out", "OUT/model"),
    "data .npy": publish("data", "moving-mnist", "--count", "2", "--out", "OUT/a.npy"),
    "data .npz": publish("data", "moving-mnist", "--count", "2", "--out", "OUT/a.npz"),
    "data .zarr": publish("data", "moving-mnist", "--count", "2", "--out", "OUT/a.zarr"),
    "calibrate": publish("calibrate", "run", "--limit", "2", "--members", "2", "--out", "OUT/errors"),
    "hindcast": Case(["hindcast", "mean", "rain.nc", "--out", "OUT/f.zarr", "--range", "0,10", *SCORED, *PLACE]),
    "hindcast that grows": Case(
        ["hindcast", "mean", "rain.nc", "--out", "OUT/f.zarr", "--range", "0,10", *SCORED, *PLACE],
        start=(("hindcast/f.zarr", "f.zarr"), ("hindcast/f.tasks", "f.tasks")),
    ),
    "watch": Case([*WATCH, "--out", "OUT/live", "--quiet"]),
    "watch again": Case([*WATCH, "--out", "OUT/live", "--quiet"], start=(("live", "live"),)),
}


def prepare(shim: Shim, folder: Path) -> None:
    """Make what the commands read."""
    done = shim.run([*TRAIN, "--out", "run"], folder, learn=True)
    assert done.code == 0, done.stderr
    second = folder / "stopped" / "checkpoints" / "step-00000002"
    killed = shim.run([*TRAIN, "--out", "stopped"], folder, watched=second, first=1)
    assert killed.code == -9, killed.stderr
    x = np.random.default_rng(0).integers(0, 255, (5, 32, 32), np.uint8)
    np.save(folder / "x.npy", x)
    make_rain(9).to_netcdf(folder / "short.nc")
    make_rain(12).to_netcdf(folder / "rain.nc")
    save_published_weights(folder / "old.ckpt")
    (folder / "in").mkdir()
    for number in range(3):
        drop(folder / "in", number)
    words = [word.replace("OUT/live", "live") for word in CASES["watch"].words]
    (folder / "live").mkdir()
    assert shim.run(words, folder).code == 0
    drop(folder / "in", 3)
    (folder / "hindcast").mkdir()
    words = [word.replace("OUT", "hindcast") for word in CASES["hindcast"].words]
    shutil.move(folder / "rain.nc", folder / "long.nc")
    shutil.move(folder / "short.nc", folder / "rain.nc")
    done = shim.run(words, folder)
    assert done.code == 0, done.stderr
    shutil.move(folder / "long.nc", folder / "rain.nc")


def save_published_weights(path: Path) -> None:
    """Write a checkpoint as the published code of PredRNN writes them."""
    from framecast.models import PredRNN

    names, weights = {"cells": "cell_list", "fusion": "conv_last"}, {}
    for key, value in PredRNN(hidden=(4, 4)).build(4, 8, 8).state_dict().items():
        parts = [names.get(part, part) for part in key.split(".")]
        if parts[0] == "cell_list" and parts[2] != "conv_last":
            parts.insert(3, "0")
        weights["conv_last.weight" if key == "head.weight" else ".".join(parts)] = value
    torch.save({"net_param": weights}, path)


def place(words: list[str], out: Path) -> list[str]:
    """Put the path of the watched folder into the words of a case."""
    return [word.replace("OUT", str(out)) for word in words]


def is_temporary(path: Path, folder: Path) -> bool:
    """Whether a file lies in a temporary folder of framecast, or is a temporary file of zarr."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") and part.endswith(".part") for part in parts) or path.name.endswith(".partial")


def read_tree(folder: Path) -> dict[str, Any]:
    """Read all files under final names, each by what kind it is; one that is not whole is an error that names it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and path.name not in VARYING and not is_temporary(path, folder):
            try:
                found[name] = READERS.get(path.suffix, Path.read_bytes)(path)
            except Exception as error:
                raise AssertionError(f"{name} is not whole: {type(error).__name__}: {error}") from error
    return found


def read_netcdf(path: Path) -> dict[str, bytes]:
    import h5py

    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, node: found.update({name: node[()].tobytes()}) if hasattr(node, "dtype") else None)
    return found


def read_picture(path: Path) -> list[bytes]:
    from PIL import Image, ImageSequence

    with Image.open(path) as picture:
        return [frame.convert("RGBA").tobytes() for frame in ImageSequence.Iterator(picture)]


def read_film(path: Path) -> int:
    import av

    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def read_page(path: Path) -> str:
    text = path.read_text()
    assert text.rstrip().endswith("</html>"), "a page that ends early"
    return "a page"


def read_npz(path: Path) -> dict[str, bytes]:
    with np.load(path) as content:
        return {name: content[name].tobytes() for name in content.files}


def read_npy(path: Path) -> bytes:
    return np.load(io.BytesIO(path.read_bytes())).tobytes()


def read_weights(path: Path) -> dict[str, bytes]:
    from safetensors.numpy import load_file

    return {name: value.tobytes() for name, value in load_file(path).items()}


def read_object(path: Path) -> Any:
    """Read JSON, without what says when or how long; of a manifest without the digest, see `read_checkpoint`."""
    content = drop_times(json.loads(path.read_text()))
    return {"step": content["step"], "events": content["events"]} if path.name.startswith("step-") else content


def read_checkpoint(path: Path) -> dict[str, bytes] | str:
    """Read the network: torch writes the same values in another order of bytes. Without a manifest it is none yet."""
    if not path.with_suffix(".json").exists():
        return path.name
    content = torch.load(path, weights_only=True)
    return {name: value.numpy().tobytes() for name, value in content["trainer"]["network"].items()}


def drop_times(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: drop_times(value) for key, value in content.items() if key not in TIMES}
    return [drop_times(value) for value in content] if isinstance(content, list) else content


TIMES = {"cpu_seconds", "digest", "created", "age_seconds", "seconds", "history"}
"""Keys whose values say when, or how long."""
READERS: dict[str, Callable[[Path], Any]] = {
    ".nc": read_netcdf,
    ".png": read_picture,
    ".gif": read_picture,
    ".tif": read_picture,
    ".mp4": read_film,
    ".html": read_page,
    ".npy": read_npy,
    ".npz": read_npz,
    ".json": read_object,
    ".safetensors": read_weights,
    ".pt": read_checkpoint,
    ".jsonl": lambda path: [line for line in path.read_text().splitlines() if line.endswith("}")],
}


def describe(ended: Ended) -> str:
    """Describe the end of a command for a failed test."""
    return f"exit {ended.code}\n{ended.stdout}\n{ended.stderr}"
