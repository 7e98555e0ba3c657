"""What SECURITY.md promises of files from strangers: nothing in them runs, leads elsewhere or takes too much."""

import json
import os
import pickle
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import zarr
from tests.fixtures.commands import framecast
from tests.fixtures.tiny import tiny, trained

from framecast import files, json_files
from framecast.data import DataConfig, FileSource
from framecast.data.formats import hdf5
from framecast.errors import FramecastError, InputError
from framecast.recipe.recipe import read_run_recipe

RADAR = Path(__file__).parents[1] / "fixtures" / "radar"
FRAMES = np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)


class Evil:
    """Writes a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.trace), "w")


def save_npy(path: Path, evil: Evil) -> Path:
    np.save(path / "a.npy", np.array([evil, evil, evil], object), allow_pickle=True)
    return path / "a.npy"


def save_npz(path: Path, evil: Evil) -> Path:
    np.savez(path / "a.npz", frames=FRAMES, times=np.array([evil] * 4, object))
    return path / "a.npz"


def save_only_npz(path: Path, evil: Evil) -> Path:
    np.savez(path / "a.npz", frames=np.array([evil] * 4, object))
    return path / "a.npz"


def save_zarr(path: Path, evil: Evil) -> Path:
    """Write an array of objects of Zarr 2 with the codec pickle, by hand: zarr itself no longer does."""
    store = path / "a.zarr"
    store.mkdir()
    about = {"zarr_format": 2, "shape": [4, 8, 8], "chunks": [4, 8, 8], "dtype": "|O", "fill_value": None, "order": "C"}
    about |= {"compressor": None, "filters": [{"id": "pickle", "protocol": 4}]}
    (store / ".zarray").write_text(json.dumps(about))
    (store / "0.0.0").write_bytes(pickle.dumps([evil] * 256))
    return store


def save_hdf5(path: Path, evil: Evil) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file["rain"] = np.array([[[pickle.dumps(evil)]]], "S512")
    return path / "a.h5"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("save", [save_npy, save_npz, save_only_npz, save_zarr, save_hdf5])
def test_no_reader_unpickles(tmp_path: Path, save: Callable[[Path, Evil], Path]) -> None:
    path, trace = save(tmp_path, Evil(tmp_path / "trace")), tmp_path / "trace"
    assert not trace.exists()
    with suppress(FramecastError):  # where the frames are whole, the rest may be left alone
        FileSource(DataConfig(source=str(path), range=(0, 300))).read(0, 0, 1)
    assert not trace.exists(), "a file was unpickled"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tiny(), tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_no_checkpoint_is_unpickled(run: Path, tmp_path: Path) -> None:
    """Its manifest holds, as who writes the one can write the other."""
    trace, evil = tmp_path / "trace", tmp_path / "evil.pt"
    torch.save({"state": Evil(trace)}, evil)
    for path in (run / "checkpoints").glob("*.pt"):
        manifest = json_files.read_json(path.with_suffix(".json"))
        path.write_bytes(evil.read_bytes())
        said = {**manifest, "sha256": files.sha256(path), "size": path.stat().st_size}
        json_files.write_json(path.with_suffix(".json"), said)
    assert "no valid checkpoint" in framecast("resume", run, "--quiet", code=4).stderr
    words = ["--source", "predrnn-pytorch", "--model", "predrnn", "--patch", "2", "--out", tmp_path / "new"]
    framecast("convert", evil, *words, code=4)
    assert not trace.exists(), "a file was unpickled"
    assert not (tmp_path / "new").exists()


def test_no_class_that_a_model_names_is_imported(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil_class.py").write_text("raise SystemExit('code was run')")
    monkeypatch.syspath_prepend(tmp_path)
    path = run / "model" / "model.json"
    about = json_files.read_json(path)
    json_files.write_json(path, {**about, "model": {**about["model"], "name": "evil_class:Net"}})
    np.save(tmp_path / "x.npy", np.zeros((4, 32, 32), np.uint8))
    words = ["predict", run / "model", tmp_path / "x.npy", "--dims", "thw", "--out", tmp_path / "y.npy"]
    assert "evil_class:Net" in framecast(*words, code=4, cwd=tmp_path).stderr
    framecast("report", run, code=4, cwd=tmp_path)
    assert "evil_class" not in sys.modules


def test_weights_lie_in_the_folder_of_the_model(run: Path, tmp_path: Path) -> None:
    path = run / "model" / "model.json"
    about = json_files.read_json(path)
    shutil.move(run / "model" / about["weights"], tmp_path / "elsewhere.safetensors")
    for name in ("../../elsewhere.safetensors", str(tmp_path / "elsewhere.safetensors")):
        json_files.write_json(path, {**about, "weights": name})
        np.save(tmp_path / "x.npy", np.zeros((4, 32, 32), np.uint8))
        words = ["predict", run, tmp_path / "x.npy", "--dims", "thw", "--out", tmp_path / "y.npy"]
        framecast(*words, code=4)


def refused(path: Path, words: str, **said: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        FileSource(DataConfig.model_validate({"source": str(path), "range": (0, 300), **said})).read(0, 0, 1)
    assert "\n" not in str(caught.value)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user, and an HDF5 file that holds it too."""
    (tmp_path / "secret").write_bytes(bytes(range(256)))
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["rain"] = FRAMES
        file["group/rain"] = FRAMES
    return tmp_path / "secret"


