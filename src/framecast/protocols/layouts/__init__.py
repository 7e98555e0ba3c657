"""Layouts of published data: which files there are, and which frames are test windows."""

from collections.abc import Callable
from pathlib import Path

from framecast.protocols.definition import Protocol
from framecast.protocols.layouts import arrays, pictures, sevir, weatherbench
from framecast.protocols.layouts.base import ProtocolWindows

LAYOUTS: dict[str, Callable[[Path, Protocol], ProtocolWindows]] = {
    "moving-mnist": arrays.find_moving_mnist,
    "taxibj": arrays.find_taxibj,
    "kitti": arrays.find_kitti,
    "kth": pictures.find_kth,
    "human": pictures.find_human,
    "cikm": pictures.find_cikm,
    "shanghai": pictures.find_shanghai,
    "weatherbench": weatherbench.find_weatherbench,
    "sevir": sevir.find_sevir,
}
"""{layout of a protocol: finds its test windows}."""

__all__ = ["LAYOUTS", "ProtocolWindows"]
