"""Stored codes to physical values."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray


def physical(stored: NDArray[Any], scale: float, offset: float, missing: Collection[float]) -> NDArray[np.float32]:
    """Stored value x scale + offset, computed in double precision; NaN where a code means missing.

    Args:
        stored: integers or floats of any shape.
        scale: physical units per stored unit.
        offset: physical value of a stored 0.
        missing: stored values that mean missing.
    """
    if stored.dtype.kind == "u" and stored.dtype.itemsize <= 2 and stored.size > 2**16:
        # a table of all codes: several times faster on the large grids of radars
        return physical(np.arange(2 ** (8 * stored.dtype.itemsize)), scale, offset, missing)[stored]
    with np.errstate(over="ignore", invalid="ignore"):
        values = (stored * np.float64(scale) + offset).astype(np.float32)
    for code in missing:
        values[stored == code] = np.nan
    return values
