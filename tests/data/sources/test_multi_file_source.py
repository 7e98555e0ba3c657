"""Several files as one source, and some frames of a source."""

import json

import numpy as np
import pytest

from framecast.data import DataConfig, FileSource, open_data
from framecast.data.sources.multi_file_source import open_source
from framecast.errors import InputError, UsageError
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe

START = np.datetime64("2020-05-01T12:00")


def written(folder, name, sequences, frames, height, width, base=0, **said):
    """Pixels tell their file, sequence and frame; 5 minutes apart, sequences an hour."""
    values = np.zeros((sequences, frames, height, width), np.float32)
    values += base + 100 * np.arange(sequences)[:, None, None, None] + np.arange(frames)[:, None, None]
    values[..., 0] += 0.5
    times = START + np.arange(sequences) * np.timedelta64(1, "h")
    known = {"units": "mm/h", "step_minutes": 5.0, "start_time": times, **said}
    np.savez(folder / name, frames=values, **{key: value for key, value in known.items() if value is not None})
    return str(folder / name)


def config(source, **said) -> DataConfig:
    return parse_config(DataConfig, {"source": source, **said}, "test")


@pytest.fixture
def two(tmp_path):
    return [written(tmp_path, "a.npz", 2, 12, 9, 8), written(tmp_path, "b.npz", 1, 20, 6, 11, base=1000)]