def many_members(file: h5py.File) -> None:
    """More groups than a look at the first ones sees; links to one, as each group of its own takes a kilobyte."""
    group = file.create_group("a")
    empty = file.create_group("0")
    for number in range(hdf5.MEMBERS + 100):
        group[f"m{number:05d}"] = empty


LINKS: dict[str, Callable[[h5py.Group, Path], object]] = {
    "external": lambda group, secret: group.__setitem__("rain", h5py.ExternalLink(f"{secret}.h5", "rain")),
    "soft": lambda group, secret: group.__setitem__("rain", h5py.SoftLink("/elsewhere/rain")),
    "storage": lambda group, secret: group.create_dataset(
        "rain", (4, 8, 8), np.uint8, external=[(str(secret), 0, 256)]
    ),
}


@pytest.mark.parametrize(("depth", "many"), [(0, False), (1, False), (5, False), (5, True)])
@pytest.mark.parametrize("link", LINKS)
def test_no_array_of_hdf5_lies_elsewhere(tmp_path: Path, secret: Path, link: str, depth: int, many: bool) -> None:
    path, place = tmp_path / "a.h5", "/".join(f"z{number}" for number in range(depth))
    with h5py.File(path, "w") as file:
        file["elsewhere/rain"] = FRAMES[:2, :, 0]  # no frames, for who would follow
        if many:
            many_members(file)
        LINKS[link](file.require_group(place) if place else file, secret)
    name = f"{place}/rain".lstrip("/")
    refused(path, "link to another place|values in other files|endless file", variable=name)
    refused(path, "link to another place|values in other files|endless file|0 arrays that could be frames")


@pytest.mark.parametrize("place", ["rain", "z/rain", "z/z/z/rain"])
@pytest.mark.parametrize("is_group", [False, True], ids=["array", "group"])
def test_no_array_of_netcdf_lies_elsewhere(tmp_path: Path, secret: Path, place: str, is_group: bool) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["Conventions"] = "CF-1.8"
        if is_group:
            place = place.replace("rain", "group")
        file[place] = h5py.ExternalLink(f"{secret}.h5", "group" if is_group else "rain")
    refused(tmp_path / "a.nc", "a.nc.*got ", variable="rain")
    if is_group:
        refused(tmp_path / "a.nc", "a.nc.*got ", variable=f"{place}/rain")


