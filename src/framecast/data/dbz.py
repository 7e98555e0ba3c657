"""Rain rates as reflectivity, where the user wants to see both alike."""

from __future__ import annotations

from framecast.data.config import DataConfig
from framecast.data.units import DBZ_UNITS, RATE_UNITS
from framecast.errors import InputError
from framecast.normalize import DBZ


def to_dbz(config: DataConfig, units: str, notes: list[str]) -> DBZ | None:
    """How values are turned into dBZ once read; None where they stay as they are.

    Args:
        config: whether, and by which relation.
        units: of the values.
        notes: a line is added to them.

    Raises:
        InputError: neither rain rates nor dBZ.
    """
    if config.scale is None or units == DBZ_UNITS:
        return None
    if units != RATE_UNITS:
        fix = "name them, as in units: mm per 5 min"
        raise InputError(f"{config.path}: scale dBZ", got=f"units {units}", expected=RATE_UNITS, fix=fix)
    relation = DBZ(rain_rate=True, z_r=config.z_r)
    a, b = relation.coefficients
    notes.append(f"scale: {units} turned into dBZ by Z = {a:g} R^{b:g}, cut to 0 to {relation.high:g} dBZ")
    return relation
