"""Layout of WeatherBench: NetCDF files of one variable, a year each."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framecast.data import DataConfig
from framecast.data.sources.multi_file_source import open_source
from framecast.protocols.definition import Protocol
from framecast.protocols.layouts.base import ProtocolWindows, need_path

END = datetime(2019, 1, 1)
"""End of the test data."""


def find_weatherbench(folder: Path, protocol: Protocol) -> ProtocolWindows:
    """Find a window for each hour of 2017 and 2018 but the last, as the published code leaves one out."""
    path = need_path(folder, protocol.files[0])
    begin = datetime.fromisoformat(protocol.test_from or "2017-01-01")
    source = open_source(
        DataConfig(source=str(path), variable="t2m", frames=(begin, END), range=protocol.range, units=protocol.units)
    )
    places = [
        (sequence, start)
        for sequence, length in enumerate(source.lengths)
        for start in range(0, length - protocol.frames + 1, protocol.stride or 1)
    ][:-1]

    def read(index: int) -> NDArray[np.generic]:
        sequence, start = places[index]
        return source.read(sequence, start, start + protocol.frames).frames

    return ProtocolWindows([f"{sequence}/{start}" for sequence, start in places], read)
