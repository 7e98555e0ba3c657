"""Test windows are those of the protocol, in files of the published layout."""

from pathlib import Path

import numpy as np
import pytest
from tests.protocols import published_files as published

from framecast.errors import InputError
from framecast.protocols import Protocol, find_protocol, open_protocol
from framecast.protocols.layouts.base import resize
from framecast.protocols.layouts.pictures import list_backward_starts

MAKERS = {
    "mmnist": published.make_mmnist,
    "mfmnist": published.make_mfmnist,
    "taxibj": published.make_taxibj,
    "kitti": published.make_kitti,
    "kth": published.make_kth,
    "human": published.make_human,
    "cikm": published.make_cikm,
    "shanghai": published.make_shanghai,
    "weatherbench-t2m": published.make_weatherbench,
}


def read_all(name: str, root: Path) -> np.ndarray:
    source, frames = open_protocol(find_protocol(name), root), find_protocol(name).frames
    return np.stack([source.read(window, 0, frames).frames for window in range(len(source.lengths))])


@pytest.mark.parametrize("name", MAKERS)
def test_windows_are_those_of_the_protocol(name: str, tmp_path: Path) -> None:
    expected = MAKERS[name](tmp_path)
    windows = read_all(name, tmp_path)
    assert windows.shape == expected.shape
    np.testing.assert_allclose(windows, expected, rtol=1e-6)


def test_sevir_windows_of_whole_events_behind_the_date(tmp_path: Path) -> None:
    event = published.make_sevir(tmp_path).astype(np.float32)
    windows = read_all("sevir-384-13to12", tmp_path)
    np.testing.assert_array_equal(windows[:, :, 0], [event[start : start + 25] for start in (0, 12, 24)])
    low = read_all("sevir-lr-7to6", tmp_path)
    means = event.reshape(49, 128, 3, 128, 3).mean(axis=(2, 4))[::2]
    np.testing.assert_allclose(low[:, :, 0], [means[start : start + 13] for start in (0, 6, 12)], rtol=1e-6)
    assert len(read_all("sevir-128-5to20", tmp_path)) == 5
    assert len(open_protocol(find_protocol("sevir-challenge"), tmp_path / "sevir").lengths) == 3


def test_windows_backwards_do_not_cross_a_gap() -> None:
    assert list_backward_starts([*range(10), *range(20, 27)], 4, 4) == [23, 6, 2]
    assert list_backward_starts(range(7), 4, 3) == [3, 0]
    assert list_backward_starts(range(3), 4, 3) == []


@pytest.mark.parametrize(
    ("name", "file"), [("mmnist", "mnist_test_seq.npy"), ("kitti", "test_data.npy"), ("cikm", "test")]
)
def test_a_missing_file_is_one_line_with_its_origin(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_protocol(find_protocol(name), tmp_path)
    text, wanted = str(caught.value), find_protocol(name).files[0]
    assert text.startswith(f"{file}: ")
    assert "\n" not in text
    assert wanted.origin in text
    assert wanted.md5 is None or wanted.md5 in text


def test_a_file_with_another_md5_is_said(tmp_path: Path) -> None:
    published.make_mmnist(tmp_path)
    (note,) = open_protocol(find_protocol("mmnist"), tmp_path).notes
    assert "be083ec986bfe91a449d63653c411eb2" in note
    assert "cannot be compared" in note


def test_resize_as_opencv_does() -> None:
    cv2 = pytest.importorskip("cv2")
    frames = np.random.default_rng(1).uniform(0, 255, (30, 1, 120, 160)).astype(np.float32)
    expected = np.stack([cv2.resize(frame[0], (128, 128)) for frame in frames])[:, None]
    np.testing.assert_allclose(resize(frames, find_protocol("kth")), expected, atol=2e-4)
    colour = np.random.default_rng(2).integers(0, 256, (8, 3, 100, 90), dtype=np.uint8)
    cubic = np.stack([cv2.resize(c.transpose(1, 2, 0), (256, 256), interpolation=cv2.INTER_CUBIC) for c in colour])
    assert np.abs(resize(colour, find_protocol("human")) - cubic.transpose(0, 3, 1, 2)).max() <= 1


@pytest.mark.parametrize("line", ["../../secret_,000001", "/etc/secret_,000001", "C:\\secret_,000001"])
def test_lists_do_not_lead_out_of_the_folder(line: str, tmp_path: Path) -> None:
    published.make_human(tmp_path)
    (tmp_path / "human" / "test.txt").write_text(line + "\n")
    with pytest.raises(InputError, match="in a list"):
        open_protocol(find_protocol("human"), tmp_path)


def test_damaged_catalogues_are_refused(tmp_path: Path) -> None:
    published.make_sevir(tmp_path)
    catalog = tmp_path / "sevir" / "CATALOG.csv"
    text = catalog.read_text()
    for damaged in (text.replace("pct_missing", "missing"), text.replace("2019-11-02 10:00:00", "yesterday")):
        catalog.write_text(damaged)
        with pytest.raises(InputError):
            open_protocol(find_protocol("sevir-384-13to12"), tmp_path)


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "mnist_test_seq.npy", np.zeros((20, 1, 32, 32), np.uint8))
    with pytest.raises(InputError, match="frames, channels, rows, columns"):
        read_all("mmnist", tmp_path)
    np.save(tmp_path / "mnist_test_seq.npy", np.zeros((10, 20, 64, 64), np.uint8))  # axes in another order
    with pytest.raises(InputError, match=r"\(20, sequences, 64, 64\)"):
        open_protocol(find_protocol("mmnist"), tmp_path)


def test_an_empty_folder_has_no_windows(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    with pytest.raises(InputError, match="no test window"):
        open_protocol(find_protocol("cikm"), tmp_path)


def test_definitions_are_strict() -> None:
    fields = find_protocol("kth").model_dump()
    with pytest.raises(ValueError, match="column XYZ"):
        Protocol.model_validate({**fields, "published": [{**fields["published"][0], "columns": ["XYZ"], "rows": {}}]})
    with pytest.raises(ValueError, match="got 1 scores"):
        Protocol.model_validate({**fields, "published": [{**fields["published"][0], "rows": {"A": [1.0]}}]})
