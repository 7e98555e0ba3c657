from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.data import DataConfig
from framecast.data.sources.base import ChannelName, Place
from framecast.data.windows.splits import split_windows
from framecast.errors import InputError, UsageError
from framecast.types import FrameSpec, Grid, Window


class Lengths(NamedTuple):
    """A source of which only the lengths matter."""

    lengths: list[int]
    labels: list[str] | None = None
    print: str = "0123456789abcdef"
    is_range_found: bool = False
    has_missing: bool = False
    notes: tuple[str, ...] = ()
    spec: FrameSpec = FrameSpec(channels=1, height=1, width=1)
    grid: Grid = Grid()
    latest: tuple[int, ...] = ()
    files: list[int] | None = None
    starts: list[int] | None = None
    """Steps of 5 minutes from the first frame of all."""
    recordings: list[tuple[object, int]] | None = None

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(1, 2)] * len(self.lengths)

    @property
    def groups(self) -> list[int]:
        return self.files or [0] * len(self.lengths)

    @property
    def origins(self) -> list[tuple[object, int]]:
        return self.recordings or [(n, 0) for n in range(len(self.lengths))]

    @property
    def places(self) -> list[Place]:
        return [Place(group, None) for group in self.groups]

    channel_names: tuple[ChannelName, ...] = ()

    def frame_times(self, sequence: int):
        if self.starts is None:
            return None
        steps = self.starts[sequence] + np.arange(self.lengths[sequence])
        return np.datetime64("2020-01-01", "ms") + steps * np.timedelta64(5, "m")

    def read(self, sequence: int, start: int, stop: int, area: object = None) -> Window:
        frames = np.zeros((stop - start, 1, 1, 2), np.float32)
        frames[..., 1] = (sequence + 1 + np.arange(start, stop) / 1024)[:, None, None]
        return Window(frames, None)

    def fingerprint(self) -> str:
        return self.print


def config(**said) -> DataConfig:
    return DataConfig(source="x", **said)


def used(windows: list[tuple[int, int]], frames: int) -> set[tuple[int, int]]:
    return {(sequence, start + t) for sequence, start in windows for t in range(frames)}


FRACTIONS = [(0.8, 0.1, 0.1), (1, 0, 0), (0.5, 0.5, 0), (0.34, 0.33, 0.33), (0.98, 0.01, 0.01), (0.9, 0, 0.1)]


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=30),
    labels=st.none() | st.lists(st.sampled_from(["train", "val", "test"]), min_size=30, max_size=30),
    by=st.sampled_from(["auto", "file", "sequence", "time"]),
    fractions=st.sampled_from(FRACTIONS),
    frames=st.integers(1, 20),
    stride=st.integers(1, 4),
)
def test_splits_share_no_frame(lengths, labels, by, fractions, frames, stride):
    source = Lengths(lengths, labels and labels[: len(lengths)])
    said = config(split_by=by, fractions=fractions, stride=stride)
    parts = sum(f > 0 for f in fractions)
    long = [n for n in lengths if n >= frames]
    try:
        got = split_windows(source, said, frames)
    except InputError:
        # refused only where it could not be done by the rule asked for
        if by == "sequence":
            assert len(long) < parts
        elif by == "time":
            assert max(lengths) < parts * frames
        elif by == "auto" and labels is None:
            assert len(long) < parts
            assert max(lengths) < parts * frames
        return
    seen: set[tuple[int, int]] = set()
    for name, fraction in zip(("train", "val", "test"), fractions, strict=True):
        windows = got.windows[name]
        frames_used = used(windows, frames)
        assert not seen & frames_used
        seen |= frames_used
        assert all(t < lengths[sequence] for sequence, t in frames_used)
        assert len(set(windows)) == len(windows)
        if by != "file" and not (by == "auto" and labels):
            assert bool(windows) == (fraction > 0)
        if name != "train":
            assert len(frames_used) == len(windows) * frames, "evaluation windows overlap"
    assert got == split_windows(source, said, frames)