def test_sequences_of_all_files_in_crops_of_one_size(two):
    dataset = open_data(config(two, crop=4, fractions=(1, 0, 0)), context=3, horizon=3, seed=0)
    # 2 x 7 windows of 2 x 2 crops, and 15 windows of 1 x 2
    assert dataset.count("train") == 2 * 7 * 4 + 15 * 2
    assert (dataset.spec.height, dataset.spec.low, dataset.spec.high) == (4, 0, 1019.5)
    found = {int(dataset.window("train", 0, index).frames.max()) // 100 for index in range(dataset.count("train"))}
    assert found == {0, 1, 10}
    source = open_source(config(two, crop=4))
    assert source.lengths == [12, 12, 20]
    assert source.groups == [0, 0, 1]
    assert source.read(2, 3, 5).frames.shape == (2, 1, 6, 11)
    assert source.frame_times(1)[0] == START + np.timedelta64(1, "h")
    with pytest.raises(InputError, match="sequence: got 3"):
        source.read(3, 0, 1)


def test_files_that_do_not_fit_together(tmp_path, two):
    with pytest.raises(InputError, match=r"b.npz: got frames of 6 x 11, expected 9 x 8.*cut crops"):
        open_source(config(two))
    other = written(tmp_path, "c.npz", 1, 9, 9, 8, units="dBZ")
    with pytest.raises(InputError, match="units dBZ, expected mm/h"):
        open_source(config([two[0], other]))
    slow = written(tmp_path, "d.npz", 1, 9, 9, 8, step_minutes=15.0)
    with pytest.raises(InputError, match=r"step in minutes 15.0"):
        open_source(config([two[0], slow]))
    with pytest.raises(UsageError, match="at least one"):
        config([])
    with pytest.raises(UsageError, match="got 2 files, expected one path"):
        FileSource(config(two))


def test_rain_rates_beside_reflectivity(tmp_path, two):
    other = written(tmp_path, "c.npz", 1, 9, 9, 8, units="dBZ")
    said = config([{"path": two[0]}, {"path": other}], scale="dBZ", z_r="fmi")
    source = open_source(said)
    assert (source.spec.units, source.spec.low, source.spec.high) == ("dBZ", 0, 70)
    rates = FileSource(config(two[0])).read(0, 3, 4).frames.astype(np.float64)
    np.testing.assert_allclose(source.read(0, 3, 4).frames, 10 * np.log10(223 * rates**1.53), rtol=1e-5)
    np.testing.assert_array_equal(source.read(2, 3, 4).frames, FileSource(config(other)).read(0, 3, 4).frames)
    with pytest.raises(InputError, match="expected mm/h"):
        FileSource(config(two[0], units="K", scale="dBZ"))
    with pytest.raises(UsageError, match="z_r without scale"):
        config(two[0], z_r="fmi")


@pytest.mark.parametrize(
    ("frames", "first", "count"),
    [((4, 9), 4, 5), ((8, 99), 8, 4), (("2020-05-01T12:10", "2020-05-01T12:25"), 2, 3)],
)
def test_some_frames_of_each_sequence(two, frames, first, count):
    source = FileSource(config(two[0], frames=frames))
    assert source.lengths[0] == count
    window = source.read(0, 0, count)
    assert window.frames[:, 0, 0, 1].tolist() == list(range(first, first + count))
    assert window.time == START + first * np.timedelta64(5, "m")
    np.testing.assert_array_equal(source.frame_times(0), window.time + np.arange(count) * np.timedelta64(5, "m"))
    assert source.fingerprint() != FileSource(config(two[0])).fingerprint()
    if isinstance(frames[0], str):
        assert len(source.lengths) == 1, "the other sequence is an hour later"


def test_frames_of_a_file_with_times_are_counted_across_its_gaps(tmp_path):
    xarray = pytest.importorskip("xarray")
    steps = np.array([0, 1, 2, 5, 6, 7, 8, 20, 21])
    values = np.arange(9, dtype=np.float32)[:, None, None] * np.ones((1, 3, 4), np.float32)
    times = (START + steps * np.timedelta64(5, "m")).astype("datetime64[ns]")
    xarray.Dataset({"t": (("time", "y", "x"), values)}, {"time": times}).to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    source = FileSource(config(str(tmp_path / "t.nc"), frames=(1, 5)))
    assert source.lengths == [2, 2]
    assert [source.read(n, 0, 2).frames[:, 0, 0, 0].tolist() for n in (0, 1)] == [[1, 2], [3, 4]]
    assert source.latest == [1], "a forecast goes on from the last frame that is used"
    assert source.groups == [0, 0]
    spanned = FileSource(config(str(tmp_path / "t.nc"), frames=("2020-05-01T12:05", "2020-05-01T12:35")))
    assert spanned.fingerprint() == source.fingerprint()


def test_frames_that_are_not_there(tmp_path, two):
    with pytest.raises(InputError, match="some of frames 0 to 11"):
        FileSource(config(two[0], frames=(40, 50)))
    unknown = written(tmp_path, "u.npz", 1, 9, 9, 8, start_time=None)
    with pytest.raises(InputError, match=r"data that know their times; give the numbers"):
        FileSource(config(unknown, frames=("2020-05-01", "2020-05-02")))
    with pytest.raises(UsageError, match="the first before the last"):
        config(two[0], frames=(9, 4))


def test_labels_of_files_say_the_split(two):
    source = [
        {"path": two[1], "frames": [0, 8], "split": "train"},
        {"path": two[1], "frames": [10, 20], "split": "val"},
        {"path": two[0], "split": "test"},
    ]
    dataset = open_data(config(source, crop=4), context=3, horizon=3, seed=0)
    assert dataset.window("train", 0, 0).frames.max() < 1008
    assert dataset.window("val", 0, 0).frames.min() >= 1010
    assert dataset.window("test", 0, 0).frames.max() < 1000
    assert dataset.record["blocks"]["val"] == [
        {"sequence": 1, "first": 0, "last": 9, "from": "2020-05-01T12:50:00.000", "to": "2020-05-01T13:35:00.000"}
    ]
    json.dumps(dataset.record["blocks"])
    with pytest.raises(InputError, match="some files without one"):
        open_source(config([*source[:2], two[0]], crop=4))


def test_no_frame_can_be_given_twice(two):
    with pytest.raises(InputError, match="the same frames twice"):
        open_source(config([{"path": two[1], "frames": [0, 8]}, {"path": two[1], "frames": [7, 20]}]))


def test_one_file_under_two_names_is_one(tmp_path, two):
    (tmp_path / "link.npz").symlink_to(two[1])
    for other in (str(tmp_path / "link.npz"), str(tmp_path / "x" / ".." / "b.npz")):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="the same frames twice"):
            open_source(config([{"path": two[1], "frames": [0, 8]}, {"path": other, "frames": [7, 20]}]))


def test_a_gap_between_parts_of_a_file_without_times(tmp_path):
    path = written(tmp_path, "a.npz", 1, 60, 6, 5, start_time=None)
    parts = [{"path": path, "frames": [0, 30], "split": "train"}, {"path": path, "frames": [30, 60], "split": "val"}]
    data = open_data(config(parts, gap=10), context=2, horizon=2, seed=0)
    assert data.window("val", 0, 0).frames.min() >= 29 + 10 + 1
    assert any("splits 10 frames apart" in note and "within" not in note for note in data.notes)


def test_what_is_said_of_files_counts_in_a_recipes_identity(two):
    one = Recipe(data=config([{"path": two[0], "split": "train"}, {"path": two[1], "split": "val"}]))
    moved = Recipe(data=one.data.map_paths(lambda path: "/elsewhere" + path))
    other = Recipe(data=config([{"path": two[0], "split": "train"}, {"path": two[1], "split": "test"}]))
    assert one.identity() == moved.identity() != other.identity()
    assert parse_config(DataConfig, one.data.model_dump(mode="json"), "again") == one.data
