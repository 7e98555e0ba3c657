"""Pictures: upright, at their depth, in colours that are told; animations by their own frames and times."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from framecast.data import DataConfig, FileSource
from framecast.data.formats.pictures.orientation import orientation_of_matrix, turn_upright
from framecast.errors import InputError

SIZE = (12, 16)
FRAMES = np.random.default_rng(0).integers(0, 255, (5, *SIZE), np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 255, (5, *SIZE, 3), np.uint8)
DEEP = (COLOURS[0].astype(np.uint16) << 8) + 77


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def frames_of(found: FileSource) -> np.ndarray:
    return found.read(0, 0, found.lengths[0]).frames


def png(path: Path, values: np.ndarray, colour: int, *more: tuple[bytes, bytes]) -> Path:
    """A PNG of 16 bits, written by hand: (H, W, channels); chunks `more` stand behind the pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), *more, (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_pillow(orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(COLOURS[0])
    picture.info["exif"] = exif.tobytes()
    right = np.asarray(ImageOps.exif_transpose(picture)).transpose(2, 0, 1)
    np.testing.assert_array_equal(turn_upright(COLOURS[0].transpose(2, 0, 1), orientation), right)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_pictures_are_upright(tmp_path: Path, suffix: str, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = np.add.outer(10 * np.arange(12), 5 * np.arange(16)).astype(np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(smooth).convert("RGB").save(tmp_path / f"0.{suffix}", exif=exif, **options)
    found = source(tmp_path / f"0.{suffix}")
    with Image.open(tmp_path / f"0.{suffix}") as picture:
        right = np.asarray(ImageOps.exif_transpose(picture)).transpose(2, 0, 1)
    np.testing.assert_array_equal(frames_of(found)[0], right)
    np.testing.assert_allclose(frames_of(found)[0, 0], turn_upright(smooth, orientation), atol=6)
    assert "orientation: pictures are turned upright, as the files say" in found.notes


def test_one_camera_that_was_turned_gives_one_size(tmp_path: Path):
    for number in range(6):
        exif = Image.Exif()
        exif[0x0112] = (1, 6)[number > 2]
        stored = FRAMES[0] if number < 3 else np.rot90(FRAMES[0])
        Image.fromarray(stored).save(tmp_path / f"{number}.png", exif=exif)
    np.testing.assert_array_equal(frames_of(source(tmp_path))[:, 0], np.repeat(FRAMES[:1], 6, 0))


def test_exif_behind_the_pixels_of_a_deep_png(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    png(tmp_path / "a.png", DEEP, 2, (b"eXIf", exif.tobytes()[6:]))
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.png"))[0], np.rot90(DEEP, -1).transpose(2, 0, 1))


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 1), (6, 3)])
def test_sixteen_bits_of_a_png(tmp_path: Path, colour: int, channels: int):
    stored = np.dstack([DEEP, DEEP[..., :1]])[..., : {0: 1, 2: 3, 4: 2, 6: 4}[colour]]
    path = png(tmp_path / "a.png", stored, colour)
    right = stored[..., :channels].transpose(2, 0, 1)
    if colour in (2, 6):
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 2::-1].transpose(2, 0, 1), right)
    found = source(path)
    np.testing.assert_array_equal(frames_of(found)[0], right)
    assert found.grid.variables == (("grey",), ("red", "green", "blue"))[channels == 3]
    assert found.spec.units == "1"
    assert ("alpha: left out" in " ".join(found.notes)) == (colour > 3)


@pytest.mark.parametrize(
    "kind",
    ["u2", "i2", "u4", "f4", "f8", "f2", "i1", "rgb u2", "rgb f4", "planar u2", "two u2", "stack u2", "stack rgb u2"],
)
def test_every_depth_of_a_tiff(tmp_path: Path, kind: str):
    *words, code = kind.split()
    base = np.random.default_rng(2).integers(-100 if code[0] == "i" else 0, 120, (3, *SIZE, 3))
    base = (base * {"u4": 30_000_000, "u2": 500, "i2": 300}.get(code, 1)).astype(code)
    stored, options, right = base[0, ..., 0], {"photometric": "minisblack"}, base[:1, None, ..., 0]
    if "rgb" in words or "planar" in words:
        stored, options, right = base[0], {"photometric": "rgb"}, base[:1].transpose(0, 3, 1, 2)
    if "planar" in words:
        stored, options = stored.transpose(2, 0, 1), options | {"planarconfig": "separate"}
    if "two" in words:
        stored, right = base[0, ..., :2], base[:1, ..., :2].transpose(0, 3, 1, 2)
        options |= {"planarconfig": "contig"}
    if "stack" in words:
        stored = base if "rgb" in words else base[..., 0]
        right = base.transpose(0, 3, 1, 2) if "rgb" in words else base[:, None, ..., 0]
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.tif")), right.astype(np.float32))


def test_deep_colours_as_grey_and_beside_grey(tmp_path: Path):
    png(tmp_path / "0.png", DEEP, 2)
    grey = frames_of(source(tmp_path / "0.png", colour="grey"))[0, 0]
    np.testing.assert_allclose(grey, DEEP @ [0.299, 0.587, 0.114], atol=0.51)
    png(tmp_path / "1.png", DEEP[..., :1], 0)
    np.testing.assert_array_equal(frames_of(source(tmp_path))[1], DEEP[None, ..., 0].repeat(3, 0))
    Image.fromarray(COLOURS[0]).save(tmp_path / "2.png")
    with pytest.raises(InputError, match="pictures with values of uint16 and uint8, expected one"):
        source(tmp_path)