def test_time_blocks_are_consecutive():
    got = split_windows(Lengths([100]), config(split_by="time", fractions=(0.6, 0.2, 0.2)), 5, eval_stride=5)
    assert got.windows["train"] == [(0, s) for s in range(56)]
    assert got.windows["val"] == [(0, s) for s in (60, 65, 70, 75)]
    assert got.windows["test"] == [(0, s) for s in (80, 85, 90, 95)]
    assert got.how.startswith("split by time within each sequence, 60/20/20 %: 56 train, 4 val, 4 test windows")


def test_what_is_said_is_what_was_cut():
    got = split_windows(Lengths([60]), config(split_by="time", fractions=(0.8, 0.1, 0.1)), 20)
    assert got.how.startswith("split by time within each sequence, 33/33/33 %")


def test_strides():
    source = Lengths([100])
    got = split_windows(source, config(split_by="time", fractions=(0.6, 0.2, 0.2), stride=7), 5, eval_stride=3)
    assert [s for _, s in got.windows["train"]] == list(range(0, 56, 7))
    assert [s for _, s in got.windows["val"]] == [60, 63, 66, 69, 72, 75]
    assert split_windows(source, config(stride=7), 5).windows == split_windows(source, config(), 5, stride=7).windows


def test_whole_sequences_by_a_fixed_shuffle():
    got = split_windows(Lengths([20] * 100), config(), 20)
    assert [len(got.windows[s]) for s in ("train", "val", "test")] == [80, 10, 10]
    assert sorted(window for windows in got.windows.values() for window in windows) == [(i, 0) for i in range(100)]
    assert got.windows["train"] != [(i, 0) for i in range(80)]
    assert got.windows == split_windows(Lengths([20] * 100, print="other"), config(), 20).windows
    assert "whole sequences" in got.how


def test_labels():
    labels = ["val", "train", "train", "val"]
    got = split_windows(Lengths([8, 8, 3, 9], labels), config(), 4)
    assert got.windows == {"train": [(1, s) for s in range(5)], "val": [(0, 0), (0, 4), (3, 0), (3, 4)], "test": []}
    assert "labels in the file" in got.how
    assert "1 of 4 sequences are too short" in got.how
    forced = split_windows(Lengths([8] * 4, labels), config(split_by="sequence"), 4)
    assert forced.windows["test"]


def test_hash_follows_data_and_windows():
    base = split_windows(Lengths([50]), config(), 4)
    hashes = {
        base.hash,
        split_windows(Lengths([50], print="other"), config(), 4).hash,
        split_windows(Lengths([51]), config(), 4).hash,
        split_windows(Lengths([50]), config(), 5).hash,
        split_windows(Lengths([50]), config(stride=2), 4).hash,
        split_windows(Lengths([50]), config(fractions=(0.6, 0.2, 0.2)), 4).hash,
    }
    assert len(hashes) == 6
    assert all(len(h) == 16 and int(h, 16) >= 0 for h in hashes)


@pytest.mark.parametrize(
    ("source", "said", "frames", "words"),
    [
        (
            Lengths([9]),
            {},
            10,
            "got 9 frames in the longest, expected at least 10, context .* smaller context or horizon",
        ),
        (Lengths([25]), {}, 10, "expected at least 30: 3 splits of 10 frames"),
        (Lengths([10, 10]), {"split_by": "sequence"}, 10, "got 2 sequences that are long enough, expected at least 3"),
        (Lengths([10, 10]), {"split_by": "file"}, 10, "no labels"),
        (Lengths([12, 9], ["train", "val"]), {}, 10, "9 frames in the longest sequence of val"),
        (Lengths([12], ["val"]), {}, 10, "no sequence labelled train"),
        (Lengths([34]), {"gap": 3}, 10, "at least 36: 3 splits of 10 frames, 3 apart"),
        (Lengths([10] * 9), {"split_by": "event", "gap": 3}, 10, "data whose times are unknown"),
        (
            Lengths([10, 10], files=[0, 1]),
            {"split_by": "file"},
            10,
            "got 2 files that are long enough, expected at least 3",
        ),
    ],
)
def test_too_little(source: Lengths, said: dict, frames: int, words: str):
    with pytest.raises(InputError, match=words):
        split_windows(source, config(**said), frames)


STEP = FrameSpec(channels=1, height=1, width=1, step_minutes=5)


