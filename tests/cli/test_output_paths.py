"""Paths that nothing can be written to, of every kind: refused at once, in one line, and left as they are."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.commands import framecast

COMMANDS = {
    ".npy": ["predict", "persistence", "x.npy", "--dims", "thw", "--horizon", "1", "--quiet", "--out"],
    ".zarr": ["data", "moving-mnist", "--count", "1", "--out"],
    ".png": ["inspect", "x.npy", "--dims", "thw", "--picture"],
    ".json": ["bench", "--quick", "--quiet", "--out"],
    "": ["train", "convlstm", "--data", "moving-mnist", "--steps", "1", "--quiet", "--out"],
}


def occupy(folder: Path, kind: str, suffix: str) -> Path:
    """Put something at a path, and give the path."""
    path = folder / f"taken{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to nowhere":
        path.symlink_to(folder / "nowhere")
    elif kind == "link to a device":
        path.symlink_to("/dev/full")
    elif kind == "folder":
        path.mkdir()
        (path / "theirs").touch()
    elif kind == "below a file":
        (folder / "file").touch()
        return folder / "file" / f"x{suffix}"
    elif kind == "long name":
        return folder / f"{'n' * 260}{suffix}"
    return path


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of Unix")
@pytest.mark.parametrize("suffix", list(COMMANDS))
@pytest.mark.parametrize("kind", ["pipe", "link to nowhere", "link to a device", "folder", "below a file", "long name"])
def test_it_is_refused_at_once(suffix: str, kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((12, 8, 8), np.uint8))
    path = occupy(tmp_path, kind, suffix)
    before = {p: p.lstat().st_mode for p in tmp_path.rglob("*")}
    errors = framecast(*COMMANDS[suffix], path, code=2, cwd=tmp_path).stderr
    told = [line for line in errors.splitlines() if "error: " in line]
    assert len(told) == 1
    assert "got " in told[0]
    assert {p: p.lstat().st_mode for p in tmp_path.rglob("*")} == before
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode) if kind == "link to a device" else True


def test_a_link_to_results_stays_a_link(tmp_path: Path) -> None:
    from framecast import files

    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    files.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(os.name == "nt" or not os.geteuid(), reason="root may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((12, 8, 8), np.uint8))
    (tmp_path / "closed").mkdir(mode=0o500)
    error = framecast(*COMMANDS[".npy"], tmp_path / "closed" / "y.npy", code=2, cwd=tmp_path).stderr
    assert "got no permission to write, expected a folder that can be written to" in error