@pytest.mark.parametrize(("folder", "place"), [("odim", "dataset1/data1/data"), ("knmi_hdf5", "image1/image_data")])
def test_no_array_of_a_radar_file_lies_elsewhere(tmp_path: Path, folder: str, place: str) -> None:
    original = sorted((RADAR / folder).iterdir())[0]
    for number in range(len(place.split("/"))):  # the array, or a group above it
        path, parts = tmp_path / f"{number}{original.suffix}", place.split("/")
        shutil.copy(original, path)
        linked = "/".join(parts[: len(parts) - number])
        with h5py.File(path, "a") as file:
            del file[linked]
            file[linked] = h5py.ExternalLink(str(original), linked)
        refused(path, "link to another place")


@pytest.mark.parametrize("depth", [1, 3])
def test_no_chunk_of_zarr_lies_elsewhere(tmp_path: Path, secret: Path, depth: int) -> None:
    store = tmp_path / "a.zarr"
    array = zarr.create_array(store, shape=(4, 8, 8), chunks=(4, 8, 8), dtype="u1", compressors=None, zarr_format=3)
    array[:] = FRAMES
    source = DataConfig(source=str(store), dims="thw", range=(0, 300))
    np.testing.assert_array_equal(FileSource(source).read(0, 0, 4).frames[:, 0], FRAMES)
    chunk = store / "c" / "0" / "0" / "0"
    linked = chunk.parents[depth - 2] if depth > 1 else chunk
    (tmp_path / "moved").parent.mkdir(exist_ok=True)
    shutil.move(linked, tmp_path / "moved")
    linked.symlink_to(tmp_path / "moved")
    refused(store, "a link that leads out of the store", dims="thw")
    linked.unlink()
    shutil.move(tmp_path / "moved", store / "kept")
    linked.symlink_to(store / "kept")  # within the store all is as it was
    np.testing.assert_array_equal(FileSource(source).read(0, 0, 4).frames[:, 0], FRAMES)


BOMBS = {
    "laughs": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
    "merges": "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
    "itself": "model: &a [*a]\n",
    "deep": "[" * 100_000,
    "long": "seed: " + "9" * 1_000_000 + "\n",
    "tags": "model: !!python/object/apply:os.system ['true']\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_recipe_is_a_bomb(tmp_path: Path, name: str) -> None:
    (tmp_path / "recipe.yaml").write_text(BOMBS[name])
    began = time.process_time()
    with pytest.raises(FramecastError) as caught:
        read_run_recipe(tmp_path / "recipe.yaml")
    assert time.process_time() - began < 5
    assert len(str(caught.value)) < 3000


EVIL_NAME = "<img src=x onerror=alert(1)>"


def test_pages_escape_the_names_of_files_and_recipes(run: Path, tmp_path: Path) -> None:
    """Names come from folders, from recipes and from descriptions of models."""
    strange = tmp_path / EVIL_NAME.replace("/", "")
    run.rename(strange)
    page = strange / "report.html"
    framecast("report", strange, "--limit", "1", "--device", "cpu", "--quiet")
    text = page.read_text()
    assert EVIL_NAME not in text
    assert "&lt;img src=x" in text


def find_pages() -> Iterator[tuple[str, str]]:
    for folder, names in (("framecast.report", ["template.html"]), ("framecast.export", ["page/page.html"])):
        for name in names:
            yield name, (resources.files(folder) / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text"), list(find_pages()))
def test_pages_ship_a_policy(name: str, text: str) -> None:
    """Pages of the service get theirs from its headers: tests/serving."""
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none';")
    assert not re.search(r"https?:|\*", policy[1]), "no other host"
    assert text.index("Content-Security-Policy") < text.index("<style"), "what stands before it is not bound"


def test_no_template_writes_without_escaping() -> None:
    package = Path(os.fspath(resources.files("framecast")))
    pages = [path for path in package.rglob("*.html") if "serving" not in path.parts]
    assert pages
    for path in pages:
        assert not re.search(r"\|\s*safe\b|autoescape\s+false", path.read_text()), path
    for script in package.rglob("*.js"):
        if "leaflet" not in script.name and not script.name.endswith(".min.js"):
            assert not re.search(r"\.innerHTML\s*[+]?=|document\.write|\beval\(", script.read_text()), script
