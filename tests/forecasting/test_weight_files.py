"""Models and checkpoints of strangers: refused in one line, before memory of the size that they claim is taken."""

import copy
import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import framecast
from framecast import files
from framecast.errors import CheckpointError
from framecast.forecasting import weight_files
from framecast.forecasting.published_weights import load_published
from framecast.forecasting.weight_files import read_torch_file
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range

SPEC = framecast.FrameSpec(channels=1, height=8, width=8, high=255.0)
BIAS = "cells.0.conv_x.bias"
MEGABYTES = 300
"""Memory that a refusal may take, next to none of it: the sizes that are claimed are gigabytes and more."""
PROGRAM = """
import resource, sys
import framecast, torch
import framecast.forecasting.model_folder, framecast.forecasting.published_weights
from framecast.errors import CheckpointError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        if path.endswith(".ckpt"):
            framecast.load_published(path, source="openstl", model="convlstm", patch=2)
        else:
            framecast.load(path)
    except CheckpointError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 4000, str(error)
    else:
        sys.exit(f"{path} was loaded")
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    if taken > float(LIMIT):
        sys.exit(f"{path} took {taken:.0f} MB")
"""

Description = dict[str, Any]
CLAIMS: dict[str, Callable[[Description], object]] = {
    "one wide layer": lambda d: d["model"].update(hidden=[30_000]),
    "many layers": lambda d: d["model"].update(hidden=[4] * 200_000),
    "many wide layers": lambda d: d["model"].update(hidden=[65_536] * 99),
    "a wide kernel": lambda d: d["model"].update(kernel_size=999),
    "no kernel of this world": lambda d: d["model"].update(kernel_size=10**9 + 1),
    "channels": lambda d: d["spec"].update(channels=10**9),
    "channels beyond 64 bits": lambda d: d["spec"].update(channels=10**30),
    "patch": lambda d: d.update(patch=10**6),
    "a frame's size": lambda d: (d["spec"].update(height=10**9, width=10**9), d["model"].update(peephole="full")),
    "a large frame": lambda d: (d["spec"].update(height=60_000, width=60_000), d["model"].update(peephole="full")),
    "the name of the network": lambda d: d["model"].update(name=["convlstm"]),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "good"
    forecaster = framecast.Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), SPEC, Range(low=0, high=255), 2, context=3)
    framecast.save_forecaster(folder, forecaster)
    return folder


def make_model(good: Path, path: Path, change: Callable[[Description], object]) -> Path:
    shutil.copytree(good, path)
    description = json.loads((good / "model.json").read_text())
    change(description)
    description.pop("digest", None)
    (path / "model.json").write_text(json.dumps(description))
    return path


