"""Frames that are missing as a whole are gaps."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.data import DataConfig, FileSource, open_data
from framecast.data.sources import value_scan as scanning
from framecast.data.sources.layout import ArrayLayout
from framecast.data.sources.sequences import cut_pieces


def film(frames: int, *, height: int = 4, width: int = 5) -> np.ndarray:
    return np.random.default_rng(0).random((frames, height, width), np.float32)


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


@given(
    lost=st.lists(st.lists(st.sampled_from([0.0, 0.4, 1.0]), min_size=6, max_size=6), min_size=1, max_size=4),
    most=st.sampled_from([None, 0.3, 0.5]),
)
def test_no_piece_holds_a_missing_frame_and_none_is_lost(lost: list[list[float]], most: float | None) -> None:
    shares = np.array(lost)
    gone = shares >= 1 if most is None else shares > most
    layout = ArrayLayout("nthw", (len(lost), 6, 1, 1), None)
    cut = cut_pieces(layout, range(len(lost)), shares, most)
    if not gone.any():
        assert cut is None
        return
    assert cut is not None
    used = [(p.sequence, p.first + t) for p in cut.pieces for t in range(p.length) if not gone[p.sequence].all()]
    assert sorted(used) == sorted((int(s), int(t)) for s, t in zip(*np.nonzero(~gone), strict=True))
    assert len(used) == len(set(used))
    assert cut.missing == [(int(s), int(t)) for s, t in zip(*np.nonzero(gone), strict=True)]
    assert [cut.pieces[number].sequence for number in cut.latest] == list(range(len(lost)))
    for number in cut.latest:
        piece = cut.pieces[number]
        ends = np.flatnonzero(~gone[piece.sequence])
        assert not len(ends) or piece.first + piece.length - 1 == ends[-1]


def test_no_window_crosses_a_missing_frame(tmp_path: Path) -> None:
    frames = film(30)
    frames[[7, 8, 20]] = np.nan
    frames[3, 0] = np.nan  # a part only
    np.save(tmp_path / "a.npy", frames)
    found = source(tmp_path / "a.npy", dims="thw", step_minutes=5)
    assert list(found.lengths) == [7, 11, 9]
    assert found.missing_frames == 3
    assert found.latest == [2]
    assert any(note.startswith("gaps: 3 frames are missing as a whole") for note in found.notes)
    np.testing.assert_array_equal(found.read(1, 2, 4).frames[:, 0], frames[11:13])
    data = open_data(DataConfig(source=str(tmp_path / "a.npy"), fractions=(1, 0, 0)), context=3, horizon=2, seed=0)
    windows = [data.window("train", 0, n) for n in range(data.count("train"))]
    assert len(windows) == 3 + 7 + 5
    assert all(window.valid is not None and window.valid.any((1, 2, 3)).all() for window in windows)


def test_a_share_may_be_named(tmp_path: Path) -> None:
    frames = film(12, height=10)
    frames[5, :6] = np.nan
    np.save(tmp_path / "a.npy", frames)
    assert list(source(tmp_path / "a.npy").lengths) == [12]
    assert list(source(tmp_path / "a.npy", max_missing=0.6).lengths) == [12]
    assert list(source(tmp_path / "a.npy", max_missing=0.5).lengths) == [5, 6]


def test_times_and_labels_follow_their_frames(tmp_path: Path) -> None:
    frames = np.stack([film(6), film(6)])
    frames[0, 2] = frames[1, 5] = -9
    times = np.array(["2020-01-01T00:00", "2020-01-02T00:00"], "datetime64[m]")
    said = {"missing_code": -9.0, "step_minutes": 10.0, "start_time": times, "split": np.array(["train", "val"])}
    np.savez(tmp_path / "a.npz", frames=frames, **said)
    found = source(tmp_path / "a.npz")
    assert list(found.lengths) == [2, 3, 5]
    assert found.labels == ["train", "train", "val"]
    assert found.latest == [1, 2]
    assert found.read(1, 0, 1).time == np.datetime64("2020-01-01T00:30")
    assert found.frame_times(2)[-1] == np.datetime64("2020-01-02T00:40")


def test_a_sequence_of_nothing_still_has_its_place(tmp_path: Path) -> None:
    frames = np.stack([film(6), np.full((6, 4, 5), np.nan, np.float32), film(6)])
    np.save(tmp_path / "a.npy", frames)
    found = source(tmp_path / "a.npy", dims="nthw")
    assert list(found.lengths) == [6, 6, 6]
    assert found.latest == [0, 1, 2]


def test_large_data_say_that_not_all_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = film(40, height=20, width=30)
    frames[17] = np.nan
    zarr.create_array(tmp_path / "a.zarr", data=frames, chunks=(1, 20, 30), attributes={"dims": "thw"})
    monkeypatch.setattr(scanning, "WHOLE", 1000)
    monkeypatch.setattr(scanning, "BLOCK", 600)
    monkeypatch.setattr(scanning, "SAMPLES", 4)
    found = source(tmp_path / "a.zarr")
    assert list(found.lengths) == [40]
    assert any("not all frames were looked at" in note for note in found.notes)
    assert list(source(tmp_path / "a.zarr", max_missing=0.99).lengths) == [17, 22]


@settings(max_examples=10)
@given(dims=st.sampled_from(["ntchw", "tnhwc", "whcnt", "tcnhw"]), block=st.sampled_from([1, 7, 60, 10_000]))
def test_the_scan_counts_by_frame_and_channel_in_any_order_of_axes(dims: str, block: int) -> None:
    values = np.random.default_rng(0).random((2, 5, 3, 4, 6))
    values[np.random.default_rng(1).random(values.shape) < 0.4] = np.nan
    array = np.ascontiguousarray(values.transpose(["ntchw".index(letter) for letter in dims]))
    found = scanning.scan_values(array, (1,) * 5, None, dims, [0, 2], block=block)
    np.testing.assert_allclose(found.lost, np.isnan(values[:, :, [0, 2]]).mean((2, 3, 4)))
    low, high = np.nanmin(values, (0, 1, 3, 4)), np.nanmax(values, (0, 1, 3, 4))
    assert found.ranges == list(zip(low, high, strict=True))
