"""Commands run in a folder of a stranger: no file there is run because of its name."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.commands import framecast as in_this_process

import framecast
from framecast.forecasting.forecaster import Forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range

NOT_INSTALLED = ("cupy", "dask", "jax", "msgpack", "pyarrow", "sparse", "sitecustomize", "usercustomize")
SPEC = framecast.FrameSpec(channels=1, height=8, width=8, high=255.0)
SPAWNING = """
if __name__ == "__main__":
    import multiprocessing
    from framecast.cli import main
    multiprocessing.set_start_method("spawn")
    main()
"""
CELL = """
from typing import Literal
{imports}
from framecast.models import ConvLSTM
class Mine(ConvLSTM):
    name: Literal["mine"] = "mine"
    {body}
"""


def find_names() -> set[str]:
    """All that may be imported: the standard library, what is installed, what libraries look for."""
    names = {*sys.stdlib_module_names, *packages_distributions(), *NOT_INSTALLED}
    return {name for name in names if name.isidentifier() and name != "framecast"}


def loaded_before() -> set[str]:
    """What Python itself has loaded when it comes to the program: -m names the program's folder first."""
    words = [sys.executable, "-c", "import runpy, sys; print(*sys.modules)"]
    return {name.partition(".")[0] for name in subprocess.check_output(words, text=True).split()}


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with frames, a model, and a module of every name, which leaves a trace where it is run."""
    folder = tmp_path_factory.mktemp("strange")
    for name in find_names():
        text = f"open({str(folder / 'run.txt')!r}, 'a').write('{name}\\n')\nraise SystemExit('{name} was run')\n"
        (folder / f"{name}.py").write_text(text)
    frames = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    np.save(folder / "frames.npy", frames)
    forecaster = Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), SPEC, Range(low=0, high=255), patch=2, context=3)
    framecast.save_forecaster(folder / "model", forecaster)
    return folder


def run(strange: Path, program: list[str], *words: object) -> None:
    source = str(Path(framecast.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": ""}
    command = [sys.executable, *program, *map(str, words)]
    done = subprocess.run(command, cwd=strange, env=environment, capture_output=True, text=True, timeout=120)
    ran = (strange / "run.txt").read_text().split() if (strange / "run.txt").exists() else []
    (strange / "run.txt").unlink(missing_ok=True)
    assert ran == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("start", ["script", "module"])
def test_predict(start: str, strange: Path, tmp_path: Path) -> None:
    script = tmp_path / "framecast"
    script.write_text("from framecast.cli import main\nmain()\n")
    kept = {name: strange / f"{name}.py" for name in loaded_before()}
    hidden = [path for path in kept.values() if path.exists()] if start == "module" else []
    for path in hidden:  # with -m, Python itself would run these before the program
        path.rename(path.with_suffix(".off"))
    program = ["-m", "framecast"] if start == "module" else [str(script)]
    outs = [word for name in ("nc", "npz", "gif", "zarr") for word in ("--out", tmp_path / f"{start}.{name}")]
    try:
        run(strange, program, "predict", "model", "frames.npy", "--dims", "thw", "--horizon", 2, *outs)
    finally:
        for path in hidden:
            path.with_suffix(".off").rename(path)


@pytest.mark.slow
def test_training_with_processes_that_start_anew(strange: Path, tmp_path: Path) -> None:
    """As on macOS and Windows; then the page of the run, and its scores."""
    script = tmp_path / "framecast"
    script.write_text(SPAWNING)
    sizes = ["--context", 3, "--horizon", 2, "--set", "model.hidden=[2]", "--set", "patch=4", "--steps", 2]
    workers = ["--set", "train.workers=1", "--set", "train.batch_size=2"]
    data = ["--data", "frames.npy", "--dims", "thw", "--quiet"]
    run(strange, [str(script)], "train", "convlstm", *data, *sizes, *workers, "--out", tmp_path / "run")


def test_a_class_that_was_asked_for_is_found_here_and_only_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("there = True")
    (tmp_path / "mine.py").write_text(CELL.format(imports="import beside", body="there: bool = beside.there"))
    path = list(sys.path)
    in_this_process("models", "mine:Mine", cwd=tmp_path)
    assert sys.path == path
    assert str(tmp_path) not in sys.path
    error = in_this_process("models", "nowhere:Mine", cwd=tmp_path, code=2).stderr
    assert "No module named 'nowhere'" in error
    assert "current folder" in error
    for module in ("mine", "beside"):
        del sys.modules[module]


@pytest.mark.parametrize(
    "name", ["mine", ":Mine", "mine:", "..mine:Mine", "mine:Mine()", "os:no_such", "no.such:Thing"]
)
def test_what_names_no_class_is_refused(name: str) -> None:
    from framecast.named_code import import_named

    with pytest.raises(framecast.FramecastError, match=r"expected package\.module:Name"):
        import_named(name, "model")
