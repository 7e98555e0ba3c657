"""Layouts of pictures: KTH, Human3.6M, CIKM AnalytiCup 2017, Shanghai 2020."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from framecast.data.formats.pictures.picture import opened
from framecast.errors import InputError
from framecast.protocols.definition import Protocol
from framecast.protocols.layouts.base import ProtocolWindows, join_inside, need_path

KTH_LONG, KTH_SHORT = ("boxing", "handclapping", "handwaving", "walking"), ("jogging", "running")
"""Actions whose windows share no frame, and those whose windows are three frames apart."""
KTH_TEST = range(17, 26)
"""Persons of the test split."""
_KTH_VIDEO, _KTH_FRAME = re.compile(r"person(\d\d)_"), re.compile(r"image_(\d{4})")


def find_kth(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find windows from the end of each video backwards; a window needs files of consecutive numbers."""
    root, windows = need_path(folder, protocol.files[0]).parent, []
    for action in (*KTH_LONG, *KTH_SHORT):
        distance = protocol.frames if action in KTH_LONG else 3
        for video in _list_folders(root / action):
            person = _KTH_VIDEO.match(video.name)
            if person is None or int(person[1]) not in KTH_TEST:
                continue
            files = {int(match[1]): path for path in video.iterdir() if (match := _KTH_FRAME.match(path.name))}
            starts = list_backward_starts(sorted(files), protocol.frames, distance)
            windows += [[files[number] for number in range(start, start + protocol.frames)] for start in starts]
    return _make_windows(windows, "L")


def list_backward_starts(numbers: Sequence[int], frames: int, distance: int) -> list[int]:
    """List the first number of each window, from the last to the first.

    Args:
        numbers: ascending numbers of the frames that are there.
        frames: frames of a window, whose numbers follow one another.
        distance: frames from the end of a window to that of the next; 1 after frames that end none.

    Example:
        >>> list_backward_starts([1, 2, 3, 4, 5, 8, 9, 10], 3, 3)
        [8, 3]
    """
    starts, last = [], len(numbers) - 1
    while last >= frames - 1:
        first = numbers[last - frames + 1]
        fits = numbers[last] - first == frames - 1
        if fits:
            starts.append(first)
        last -= distance if fits else 1
    return starts


def find_human(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find the windows of test.txt: a line has the beginning of the names of pictures, and the number of the first."""
    root, text = (need_path(folder, file) for file in protocol.files)
    windows = []
    for line in filter(None, map(str.strip, text.read_text("utf-8").splitlines())):
        beginning, _, rest = line.partition(",")
        try:
            first = int(rest.partition(",")[0])
        except ValueError as error:
            raise InputError(str(text), got=line, expected="beginning of a name, number of the first frame") from error
        numbers = range(first, first + protocol.frames * protocol.every, protocol.every)
        windows.append([join_inside(root.parent, f"{beginning}{number:06}.jpg") for number in numbers])
    return _make_windows(windows, "RGB")


def find_cikm(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find the folders sample_N, in the order of their numbers, each with img_1.png to img_15.png."""
    samples = _sort_by_number(_list_folders(need_path(folder, protocol.files[0])))
    pictures = [[sample / f"img_{number}.png" for number in range(1, protocol.frames + 1)] for sample in samples]
    return _make_windows(pictures, "L")


def find_shanghai(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find the examples of the test list, each with a list of the pictures of its input and one of its targets."""
    root = need_path(folder, protocol.files[0])
    listed = root.parent.parent / "Shanghai_2020_test_examples.txt"
    notes: tuple[str, ...] = ()
    if listed.is_file():
        lines = filter(None, map(str.strip, listed.read_text("utf-8").splitlines()))
        examples = [root / PureWindowsPath(line).name for line in lines]
    else:
        found = _sort_by_number(_list_folders(root))
        examples = found[len(found) - -(-len(found) // 10) :]
        notes = (f"test windows: the last tenth of the examples by number, as there is no {listed.name}",)
    windows = []
    for example in examples:
        names: list[str] = []
        for part in ("inputs", "targets"):
            file = example / f"{example.name}-{part}-train.txt"
            if not file.is_file():
                raise InputError(str(file), got="no such file", expected="the names of pictures, one in a line")
            names += file.read_text("utf-8").split()
        windows.append([join_inside(root.parent / "data", name) for name in names])
    return _make_windows(windows, "L")._replace(notes=notes)


def _make_windows(windows: Sequence[Sequence[Path]], mode: str) -> ProtocolWindows:
    """Make windows of lists of pictures, in grey ("L") or colour ("RGB")."""
    keys = [f"{window[0].parent.name}/{window[0].name}" for window in windows]
    return ProtocolWindows(keys, _read_pictures(windows, mode))


def _read_pictures(windows: Sequence[Sequence[Path]], mode: str) -> Callable[[int], NDArray[np.generic]]:
    def read(index: int) -> NDArray[np.generic]:
        frames = []
        for path in windows[index]:
            with opened(path) as picture:
                values = np.asarray(picture.convert(mode))
            frames.append(values[None] if values.ndim == 2 else values.transpose(2, 0, 1))
        if len({frame.shape for frame in frames}) > 1:
            raise InputError(str(windows[index][0].parent), got="pictures of several sizes", expected="one size")
        return np.stack(frames)

    return read


def _list_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _sort_by_number(folders: Sequence[Path]) -> list[Path]:
    return sorted(folders, key=lambda path: (int("".join(filter(str.isdigit, path.name)) or 0), path.name))