@pytest.mark.parametrize(("high", "code"), [(1023, ">u2"), (65535, ">u2"), (255, "u1"), (15, "u1")])
def test_pgm_by_its_greatest_value(tmp_path: Path, high: int, code: str):
    values = np.random.default_rng(3).integers(0, high + 1, SIZE).astype(code)
    (tmp_path / "a.pgm").write_bytes(b"P5\n# made by hand\n16 12\n%d\n" % high + values.tobytes())
    right = cv2.imread(str(tmp_path / "a.pgm"), cv2.IMREAD_UNCHANGED) if high > 255 else values
    np.testing.assert_array_equal(right, values)
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.pgm"))[0, 0], values)


def test_colour_spaces_are_told_and_not_mixed(tmp_path: Path):
    Image.fromarray(COLOURS[0]).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert any("colour: values of CMYK" in note for note in source(tmp_path / "cmyk.jpg").notes)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    folder = tmp_path / "mixed"
    folder.mkdir()
    Image.fromarray(COLOURS[0]).save(folder / "0.png", icc_profile=profile)
    assert any(note.startswith("colour: values of XYZ") for note in source(folder).notes)
    Image.fromarray(COLOURS[1]).save(folder / "1.png")
    with pytest.raises(InputError, match=r"pictures with the colours of XYZ.* and sRGB, expected one"):
        source(folder)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(COLOURS[0]).save(folder / "0.png", icc_profile=srgb)
    assert not any(note.startswith("colour") for note in source(folder).notes)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_keep_their_times(tmp_path: Path, suffix: str):
    pages = [Image.fromarray(np.full((*SIZE, 3), 30 * k, np.uint8)) for k in range(6)]
    options = {"lossless": True} if suffix == "webp" else {}
    pages[0].save(
        tmp_path / f"a.{suffix}",
        save_all=True,
        append_images=pages[1:],
        duration=[80, 80, 400, 80, 80, 3000],
        **options,
    )
    found = source(tmp_path / f"a.{suffix}")
    assert found.lengths == [3, 3]  # the third is shown for five steps
    assert found.spec.step_minutes == pytest.approx(0.08 / 60)
    np.testing.assert_array_equal(found.read(1, 0, 3).frames[:, 0, 0, 0], [90, 120, 150])


def test_frames_of_a_part_are_composed(tmp_path: Path):
    """Frames that change a corner only, disposed of in the three ways of GIF: what is seen is the whole picture."""
    pages = [
        Image.fromarray(np.where(np.arange(16) < 3 * k, 200, 30).astype(np.uint8)[None].repeat(12, 0)) for k in range(5)
    ]
    for disposal in (0, 1, 2):
        path = tmp_path / f"{disposal}.gif"
        pages[0].save(path, save_all=True, append_images=pages[1:], duration=100, disposal=disposal)
        np.testing.assert_array_equal(frames_of(source(path))[:, 0], np.stack([np.asarray(page) for page in pages]))


def test_a_picture_for_those_who_cannot_show_a_moving_png(tmp_path: Path):
    pages = [Image.fromarray(COLOURS[k]) for k in range(4)]
    pages[0].save(tmp_path / "a.png", save_all=True, append_images=pages[1:], default_image=True, duration=100)
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.png")), COLOURS[1:4].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp"])
def test_a_cut_animation_is_used_and_told(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    pages = [Image.fromarray(np.random.default_rng(k).integers(0, 255, (40, 40, 3), np.uint8)) for k in range(10)]
    options = {"lossless": True} if suffix == "webp" else {}
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    assert "frames:" not in " ".join(source(path).notes)
    whole = frames_of(source(path))
    assert len(whole) == 10
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.65)])
    try:
        found = source(path)
    except InputError:
        assert suffix == "webp"  # whose decoder takes whole files only
        return
    count = found.lengths[0]
    assert 4 <= count < 10
    np.testing.assert_array_equal(frames_of(found), whole[:count])
    assert any(note.startswith("frames: ") for note in found.notes)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "gif"])
def test_a_cut_picture_is_refused_when_it_is_opened(tmp_path: Path, suffix: str):
    for number in range(3):
        Image.fromarray(COLOURS[number]).resize((64, 64)).save(tmp_path / f"{number}.{suffix}")
    path = tmp_path / f"1.{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"1\.{suffix}: got"):
        source(tmp_path)


def test_small_copies_among_the_pages_of_a_tiff_are_no_frames(tmp_path: Path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for frame in FRAMES[:3]:
            file.write(frame, photometric="minisblack", contiguous=False)
            file.write(frame[::2, ::2], photometric="minisblack", subfiletype=1, contiguous=False)
    np.testing.assert_array_equal(frames_of(source(tmp_path / "a.tif"))[:, 0], FRAMES[:3])


def test_display_matrices_of_eight_orientations():
    one = 1 << 16
    stored = np.arange(6).reshape(2, 3)
    straight, crossed = (
        [(1, 0, 0, 1), (-1, 0, 0, 1), (-1, 0, 0, -1), (1, 0, 0, -1)],
        [(1, 1), (1, -1), (-1, -1), (-1, 1)],
    )
    for a, b, c, d in [*straight, *((0, b, c, 0) for b, c in crossed)]:
        orientation = orientation_of_matrix([a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30])
        assert orientation is not None
        y, x = np.indices(stored.shape)
        across, down = a * x + c * y, b * x + d * y
        right = np.empty(stored.shape if a else stored.shape[::-1], int)
        right[down - down.min(), across - across.min()] = stored
        np.testing.assert_array_equal(turn_upright(stored, orientation), right)
    assert orientation_of_matrix([one, one, 0, -one, one, 0, 0, 0, 1 << 30]) is None
