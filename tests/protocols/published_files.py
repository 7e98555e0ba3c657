"""Tiny files in the layouts of the published data."""

import csv
from pathlib import Path

import h5py
import numpy as np
import xarray
from PIL import Image

RNG = np.random.default_rng(0)


def make_mmnist(root: Path) -> np.ndarray:
    frames = RNG.integers(0, 256, (20, 3, 64, 64), dtype=np.uint8)
    (root / "moving_mnist").mkdir()
    np.save(root / "moving_mnist" / "mnist_test_seq.npy", frames)
    return frames.transpose(1, 0, 2, 3)[:, :, None]


def make_mfmnist(root: Path) -> np.ndarray:
    frames = RNG.integers(0, 256, (20, 2, 64, 64), dtype=np.uint8)
    np.save(root / "fmnist_test_seq.npy", frames)  # without the folder above it
    return frames.transpose(1, 0, 2, 3)[:, :, None]


def make_taxibj(root: Path) -> np.ndarray:
    past, future = (RNG.uniform(-1, 1, (3, 4, 2, 32, 32)).astype(np.float32) for _ in range(2))
    (root / "taxibj").mkdir()
    np.savez(root / "taxibj" / "dataset.npz", X_train=past, Y_train=future, X_test=past, Y_test=future)
    return np.concatenate([past, future], axis=1)


def make_kitti(root: Path) -> np.ndarray:
    frames, starts = RNG.uniform(0, 1, (24, 128, 160, 3)).astype(np.float32), np.array([13, 2])
    (root / "kitticaltech_npy").mkdir()
    np.save(root / "kitticaltech_npy" / "test_data.npy", frames)
    np.save(root / "kitticaltech_npy" / "test_idx.npy", starts)
    return 255 * np.stack([frames[start : start + 11] for start in starts]).transpose(0, 1, 4, 2, 3)


def make_kth(root: Path) -> np.ndarray:
    for action in ("boxing", "handclapping", "handwaving", "walking", "jogging", "running"):
        (root / "kth" / action).mkdir(parents=True)
    long, short, train = (RNG.integers(0, 256, (count, 128, 128), dtype=np.uint8) for count in (65, 34, 40))
    # image 6 of walking is missing: one window of 30 images fits behind it, and none over it
    write_video(root / "kth" / "walking" / "person17_walking_d1_uncomp", long, skipped={5})
    write_video(root / "kth" / "running" / "person25_running_d4_uncomp", short)
    write_video(root / "kth" / "running" / "person16_running_d4_uncomp", train)
    return np.stack([long[35:65], *(short[start : start + 30] for start in (4, 1))])[:, :, None]


def write_video(folder: Path, frames: np.ndarray, skipped: set[int] = frozenset()) -> None:
    folder.mkdir()
    for number, frame in enumerate(frames, 1):
        if number - 1 not in skipped:
            Image.fromarray(frame).save(folder / f"image_{number:04}.png")


def make_human(root: Path) -> np.ndarray:
    frames = RNG.integers(0, 256, (8, 256, 256, 3), dtype=np.uint8)
    images = root / "human" / "images"
    images.mkdir(parents=True)
    for number, frame in enumerate(frames):
        with (images / f"S9_Walking.60457274_{21 + 5 * number:06}.jpg").open("wb") as file:
            Image.fromarray(frame).save(file, "PNG")  # by its content a PNG, so that no level changes
    (root / "human" / "test.txt").write_text("images/S9_Walking.60457274_,000021\n")
    return frames.transpose(0, 3, 1, 2)[None]


def make_cikm(root: Path) -> np.ndarray:
    frames = RNG.integers(0, 256, (2, 15, 101, 101), dtype=np.uint8)
    for sample, number in zip(frames, (2, 10), strict=True):
        folder = root / "CIKM_datasets" / "test" / f"sample_{number}"
        folder.mkdir(parents=True)
        for index, frame in enumerate(sample, 1):
            Image.fromarray(frame).save(folder / f"img_{index}.png")
    return frames[:, :, None]


def make_shanghai(root: Path) -> np.ndarray:
    frames = RNG.integers(0, 256, (25, 64, 64), dtype=np.uint8)
    data, example = root / "shanghai2020" / "train" / "data", root / "shanghai2020" / "train" / "examples" / "000007"
    data.mkdir(parents=True)
    example.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(data / f"{number:03}.png")
    names = [f"{number:03}.png" for number in range(25)]
    (example / "000007-inputs-train.txt").write_text("\n".join(names[2:12]) + "\n")
    (example / "000007-targets-train.txt").write_text("\n".join(names[13:23]) + "\n")
    listed = root / "shanghai2020" / "Shanghai_2020_test_examples.txt"
    listed.write_text("D:\\data\\shanghai2020\\train\\examples\\000007\n")
    return np.concatenate([frames[2:12], frames[13:23]])[None, :, None]


def make_weatherbench(root: Path) -> np.ndarray:
    folder = root / "weather_5_625deg" / "2m_temperature"
    folder.mkdir(parents=True)
    hours = {2016: ("2016-12-31T22", 2), 2017: ("2017-01-01T00", 40)}
    values = {year: RNG.normal(280, 10, (count, 32, 64)).astype(np.float32) for year, (_, count) in hours.items()}
    for year, (begin, count) in hours.items():
        times = np.datetime64(begin, "ns") + np.arange(count) * np.timedelta64(1, "h")
        coordinates = {
            "time": times,
            "lat": ("lat", np.linspace(-87.19, 87.19, 32), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(64) * 5.625, {"units": "degrees_east"}),
        }
        frame = xarray.Dataset({"t2m": (("time", "lat", "lon"), values[year], {"units": "K"})}, coordinates)
        frame.to_netcdf(folder / f"2m_temperature_{year}_5.625deg.nc", engine="h5netcdf")
    return np.stack([values[2017][start : start + 24] for start in range(40 - 24)])[:, :, None]


EVENTS = (
    ("S1", "2019-05-01 10:00:00", "0.0"),
    ("S2", "2019-11-02 10:00:00", "0.0"),
    ("S3", "2019-11-03 10:00:00", "1.5"),
)


def make_sevir(root: Path) -> np.ndarray:
    events = RNG.integers(0, 256, (len(EVENTS), 384, 384, 49), dtype=np.uint8)
    (root / "sevir" / "data" / "vil" / "2019").mkdir(parents=True)
    with h5py.File(root / "sevir" / "data" / "vil" / "2019" / "SEVIR_VIL.h5", "w") as file:
        file["vil"] = events
    with (root / "sevir" / "CATALOG.csv").open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["id", "file_name", "file_index", "img_type", "time_utc", "pct_missing"])
        for index, (name, time, missing) in enumerate(EVENTS):
            rows.writerow([name, "vil/2019/SEVIR_VIL.h5", index, "vil", time, missing])
            rows.writerow([name, "vis/2019/SEVIR_VIS.h5", index, "vis", time, missing])
    return events[1].transpose(2, 0, 1)