def compress(content: object, path: Path) -> Path:
    """A checkpoint whose members are compressed: zeros take a thousandth."""
    plain = io.BytesIO()
    torch.save(content, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return path


def make_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of the published names that claim more than they hold."""
    wide = torch.zeros(1).expand(16, 30_000, 5, 5)
    names = ("cell_list.0.conv_x.0.weight", "cell_list.0.conv_h.0.weight", "conv_last.weight")
    sizes: dict[str, object] = {
        "expanded": {names[0]: wide, names[1]: wide, names[2]: torch.zeros(1).expand(10**7, 4, 1, 1)},
        "inferred": {
            names[0]: torch.zeros(400_000, 4, 1, 1),
            names[1]: torch.zeros(400_000, 1, 1, 1),
            names[2]: torch.zeros(4, 1),
        },
        "meta": {name: torch.zeros(16, 4, 3, 3, device="meta") for name in names},
        "sparse": {name: torch.sparse_coo_tensor(size=(10**5, 10**5), check_invariants=True) for name in names},
        "layers": {f"cell_list.{n}.conv_h.0.weight": torch.zeros(4, 1, 1, 1) for n in range(2000)}
        | {names[0]: torch.zeros(4, 4, 1, 1), names[2]: torch.zeros(4, 1, 1, 1)},
        "digits": {f"cell_list.{'9' * 5000}.conv_h.0.weight": torch.zeros(4, 1, 1, 1)},
    }
    paths = []
    for name, content in sizes.items():
        torch.save(content, path := folder / f"{name}.ckpt")
        paths.append(path)
    return [*paths, compress({names[0]: torch.zeros(25 * 2**20)}, folder / "compressed.ckpt")]


def test_what_is_claimed_is_compared_before_memory_is_taken(good: Path, tmp_path: Path) -> None:
    paths = [make_model(good, tmp_path / name.replace(" ", "-"), change) for name, change in CLAIMS.items()]
    program = PROGRAM.replace("LIMIT", str(MEGABYTES))
    words = [sys.executable, "-W", "ignore", "-c", program, *map(str, [*paths, *make_checkpoints(tmp_path)])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def replace_weights(folder: Path, content: bytes) -> None:
    description = json.loads((folder / "model.json").read_text())
    path = folder / description["weights"]
    path.write_bytes(content)
    description["sha256"] = files.sha256(path)
    description.pop("digest", None)
    (folder / "model.json").write_text(json.dumps(description))


def cast(name: str | None, dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], bytes]:
    return lambda weights: safetensors.torch.save(
        {key: value.to(dtype) if name in (None, key) else value for key, value in weights.items()}
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda w: b"", "safetensors"),
        (lambda w: b"\xff" * 100, "a header of 18446744073709551615 bytes"),
        (lambda w: struct.pack("<Q", 60) + b"[" * 60, "safetensors"),
        (lambda w: safetensors.torch.save(w)[:-8], "safetensors"),
        (lambda w: safetensors.torch.save({**w, "more": torch.zeros(1)}), "do not fit: more"),
        (
            lambda w: safetensors.torch.save({k: v for k, v in w.items() if k != BIAS}),
            "do not fit: cells.0.conv_x",
        ),
        (
            lambda w: safetensors.torch.save({**w, BIAS: torch.zeros(3)}),
            "do not fit: cells.0.conv_x",
        ),
        (
            cast(BIAS, torch.float64),
            "got float32, float64, expected weights of one floating-point dtype",
        ),
        (cast(BIAS, torch.int8), "do not fit: cells.0.conv_x"),
        (cast(None, torch.int8), "no floating-point weights"),
        (cast(None, torch.float8_e4m3fn), "no floating-point weights"),
    ],
)
def test_weights_that_are_others(
    change: Callable[[dict[str, torch.Tensor]], bytes], fault: str, good: Path, tmp_path: Path
) -> None:
    folder = make_model(good, tmp_path / "model", lambda _: None)
    weights = safetensors.torch.load_file(next(good.glob("*.safetensors")))
    assert BIAS in weights
    replace_weights(folder, change(weights))
    with pytest.raises(CheckpointError, match=fault.replace("(", r"\(")):
        framecast.load(folder)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_any_floating_point_dtype_load(dtype: torch.dtype, good: Path, tmp_path: Path) -> None:
    folder = make_model(good, tmp_path / "model", lambda _: None)
    replace_weights(folder, cast(None, dtype)(safetensors.torch.load_file(next(good.glob("*.safetensors")))))
    assert {p.dtype for p in framecast.load(folder).parameters()} == {dtype}


def test_files_of_torch_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    tied = torch.rand(3, 4)
    content = {"a": tied, "b": tied.T, "c": [tied[0], {"d": torch.zeros(())}], "e": (1, "x", None)}
    for new in (True, False):
        torch.save(content, tmp_path / "file.pt", _use_new_zipfile_serialization=new)
        read = read_torch_file(tmp_path / "file.pt")
        assert torch.equal(read["b"], tied.T)
        assert read["c"][0].data_ptr() == read["a"].data_ptr()
    compress(content, tmp_path / "small.pt")
    with pytest.raises(weight_files.UNREADABLE, match="compressed members"):
        read_torch_file(tmp_path / "small.pt")


def test_members_that_lie_over_each_other_count_each(tmp_path: Path) -> None:
    """Two names of the directory for one place in the file."""
    torch.save({"a": torch.zeros(1000)}, path := tmp_path / "file.pt")
    with zipfile.ZipFile(path, "a") as archive:
        member = next(info for info in archive.infolist() if info.filename.endswith("data/0"))
        for number in range(9):
            other = copy.copy(member)
            other.filename = f"{member.filename}{number}"
            archive.filelist.append(other)
        archive.writestr("end", b"")
    with pytest.raises(weight_files.UNREADABLE, match=r"members of \d+ bytes in a file of"):
        read_torch_file(path)


def test_a_published_checkpoint_of_the_old_format_is_read(tmp_path: Path) -> None:
    gates, head = torch.zeros(16, 4, 3, 3), torch.zeros(4, 4, 1, 1)
    layer = {f"cell_list.0.conv_{name}.0.weight": gates for name in "xh"}
    path = tmp_path / "old.pth"
    torch.save({**layer, "conv_last.weight": head}, path, _use_new_zipfile_serialization=False)
    assert load_published(path, source="openstl", model="convlstm", patch=2).config.hidden == (4,)  # type: ignore[attr-defined]
