"""Radar files of several images, heights or sums: one is chosen by name, and never two within one sequence."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), range=(0, 70), **said))


def peaks(path: Path, **said) -> list[float]:
    found = source(path, **said)
    return [round(float(np.nanmax(frame)), 2) for frame in found.read(0, 0, found.lengths[0]).frames]


def knmi(path: Path, formula: str = "GEO=0.5*PV-32.0", images: tuple[tuple[str, str, int], ...] = ()) -> Path:
    """A file with images of (parameter, product, code of the echo)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, (parameter, product, code) in enumerate(images or (("REFLECTIVITY_[DBZ]", "H1.5", 104),), 1):
            file[f"image{number}/image_data"] = np.array([[64, 255], [code, 64]], np.uint8)
            file[f"image{number}"].attrs.update(
                {"image_geo_parameter": np.bytes_(parameter), "image_product_name": np.bytes_(product)}
            )
            calibration = {"formulas": np.bytes_(formula), "missing_data": np.int32([255])}
            about = file.create_group(f"image{number}/calibration").attrs
            about.update({f"calibration_{key}": value for key, value in calibration.items()})
        stamp = np.bytes_(f"01-MAY-2023;12:{path.stem[-2:]}:00.250")
        file.create_group("overview").attrs.update({"product_datetime_start": stamp, "product_datetime_end": stamp})
    return path


@pytest.mark.parametrize(
    "formula",
    [
        "GEO=0.5*PV-32.0",
        "GEO = 0.500000 * PV + -32.000000",
        "GEO=0.500000*PV+-32.000000",
        "GEO = 5.000000e-01 * PV + -3.200000e+01",
        "GEO=(0.5*PV)-(32)",
        "geo = PV * .5 - 32.",
        "GEO=+0.5*PV-(+32)\0",
    ],
)
def test_the_whole_formula_counts(tmp_path: Path, formula: str) -> None:
    found = source(knmi(tmp_path / "a00.h5", formula))
    np.testing.assert_array_equal(found.read(0, 0, 1).frames[0, 0], [[0, np.nan], [20, 0]])
    assert found.read(0, 0, 1).time == np.datetime64("2023-05-01T12:00:00.250")


@pytest.mark.parametrize(
    "formula", ["GEO=0.5*PV-32.0*PV", "GEO=10^(0.5*PV)", "GEO=0.5*PV-32 dBZ", "0.5*PV", "GEO=0,5*PV"]
)
def test_a_formula_that_is_not_understood_is_refused(tmp_path: Path, formula: str) -> None:
    with pytest.raises(InputError, match=r"calibration_formulas: got '.*', expected GEO = a \* PV \+ b"):
        source(knmi(tmp_path / "a00.h5", formula))


def test_images_of_knmi_are_named(tmp_path: Path) -> None:
    heights = (("REFLECTIVITY_[DBZ]", "PCP_H1.5", 104), ("REFLECTIVITY_[DBZ]", "PCP_H4.0", 144))
    for minute in ("00", "05"):
        knmi(tmp_path / "two" / f"a{minute}.h5", images=heights if minute == "00" else heights[::-1])
    words = r"got 2 images, expected one of image1 \(REFLECTIVITY_\[DBZ\], PCP_H1.5\), image2 \(.*H4.0\); .*--var"
    with pytest.raises(InputError, match=words):
        source(tmp_path / "two")
    with pytest.raises(InputError, match=r"got image1 .*H4.0.*, expected image1 .*H1.5.*, as in a00.h5"):
        source(tmp_path / "two", variable="image1")
    assert peaks(tmp_path / "two", variable="PCP_H1.5") == [20, 20]
    assert peaks(tmp_path / "two", variable="pcp_h4.0") == [40, 40]
    knmi(tmp_path / "kinds00.h5", images=(heights[0], ("ECHOTOP_[KM]", "", 144)))
    assert source(tmp_path / "kinds00.h5", variable="echotop").spec.units == "km"
    with pytest.raises(InputError, match=r"got 0 images called snow, expected one of image1"):
        source(tmp_path / "kinds00.h5", variable="snow")
    for minute, image in (("00", heights[0]), ("05", heights[1])):
        knmi(tmp_path / "mixed" / f"a{minute}.h5", images=(image,))
    with pytest.raises(InputError, match="put each into a folder of its own"):
        source(tmp_path / "mixed")


def composite(path: Path, kind: str, hour: int, order: tuple[int, ...] = (1, 2, 3)) -> Path:
    """Three datasets of one quantity: heights of 1, 2 and 4 km, or sums of 1, 6 and 24 h; echoes of 28, 38 and 48."""
    path.parent.mkdir(parents=True, exist_ok=True)
    heights, hours = (1000.0, 2000.0, 4000.0), (1, 6, 24)
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_2")
        end = np.datetime64("2024-05-01T00:00") + np.timedelta64(hour, "h")
        date, time = str(end).replace("-", "").replace(":", "").split("T")
        stamps = {"date": np.bytes_(date), "time": np.bytes_(time + "00")}
        file.create_group("what").attrs.update({"object": np.bytes_("COMP"), **stamps})
        for number, product in enumerate(order, 1):
            begin = end - np.timedelta64(hours[product - 1], "h")
            start, clock = str(begin).replace("-", "").replace(":", "").split("T")
            what = {"quantity": np.bytes_("DBZH" if kind == "heights" else "ACRR"), "gain": 1.0, "offset": 0.0}
            if kind == "heights":
                what |= {"product": np.bytes_("CAPPI"), "prodpar": heights[product - 1]}
            else:
                edges = (start, clock + "00", date, time + "00")
                what |= dict(zip(("startdate", "starttime", "enddate", "endtime"), map(np.bytes_, edges), strict=True))
            file[f"dataset{number}/data1/data"] = np.array([[0, 18 + 10 * product], [1, 2]], np.uint8)
            file.create_group(f"dataset{number}/what").attrs.update(what)
    return path


