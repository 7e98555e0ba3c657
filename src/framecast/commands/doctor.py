"""What framecast finds on a machine: for bug reports, and for whoever wonders why it is slow."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from framecast import kernels
from framecast.devices import resolve_device

EXTRAS = (
    *("tensorboard", "pysteps", "opencv-python-headless"),
    *("av", "xarray", "h5py", "h5netcdf", "scipy", "cftime", "pyproj", "rasterio", "pygrib"),
)


def collect_findings() -> dict[str, str]:
    """What was found, by name, in words."""
    return {
        "framecast": version("framecast"),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "device": _device(),
        "CPU kernels": kernels.describe_kernels(),
        "precision": f"{kernels.get_precision()}: see train.precision, evaluate --precision",
        "cores": f"{os.cpu_count()}, of which torch uses {torch.get_num_threads()}",
        "extras": ", ".join(f"{name} {_version(name)}" for name in EXTRAS),
    }


def _device() -> str:
    best = resolve_device("auto")
    return f"cuda: {torch.cuda.get_device_name()}" if best == "cuda" else best


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
