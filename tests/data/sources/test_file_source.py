import base64
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import zarr

from framecast.data import DataConfig, FileSource, open_data
from framecast.data.sources import value_scan as scanning
from framecast.data.sources.base import Source
from framecast.errors import InputError
from framecast.transforms.normalize import DBZ, Range

HERE = Path(__file__).parents[2] / "fixtures"


def open_array(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def film(*shape: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("suffix", ["npy", "npz", "zarr"])
@pytest.mark.parametrize("dims", ["thw", "nthw", "tnhw", "tchw", "thwc", "ntchw", "tnchw", "nthwc", "whcnt"])
def test_every_order_of_axes(tmp_path: Path, suffix: str, dims: str):
    sizes = {"n": 2, "t": 6, "c": 3, "h": 4, "w": 5}
    array, path = film(*(sizes[letter] for letter in dims)), tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, array)
    elif suffix == "npz":
        np.savez(path, film=array)
    else:
        zarr.create_array(path, data=array, chunks=tuple(max(1, s // 2) for s in array.shape))
    source = open_array(path, dims=dims)
    assert isinstance(source, Source)
    whole = np.einsum(f"{dims}->{''.join(a for a in 'ntchw' if a in dims)}", array)
    whole = whole if "n" in dims else whole[None]
    whole = whole if "c" in dims else whole[:, :, None]
    assert list(source.lengths) == [6] * whole.shape[0]
    assert (source.spec.channels, source.spec.height, source.spec.width) == whole.shape[2:]
    for sequence in range(whole.shape[0]):
        window = source.read(sequence, 1, 5)
        np.testing.assert_array_equal(window.frames, whole[sequence, 1:5].astype(np.float32))
        assert window.frames.dtype == np.float32
        assert window.frames.flags.c_contiguous
        assert window.valid is None


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "?", "<u2", ">i2", ">f4", "<f8", "<f2", ">u8"])
def test_every_dtype(tmp_path: Path, dtype: str, order: str):
    array = np.array(film(5, 4, 3) % 2 if dtype == "?" else film(5, 4, 3) % 120, dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", frames=array)
    for name in ("a.npy", "a.npz"):
        source = open_array(tmp_path / name)
        np.testing.assert_array_equal(source.read(0, 0, 5).frames[:, 0], array.astype(np.float32))
        assert any("dims: thw" in note for note in source.notes)
        high = 255 if dtype == "u1" else float(array.max())
        assert (source.spec.low, source.spec.high) == (0 if dtype == "u1" else float(array.min()), high)


def test_own_npz_layout_and_attributes(tmp_path: Path):
    array = film(3, 5, 4, 6)
    array[1, 2, 0, :3] = 9
    array[array == 7] = 8
    array[0, 0, 0, 0] = 7
    np.savez_compressed(
        tmp_path / "a.npz",
        frames=array,
        scale=np.float64(0.5),
        offset=np.int64(-32),
        missing_code=np.int64(7),
        units=np.array("K"),
        split=np.array(["train", "val", "test"]),
        step_minutes=np.array(2.5),
        start_time=np.array(["2020-01-01T00:00", "NaT", "2020-01-03"], "datetime64[m]"),
        other=np.array([{"not": "read"}], dtype=object),
    )
    source = open_array(tmp_path / "a.npz")
    assert source.labels == ["train", "val", "test"]
    assert source.has_missing
    window = source.read(0, 0, 3)
    np.testing.assert_array_equal(window.valid[:, 0], array[0, :3] != 7)
    expected = np.where(array[0, :3] == 7, np.nan, array[0, :3] * 0.5 - 32)
    np.testing.assert_array_equal(window.frames[:, 0], expected.astype(np.float32))
    assert source.read(2, 3, 5).time == np.datetime64("2020-01-03T00:07:30")
    assert source.read(1, 0, 1).time is None
    assert source.spec.units == "K"
    assert not any("not said" in note for note in source.notes)
    assert source.spec.step_minutes == 2.5
    good = array[array != 7]
    assert (source.spec.low, source.spec.high) == (good.min() * 0.5 - 32, good.max() * 0.5 - 32)
    assert any("found in the data" in note for note in source.notes)
    assert any("missing: 1 values" in note for note in source.notes)
    told = open_array(tmp_path / "a.npz", missing=9, units="C", range=(-40, 70), step_minutes=1)
    assert told.spec.model_dump(include={"low", "high", "units", "step_minutes"}) == {
        "low": -40, "high": 70, "units": "C", "step_minutes": 1,
    }  # fmt: skip
    np.testing.assert_array_equal(told.read(1, 2, 3).valid[0, 0], array[1, 2] != 9)
    assert any("the file says K" in note for note in told.notes)


def test_dims_in_the_file_are_honoured(tmp_path: Path):
    array = film(5, 4, 6, 3)
    np.savez(tmp_path / "a.npz", frames=array, dims=np.array("thwc"))
    zarr.create_array(tmp_path / "a.zarr", data=array, attributes={"dims": ["t", "h", "w", "c"]})
    zarr.create_array(tmp_path / "b.zarr", data=array, dimension_names=["time", "lat", "lon", "band"])
    for name in ("a.npz", "a.zarr", "b.zarr"):
        source = open_array(tmp_path / name)
        np.testing.assert_array_equal(source.read(0, 0, 5).frames, array.transpose(0, 3, 1, 2).astype(np.float32))


def test_zarr_group_with_attributes_of_xarray(tmp_path: Path):
    array = film(6, 4, 5, dtype=np.float64)
    array[2, 1, 1] = -9.5
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    packed = base64.b64encode(struct.pack("<d", -9.5)).decode()
    group.create_array(
        "rain",
        data=array,
        chunks=(2, 4, 5),
        attributes={"_FillValue": packed, "scale_factor": 2.0, "add_offset": 1, "units": "mm hr-1", "step_minutes": 5},
    )
    group.create_array("lat", data=np.arange(4.0))
    source = open_array(tmp_path / "a.zarr")
    assert source.spec.units == "mm/h"
    assert any("variable: rain" in note for note in source.notes)
    window = source.read(0, 2, 4)
    assert not window.valid[0, 0, 1, 1]
    assert window.valid.sum() == 2 * 20 - 1
    np.testing.assert_array_equal(window.frames[1, 0], (array[3] * 2 + 1).astype(np.float32))
    assert source.fingerprint() == open_array(tmp_path / "a.zarr", variable="rain").fingerprint()


def test_zarr_says_which_chunks_are_not_there(tmp_path: Path):
    zarr.create_array(tmp_path / "a.zarr", data=film(6, 4, 5) + 1, chunks=(2, 4, 5))
    assert not any("chunks" in note for note in open_array(tmp_path / "a.zarr").notes)
    (tmp_path / "a.zarr" / "c" / "1" / "0" / "0").unlink()
    assert any("chunks: 2 of 3" in note for note in open_array(tmp_path / "a.zarr").notes)


def test_predrnn_layout(tmp_path: Path):
    frames = np.random.default_rng(0).random((60, 1, 8, 8)).astype(np.float32)
    # contiguous, and with the output elsewhere
    clips = np.array([[[0, 4], [20, 4], [50, 2]], [[4, 6], [30, 5], [40, 3]]])
    np.savez(tmp_path / "a.npz", clips=clips, input_raw_data=frames, dims=np.array([[1, 8, 8]], np.int32))
    source = open_array(tmp_path / "a.npz")
    assert list(source.lengths) == [10, 9, 5]
    np.testing.assert_array_equal(source.read(0, 0, 10).frames, frames[:10])
    whole = np.concatenate([frames[20:24], frames[30:35]])
    np.testing.assert_array_equal(source.read(1, 0, 9).frames, whole)
    np.testing.assert_array_equal(source.read(1, 3, 6).frames, whole[3:6])
    np.testing.assert_array_equal(source.read(1, 0, 2).frames, whole[:2])
    np.testing.assert_array_equal(source.read(1, 5, 7).frames, whole[5:7])
    np.testing.assert_array_equal(source.read(2, 1, 3).frames, frames[[51, 40]])
    assert any("PredRNN" in note for note in source.notes)
    raw = open_array(tmp_path / "a.npz", variable="input_raw_data", dims="tchw")
    assert list(raw.lengths) == [60]


def test_radar_of_fmi():
    path = HERE / "fmi_140.npz"
    source = open_array(path)
    with np.load(path) as file:
        codes, times = file["frames"], file["start_time"]
    assert source.labels == ["train", "train", "val", "val"]
    assert source.has_missing
    missing = 0
    for index in range(4):
        window = source.read(index, 0, 20)
        missing += int((~window.valid).sum())
        np.testing.assert_array_equal(np.isnan(window.frames), ~window.valid)
        good = window.valid[:, 0]
        np.testing.assert_array_equal(window.frames[:, 0][good], codes[index][good] * 0.5 - 32)
        assert window.time == times[index]
    assert missing == 1480
    assert source.spec.model_dump() == {
        "channels": 1, "height": 140, "width": 140, "units": "dBZ", "low": 0, "high": 70, "step_minutes": 5,
        "ranges": (), "names": (), "past": (), "covariates": (),
    }  # fmt: skip
    data = open_data(DataConfig(source=str(path)), context=5, horizon=5, seed=0)
    assert [data.count(s) for s in ("train", "val", "test")] == [22, 6, 0]
    assert data.normalizer() == DBZ(high=70)
    assert any("labels in the file" in note for note in data.notes)
    assert data.notes[-1] == f"split hash: {data.split_hash}"


def test_radar_of_knmi_becomes_a_rain_rate():
    path = HERE / "knmi_140.npz"
    source = open_array(path)
    with np.load(path) as file:
        codes = file["frames"]
    windows = [source.read(i, 0, 20) for i in range(2)]
    assert sum(int((~w.valid).sum()) for w in windows) == 168440
    assert source.spec.units == "mm/h"
    good = windows[1].valid[:, 0]
    np.testing.assert_allclose(windows[1].frames[:, 0][good], codes[1][good] * 0.12, rtol=1e-6)
    assert source.spec.high == pytest.approx(codes[codes != 255].max() * 0.12)
    assert any("values times 12" in note for note in source.notes)
    assert open_data(DataConfig(source=str(path)), context=5, horizon=5, seed=0).normalizer() == DBZ(rain_rate=True)
    kept = open_array(path, units="mm")
    assert kept.spec.high == pytest.approx(codes[codes != 255].max() * 0.01)


def test_normalizers(tmp_path: Path):
    np.save(tmp_path / "a.npy", film(30, 4, 4, dtype=np.float32))
    said = {"source": str(tmp_path / "a.npy"), "fractions": (1, 0, 0)}
    for more, expected in (
        ({"range": (2, 5)}, Range(low=2, high=5)),
        ({"units": "DBZ", "range": (0, 60)}, DBZ(high=60)),
        ({"units": "dBZ", "range": (-32, 60)}, Range(low=-32, high=60)),
        ({"units": "mm h-1"}, DBZ(rain_rate=True)),
    ):
        assert open_data(DataConfig(**said, **more), context=2, horizon=2, seed=0).normalizer() == expected


def test_not_finite_is_missing(tmp_path: Path):
    array = film(6, 4, 5, dtype=np.float32)
    array[1, 2, 3], array[2, 0, 0], array[3, 0, 0] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "a.npy", array)
    source = open_array(tmp_path / "a.npy")
    assert source.has_missing
    window = source.read(0, 0, 6)
    np.testing.assert_array_equal(window.valid[:, 0], np.isfinite(array))
    assert np.isnan(window.frames[~window.valid]).all()
    assert any("missing: 3 values (" in note and "are NaN or infinite" in note for note in source.notes)
    assert source.spec.high == array[np.isfinite(array)].max()


def test_large_arrays_are_sampled_and_may_have_missing_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    np.save(tmp_path / "a.npy", film(500, 4, 5, dtype=np.float32))
    assert not open_array(tmp_path / "a.npy").has_missing
    monkeypatch.setattr(scanning, "WHOLE", 100)
    monkeypatch.setattr(scanning, "BLOCK", 20)
    source = open_array(tmp_path / "a.npy")
    assert source.has_missing
    assert source.read(0, 0, 2).valid.all()
    assert any("in a sample" in note for note in source.notes)


@pytest.mark.parametrize(("shape", "grain"), [((7, 5, 3), (1, 1, 1)), ((4, 9, 6), (2, 4, 6)), ((1, 30, 1), (5, 7, 3))])
@pytest.mark.parametrize("block", [1, 6, 50, 10_000])
def test_blocks_cover_everything_once(shape, grain, block):
    seen = np.zeros(shape, int)
    for key in scanning._cut_blocks(shape, grain, None, block):
        seen[key] += 1
    assert (seen == 1).all()
    keys = list(scanning._cut_blocks(shape, grain, 3, block))
    assert (
        len({str(key) for key in keys})
        == len(keys)
        <= max(3, len(list(scanning._cut_blocks(shape, grain, None, block))))
    )
    assert all(seen[key].size for key in keys)


def test_fingerprint_follows_the_contents(tmp_path: Path):
    array = film(6, 4, 5)
    prints = set()
    for name, change in (("a", 0), ("b", 0), ("c", 1)):
        array[0, 0, 0] = change
        np.save(tmp_path / f"{name}.npy", array)
        zarr.create_array(tmp_path / f"{name}.zarr", data=array)
        prints |= {
            open_array(tmp_path / f"{name}.npy").fingerprint(),
            open_array(tmp_path / f"{name}.zarr").fingerprint(),
        }
    assert len(prints) == 4
    assert all(len(p) == 16 and int(p, 16) >= 0 for p in prints)


def test_data_sets_go_to_other_processes():
    for config in (DataConfig(source=str(HERE / "fmi_140.npz")), DataConfig()):
        data = open_data(config, context=2, horizon=1, seed=4)
        again = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(again.window("train", 1, 3).frames, data.window("train", 1, 3).frames)
        assert again.split_hash == data.split_hash


@pytest.mark.parametrize("name", ["a.npy", "a.zarr"])
def test_goes_to_other_processes_without_the_values(tmp_path: Path, name: str):
    array = film(100, 40, 50)
    if name == "a.npy":
        np.save(tmp_path / name, array)
    else:
        zarr.create_array(tmp_path / name, data=array)
    source = open_array(tmp_path / name)
    packed = pickle.dumps(source)
    assert len(packed) < 20_000
    np.testing.assert_array_equal(pickle.loads(packed).read(0, 3, 5).frames, source.read(0, 3, 5).frames)


def test_one_value_for_all_sequences_counts_for_each(tmp_path: Path):
    """Tiles of one recording begin together."""
    frames = np.random.default_rng(0).integers(0, 200, (5, 6, 8, 9), np.uint8)
    start = np.array("2016-09-28T14:45", "M8[m]")
    sides = {"step_minutes": np.full(5, 5.0), "units": np.repeat("dBZ", 5), "split": np.array(["val"])}
    for times in (start, start[None], np.repeat(start, 5)):
        np.savez(tmp_path / "a.npz", frames=frames, start_time=times, **sides)
        source = FileSource(DataConfig(source=str(tmp_path / "a.npz")))
        assert source.spec.units == "dBZ"
        assert list(source.labels or []) == ["val"] * 5
        for sequence in range(5):
            found = source.frame_times(sequence)
            assert found is not None
            assert found[2] == np.datetime64("2016-09-28T14:55")
    np.savez(tmp_path / "a.npz", frames=frames, start_time=np.repeat(start, 2))
    with pytest.raises(InputError, match="got 2 values, expected 5, one for each sequence, or one for all"):
        FileSource(DataConfig(source=str(tmp_path / "a.npz")))
    np.savez(tmp_path / "a.npz", frames=frames, step_minutes=np.array([5.0, 10.0]))
    with pytest.raises(InputError, match="expected one number"):
        FileSource(DataConfig(source=str(tmp_path / "a.npz")))