def test_heights_of_odim_are_named_by_their_product(tmp_path: Path) -> None:
    for hour in range(4):
        composite(tmp_path / "a" / f"{hour}.h5", "heights", hour, (1, 2, 3) if hour % 2 else (3, 2, 1))
    choices = r"DBZH\[CAPPI 4000\], DBZH\[CAPPI 2000\], DBZH\[CAPPI 1000\]"
    with pytest.raises(InputError, match=f"got 3 datasets, expected one of {choices}; name one with --var"):
        source(tmp_path / "a")
    for name, value in (("DBZH[CAPPI 1000]", 28), ("DBZH[2000]", 38), ("DBZH[4000]", 48)):
        assert peaks(tmp_path / "a", variable=name) == [value] * 4
    with pytest.raises(InputError, match=r"expected DBZH CAPPI 4000, as in 0\.h5"):
        source(tmp_path / "a", variable="DBZH[dataset1]")
    with pytest.raises(InputError, match=f"got 3 datasets of DBZH, expected one of {choices}"):
        source(tmp_path / "a", variable="DBZH")
    for wrong in ("DBZH[CAPPI", "DBZH]1000[", "DBZH[1000] x"):
        with pytest.raises(InputError, match="brackets at its end"):
            source(tmp_path / "a", variable=wrong)


def test_sums_of_odim_are_named_by_their_length(tmp_path: Path) -> None:
    for hour in range(4):
        composite(tmp_path / "a" / f"{hour}.h5", "sums", hour)
    with pytest.raises(InputError, match=r"expected one of ACRR\[1h\], ACRR\[6h\], ACRR\[24h\]"):
        source(tmp_path / "a")
    for name, rate in (("ACRR[1h]", 28), ("ACRR[6h]", 38 / 6), ("ACRR[24h]", 2)):
        assert peaks(tmp_path / "a", variable=name) == [round(rate, 2)] * 4  # mm/h


def test_one_height_of_odim_in_each_file_is_one_sequence_or_none(tmp_path: Path) -> None:
    for hour in range(4):
        with h5py.File(composite(tmp_path / "a" / f"{hour}.h5", "heights", hour), "a") as file:
            for number in {1, 2, 3} - {1 + hour % 2}:
                del file[f"dataset{number}"]
    with pytest.raises(
        InputError, match=r"1\.h5: quantity: got DBZH CAPPI 2000, expected DBZH CAPPI 1000, as in 0\.h5"
    ):
        source(tmp_path / "a")
    assert peaks(tmp_path / "a", variable="DBZH[1000]") == [28, 28]


@pytest.mark.parametrize("time", ["030405Z", "0304", "030405.250"])
def test_times_of_odim(tmp_path: Path, time: str) -> None:
    path = composite(tmp_path / "a.h5", "heights", 0)
    with h5py.File(path, "a") as file:
        file["what"].attrs["time"] = np.bytes_(time)
    expected = {"0304": "03:04", "030405Z": "03:04:05", "030405.250": "03:04:05.250"}[time]
    found = source(path, variable="DBZH[1000]")
    assert found.read(0, 0, 1).time == np.datetime64(f"2024-05-01T{expected}")


@pytest.mark.parametrize("time", ["03:04:05", "30405", 30405, 10405, "030405 CET", "990000"])
def test_a_time_of_odim_that_is_not_understood_is_refused(tmp_path: Path, time: object) -> None:
    path = composite(tmp_path / "a.h5", "heights", 0)
    with h5py.File(path, "a") as file:
        file["what"].attrs["time"] = np.bytes_(time) if isinstance(time, str) else time
    with pytest.raises(InputError, match="expected YYYYMMDD and HHMMSS"):
        source(path, variable="DBZH[1000]")


@pytest.mark.parametrize(("nodata", "undetect"), [(np.nan, 0.0), (np.nan, -np.inf), (255.0, np.nan), (np.nan, np.nan)])
def test_codes_of_odim_may_be_nan(tmp_path: Path, nodata: float, undetect: float) -> None:
    stored = np.array([[nodata, undetect], [20, 30]], np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_3")
        file.create_group("what").attrs.update({"object": np.bytes_("COMP"), "date": "20240501", "time": "120000"})
        file["dataset1/data1/data"] = stored
        said = {"quantity": np.bytes_("DBZH"), "gain": 1.0, "offset": 0.0, "nodata": nodata, "undetect": undetect}
        file.create_group("dataset1/data1/what").attrs.update(said)
    expected = [[np.nan, np.nan if np.isnan(nodata) and np.isnan(undetect) else -32], [20, 30]]
    np.testing.assert_array_equal(source(tmp_path / "a.h5").read(0, 0, 1).frames[0, 0], expected)
