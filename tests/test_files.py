"""Files appear whole under a name that was free, whatever happens between the look and the rename."""

import errno
import os
from pathlib import Path

import pytest

from framecast import files
from framecast.errors import UsageError


def fill(path: Path, folder: bool) -> None:
    (path / "ours" if folder else path).write_text("ours")


def taken_at_the_last_moment(path: Path, folder: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes the name after all that was filled was flushed, which is the last step but the naming."""
    publish = files.publish

    def late(finished: Path, new: Path) -> None:
        if folder:
            path.mkdir()
        (path / "theirs" if folder else path).write_text("theirs")
        publish(finished, new)

    monkeypatch.setattr(files, "publish", late)


def no_links(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A file system without hard links, and without a rename that refuses to overwrite."""
    monkeypatch.setattr(files, "rename_to_free_name", lambda *_: False)

    if number == 0:  # links are there
        return

    def link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("number", [None, 0, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_what_is_staged_appears_whole(
    tmp_path: Path, folder: bool, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number is not None:
        no_links(monkeypatch, number)
    path = tmp_path / "new"
    with files.staged(path, folder=folder) as temporary:
        fill(temporary, folder)
        assert not path.exists()
    assert (path / "ours" if folder else path).read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path], "a temporary file was left"
    assert path.is_dir() == folder
    assert folder or path.stat().st_nlink == 1


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("number", [None, 0, errno.EPERM, errno.ENOTSUP])
def test_what_appears_meanwhile_survives(
    tmp_path: Path, folder: bool, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new"
    taken_at_the_last_moment(path, folder, monkeypatch)
    if number is not None:
        no_links(monkeypatch, number)
    with pytest.raises(UsageError, match="a path that exists"), files.staged(path, folder=folder) as temporary:
        fill(temporary, folder)
    assert (path / "theirs" if folder else path).read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]
    assert path.is_file() or [part.name for part in path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_name_is_free_again_where_the_rename_fails(
    tmp_path: Path, folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    no_links(monkeypatch, errno.EPERM)
    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"), files.staged(tmp_path / "new", folder=folder) as temporary:
        fill(temporary, folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", [False, True])
def test_an_empty_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "new"
    (tmp_path / "finished").mkdir() if folder else (tmp_path / "finished").touch()
    path.mkdir()
    with pytest.raises(UsageError, match="a path that exists"):
        files.publish(tmp_path / "finished", path)
    assert list(path.iterdir()) == []


def test_a_broken_link_is_something(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="a path that exists"):
        files.check_new(path)
    with pytest.raises(UsageError, match="a path that exists"), files.staged(path) as temporary:
        fill(temporary, False)
    assert path.is_symlink()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), files.staged(tmp_path / "new") as temporary:
        temporary.parent.write_text("a folder")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_not_opened_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def as_windows(path: Path, flags: int, *rest: int, **options: int) -> int:
        if Path(path).is_dir() or not flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files.os, "open", as_windows)
    (tmp_path / "file").write_text("x")
    files.flush(tmp_path / "file")
    files.flush(tmp_path)


def test_nothing_that_was_not_written_is_published(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.publish(tmp_path / "finished", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
