"""Findings about a machine: versions, device, kernels, threads; for bug reports, and where framecast is slow."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from framecast import kernels
from framecast.devices import resolve_device

EXTRAS = (
    *("tensorboard", "pysteps", "opencv-python-headless"),
    *("av", "xarray", "cf_xarray", "h5py", "h5netcdf", "scipy", "cftime", "pyproj", "rasterio", "pygrib"),
)


def collect_findings(wait_policy: str | None = None) -> dict[str, str]:
    """Collect the findings, each a text by its name.

    Args:
        wait_policy: OMP_WAIT_POLICY of the environment; None where it is not set.
    """
    return {
        "framecast": version("framecast"),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "device": _describe_device(),
        "CPU kernels": kernels.describe_kernels(),
        "precision": f"{kernels.get_precision()}: see train.precision, evaluate --precision",
        "cores": f"{os.cpu_count()}, of which torch uses {torch.get_num_threads()}",
        "waiting": describe_waiting(torch.get_num_threads(), wait_policy),
        "extras": ", ".join(f"{name} {_find_version(name)}" for name in EXTRAS),
    }


def describe_waiting(threads: int, wait_policy: str | None) -> str:
    """Describe how threads wait for each other, and the cost of it.

    Args:
        threads: number of threads of this process.
        wait_policy: OMP_WAIT_POLICY of the environment; None where it is not set.
    """
    if threads == 1:
        return "one thread waits for no other: right where other processes need the cores"
    if (wait_policy or "").lower() == "passive":
        return (
            "threads sleep (OMP_WAIT_POLICY=passive): right on a busy machine; on an idle one training takes 1.45 times, "
            "a forecast twice as long"
        )
    return (
        f"threads spin (OMP_WAIT_POLICY is {wait_policy or 'not set'}): quickest on an idle machine; where other "
        "processes need the cores a forecast takes 10 to 20 times as long, with OMP_NUM_THREADS=1 it does not"
    )


def _describe_device() -> str:
    best = resolve_device("auto")
    return f"cuda: {torch.cuda.get_device_name()}" if best == "cuda" else best


def _find_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
