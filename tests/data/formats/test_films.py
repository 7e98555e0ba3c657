"""Films: frames as the decoder gives them, upright, at their depth; what is cut, hidden or one of several is told."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

SIZE = (48, 64)


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def frames_of(found: FileSource) -> np.ndarray:
    return found.read(0, 0, found.lengths[0]).frames


def film(
    path: Path, codec: str, pictures: list[av.VideoFrame], rate: int = 10, setup=None, pts=None, **options
) -> Path:
    container = {".mkv": {"cluster_time_limit": "500"}, ".mp4": {"movflags": "faststart"}}.get(path.suffix, {})
    with av.open(str(path), "w", options=container) as box:
        stream = box.add_stream(codec, rate=rate, options={k: str(v) for k, v in options.items() if k != "b_frames"})
        stream.height, stream.width = pictures[0].height, pictures[0].width
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else pictures[0].format.name
        stream.codec_context.max_b_frames = options.get("b_frames", 0)
        if setup:
            setup(stream)
        for number, picture in enumerate(pictures):
            if pts is not None:
                picture.pts, picture.time_base = pts[number], Fraction(1, 1000)
            box.mux(stream.encode(picture))
        box.mux(stream.encode(None))
    return path


def counting(count: int, form: str = "yuv420p") -> list[av.VideoFrame]:
    """Frames whose brightness counts them, over a pattern that no two of them share."""
    noise = np.random.default_rng(0).integers(0, 40, (*SIZE, 3), np.uint8)
    return [
        av.VideoFrame.from_ndarray(noise + np.uint8(6 * k), format="rgb24").reformat(format=form) for k in range(count)
    ]


def opencv(path: Path) -> np.ndarray:
    """All frames as OpenCV reads and turns them, (T, C, H, W)."""
    film, frames = cv2.VideoCapture(str(path)), []
    while (got := film.read())[0]:
        frames.append(got[1][..., ::-1].transpose(2, 0, 1))
    return np.stack(frames).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        ("a.avi", "libx264", 3),
        ("a.avi", "mpeg4", 2),
        ("a.avi", "mpeg4", 0),
        ("a.mkv", "mpeg4", 2),
        ("a.mp4", "libx264", 3),
    ],
)
def test_frames_with_b_frames_come_in_order(tmp_path: Path, name: str, codec: str, b_frames: int):
    path = film(tmp_path / name, codec, counting(30), b_frames=b_frames, g=12, b=4_000_000)
    found, right = source(path), opencv(path)
    assert found.lengths == [30]
    assert found.spec.step_minutes == pytest.approx(0.1 / 60)
    whole = frames_of(found)
    np.testing.assert_allclose(whole, right, atol=4)
    assert (np.diff(whole.mean((1, 2, 3))) > 3).all()
    for start in (29, 13, 4, 24, 11):  # wherever a decoder is sent, it gives the frame that counting gives
        np.testing.assert_array_equal(source(path).read(0, start, start + 1).frames[0], whole[start])


def test_seeking_that_misleads_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = film(tmp_path / "a.mp4", "libx264", counting(30), g=10)
    found = source(path)
    whole = frames_of(found)
    reader = found._array._reader
    survey = reader._films[path]
    late = tuple(key._replace(timestamp=key.timestamp and 0) for key in survey.keys)
    reader._films[path] = survey._replace(keys=late)
    np.testing.assert_array_equal(reader.read(path, [25, 28]), whole[[25, 28]].astype(np.uint8))


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mp4"])
def test_a_cut_recording_is_used_and_told(tmp_path: Path, name: str):
    codec = "mjpeg" if name == "a.avi" else "libx264"
    path = film(tmp_path / name, codec, counting(40, "yuvj420p" if codec == "mjpeg" else "yuv420p"), g=10)
    whole = frames_of(source(path))
    assert "frames:" not in " ".join(source(path).notes)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.7)])
    found = source(path)
    count = found.lengths[0]
    assert 5 < count < 40
    np.testing.assert_array_equal(frames_of(found), whole[:count])
    note = next(note for note in found.notes if note.startswith("frames: "))
    assert f"{count} of 40 that the file announces" in note or f"cut off; the {count} that can be decoded" in note


def test_a_film_that_begins_between_key_frames(tmp_path: Path):
    path = film(tmp_path / "a.mkv", "libx264", counting(30), g=10)
    with av.open(str(path)) as box, av.open(str(tmp_path / "b.mkv"), "w") as out:
        stream = out.add_stream_from_template(box.streams.video[0])
        for number, packet in enumerate(packet for packet in box.demux(video=0) if packet.dts is not None):
            if number >= 6:
                packet.stream = stream
                out.mux(packet)
    found = source(tmp_path / "b.mkv")
    assert found.lengths == [20]
    notes = [note for note in found.notes if note.startswith("frames: ")]
    assert notes == ["frames: the film begins between key frames; 4 packets before the first are left out"]


def test_a_damaged_film_in_a_folder_is_named(tmp_path: Path):
    for number in range(3):
        path = film(tmp_path / f"{number}.avi", "mjpeg", counting(12, "yuvj420p"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    found = source(tmp_path)
    assert found.lengths[:2] == [12, 12]
    assert any(note.startswith("frames: ") and note.endswith("(2.avi)") for note in found.notes)


def test_a_film_without_a_frame_is_refused(tmp_path: Path):
    path = film(tmp_path / "a.mkv", "libx264", counting(4))
    with av.open(str(path)) as box, av.open(str(tmp_path / "b.mkv"), "w") as out:
        stream = out.add_stream_from_template(box.streams.video[0])
        for packet in list(box.demux(video=0))[1:]:
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(InputError, match="no frame that can be decoded"):
        source(tmp_path / "b.mkv")


@pytest.mark.parametrize(
    ("bits", "codec", "form"),
    [
        (16, "ffv1", "gray16le"),
        (10, "ffv1", "gray10le"),
        (12, "ffv1", "gray12le"),
        (16, "ffv1", "rgb48le"),
        (10, "ffv1", "gbrp10le"),
    ],
)
def test_the_depth_of_the_file_is_read(tmp_path: Path, bits: int, codec: str, form: str):
    shape = SIZE if form.startswith("gray") else (*SIZE, 3)
    values = [(np.arange(np.prod(shape)).reshape(shape) % 900 + k).astype(np.uint16) for k in range(6)]
    pictures = [av.VideoFrame.from_ndarray(value, format=form) for value in values]
    if form == "rgb48le":
        pictures = [picture.reformat(format="gbrp16le") for picture in pictures]
    found = source(film(tmp_path / "a.mkv", codec, pictures))
    right = np.stack(values)[:, None] if len(shape) == 2 else np.stack(values).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(frames_of(found), right)
    assert (found.spec.low, found.spec.high, found.spec.units) == (0, 904, "1")
    assert f"depth: {bits} bits, values 0 to {2**bits - 1}" in found.notes


def test_colours_of_ten_bits(tmp_path: Path):
    """Brightness in steps of less than one of 8 bits; limited range: (Y - 64) 1023 / 876 by ITU-R BT.601."""
    luma = np.broadcast_to(np.arange(64, 128, dtype=np.uint16), SIZE)
    pictures = []
    for _ in range(3):
        picture = av.VideoFrame(SIZE[1], SIZE[0], "yuv420p10le")
        for plane, value in zip(picture.planes, (luma, 512, 512), strict=True):
            rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
            rows[:, : plane.width] = value
            plane.update(rows.tobytes())
        pictures.append(picture)
    found = source(film(tmp_path / "a.mkv", "ffv1", pictures))
    right = (luma.astype(np.float64) - 64) * 1023 / 876
    np.testing.assert_allclose(frames_of(found)[0], np.broadcast_to(right, (3, *SIZE)), atol=1.5)
    grey = frames_of(source(tmp_path / "a.mkv", colour="grey"))
    np.testing.assert_allclose(grey[0, 0], right, atol=1.5)


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_films_are_upright(tmp_path: Path, rotation: int):
    path = film(tmp_path / "a.mp4", "libx264", counting(5), setup=lambda stream: stream.set_display_rotation(rotation))
    found, right = source(path), opencv(path)
    assert right.shape[2:] == (SIZE if rotation == 180 else SIZE[::-1])
    assert (found.spec.height, found.spec.width) == right.shape[2:]
    np.testing.assert_allclose(frames_of(found), right, atol=4)
    assert "orientation: frames are turned upright, as the file says" in found.notes


def test_mirrored_and_slanted_films(tmp_path: Path):
    one = 1 << 16
    plain = frames_of(source(film(tmp_path / "a.mp4", "libx264", counting(3))))
    mirror = [-one, 0, 0, 0, one, 0, 0, 0, 1 << 30]
    path = film(tmp_path / "b.mp4", "libx264", counting(3), setup=lambda stream: stream.set_display_matrix(mirror))
    np.testing.assert_array_equal(frames_of(source(path)), plain[..., ::-1])
    slanted = film(tmp_path / "c.mp4", "libx264", counting(3), setup=lambda stream: stream.set_display_rotation(30))
    found = source(slanted)
    np.testing.assert_array_equal(frames_of(found), plain)
    assert any("no right angle" in note for note in found.notes)


def several(path: Path, dispositions: list[Disposition | None]) -> Path:
    """A file with several video streams, each of one brightness."""
    with av.open(str(path), "w") as box:
        streams = []
        for disposition in dispositions:
            stream = box.add_stream("mjpeg" if disposition else "mpeg4", rate=10)
            stream.height, stream.width, stream.pix_fmt = *SIZE, "yuvj420p" if disposition else "yuv420p"
            if disposition:
                stream.disposition = disposition
            streams.append(stream)
        for k in range(6):
            for number, stream in enumerate(streams):
                if k == 0 or not dispositions[number]:
                    grey = np.full((*SIZE, 3), 40 + 100 * number + k, np.uint8)
                    box.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        for stream in streams:
            box.mux(stream.encode(None))
    return path


def test_of_several_films_one_must_be_named(tmp_path: Path):
    path = several(tmp_path / "a.mkv", [None, None])
    with pytest.raises(InputError, match=r"2 films: 1 \(64x48 mpeg4.*2 \(64x48 mpeg4.*name one with --var"):
        source(path)
    for number in (1, 2):
        assert frames_of(source(path, variable=str(number))).mean() == pytest.approx(-57.5 + 100 * number, abs=3)
    with pytest.raises(InputError, match="got 3, expected a film from 1 to 2"):
        source(path, variable="3")
    with pytest.raises(InputError, match="expected the number of a film"):
        source(path, variable="rain")


def test_a_cover_is_no_film(tmp_path: Path):
    path = several(tmp_path / "a.mp4", [Disposition.attached_pic, None])
    found = source(path)
    assert found.lengths == [6]
    assert frames_of(found).mean() == pytest.approx(142.5, abs=3)


def test_interlaced_frames_are_told(tmp_path: Path):
    path = film(tmp_path / "a.mkv", "mpeg2video", counting(6), rate=25, flags="+ildct+ilme", b=4_000_000)
    assert any(note.startswith("interlaced: 6 frames hold two moments") for note in source(path).notes)
    assert not any("interlaced" in note for note in source(film(tmp_path / "b.mkv", "mpeg4", counting(6))).notes)


def test_a_film_of_no_steady_rate(tmp_path: Path):
    pts = np.cumsum([0, 30, 50, 90, 160, 250, 30, 50, 90, 160]).tolist()
    path = film(tmp_path / "a.mkv", "libx264", counting(10), rate=1000, pts=pts)
    found = source(path)
    assert found.lengths == [10]
    assert any("0.03 to 0.25 s apart, at no steady rate" in note for note in found.notes)


def test_a_pause_is_a_gap(tmp_path: Path):
    pts = [*range(0, 500, 100), *range(2000, 2500, 100)]
    assert source(film(tmp_path / "a.mkv", "libx264", counting(10), rate=10, pts=pts)).lengths == [5, 5]


def test_a_video_whose_size_changes_is_used_up_to_there(tmp_path: Path):
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        for number, size in enumerate([(24, 32), (24, 32), (40, 48), (40, 48)]):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.height, encoder.width = size
            encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuvj420p", Fraction(1, 10), 10
            frame = av.VideoFrame.from_ndarray(np.full(size, 60 * number, np.uint8), format="gray")
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
                container.mux(packet)
    found = source(tmp_path / "a.avi")
    assert found.lengths == [2]
    assert found.read(0, 0, 2).frames.shape == (2, 3, 24, 32)
    assert "the first 2 are used, of 24x32 pixels" in " ".join(found.notes)
    assert "what follows has 40x48 pixels" in " ".join(found.notes)
    with pytest.raises(InputError, match=r"frames 0..3, expected frames 0..1"):
        found.read(0, 0, 4)