@given(
    pieces=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 12)), min_size=1, max_size=12),
    by=st.sampled_from(["auto", "sequence", "time", "event"]),
    fractions=st.sampled_from(FRACTIONS),
    frames=st.integers(1, 6),
    gap=st.integers(0, 9),
)
def test_frames_of_different_splits_are_a_gap_apart(pieces, by, fractions, frames, gap):
    lengths, breaks = [length for length, _ in pieces], [length for _, length in pieces]
    starts = [sum(lengths[:n]) + sum(breaks[:n]) for n in range(len(lengths))]
    source = Lengths(lengths, starts=starts, spec=STEP)
    try:
        got = split_windows(source, config(split_by=by, fractions=fractions, gap=gap), frames)
    except InputError:
        return
    moments = {
        name: sorted({starts[sequence] + t for sequence, t in used(windows, frames)})
        for name, windows in got.windows.items()
    }
    for one in moments:
        for other in moments:
            if one < other and moments[one] and moments[other]:
                nearest = min(abs(a - b) for a in moments[one] for b in moments[other])
                assert nearest > gap
    assert got == split_windows(source, config(split_by=by, fractions=fractions, gap=gap), frames)


def test_a_gap_lies_between_the_blocks_of_a_sequence():
    got = split_windows(Lengths([100]), config(split_by="time", fractions=(0.6, 0.2, 0.2), gap=10), 5, eval_stride=5)
    assert got.windows["train"] == [(0, s) for s in range(44)]
    assert got.windows["val"] == [(0, s) for s in (58, 63, 68)]
    assert got.windows["test"] == [(0, s) for s in (84, 89, 94)]
    assert "splits 10 frames apart" in got.how


def test_a_gap_in_time():
    source = Lengths([100], spec=STEP)
    assert split_windows(source, config(gap="1h"), 5).windows == split_windows(source, config(gap=12), 5).windows
    with pytest.raises(UsageError, match="multiple of the step, 5 min; give 1 or 2 frames"):
        split_windows(source, config(gap="7min"), 5)
    with pytest.raises(UsageError, match="time step is unknown"):
        split_windows(Lengths([100]), config(gap="1h"), 5)


def test_events_stay_whole():
    # three runs of one storm, a frame missing between them, then nine others an hour apart
    lengths = [10] * 12
    starts = [0, 11, 22] + [100 + 30 * n for n in range(9)]
    source = Lengths(lengths, starts=starts, spec=STEP)
    got = split_windows(source, config(split_by="event", gap="1h"), 10)
    where = {sequence: name for name, windows in got.windows.items() for sequence, _ in windows}
    assert where[0] == where[1] == where[2]
    assert len(where) == 12
    assert [len({s for s, _ in got.windows[name]} - {1, 2}) for name in ("train", "val", "test")] == [8, 1, 1]


def test_whole_files_where_there_are_no_labels():
    source = Lengths([20] * 12, files=[n // 3 for n in range(12)])
    got = split_windows(source, config(split_by="file", fractions=(0.5, 0.25, 0.25)), 10)
    files = {name: {sequence // 3 for sequence, _ in windows} for name, windows in got.windows.items()}
    assert [len(files[name]) for name in ("train", "val", "test")] == [2, 1, 1]
    assert not files["train"] & files["val"] | files["train"] & files["test"] | files["val"] & files["test"]


def test_a_gap_between_pieces_of_one_whole_without_times():
    """Ten pieces of one recording, one frame missing between two."""
    lengths = [19] * 10
    source = Lengths(lengths, recordings=[("film", 20 * n) for n in range(10)])
    got = split_windows(source, config(split_by="sequence", gap=8), 4)
    moments = {name: {20 * s + t for s, t in used(windows, 4)} for name, windows in got.windows.items()}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert min(abs(a - b) for a in moments[one] for b in moments[other]) > 8
    assert got.how.count("splits 8 frames apart") == 1
    assert "within each sequence" not in got.how


def test_what_is_said_of_a_gap_is_what_was_done():
    got = split_windows(Lengths([40] * 12), config(split_by="sequence", gap=8), 4)
    assert "splits 8 frames apart within each sequence, as times are not known" in got.how
