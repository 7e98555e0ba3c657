"""Values of CF variables: what marks them as missing, and how stored values are unpacked (CF 2.5.1 and 8.1).

A value is missing that equals `_FillValue` or one of `missing_value`, that lies outside `valid_range` or beyond
`valid_min` and `valid_max`, or that was never written: NetCDF fills what is not written with a number of its own unless
`_FillValue` says another. All of these are of stored values; bytes have no such number, as any byte may be a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.data.missing_values import CODE_KEYS, RANGE_KEYS, MissingValues, Number, is_foreign, read_missing
from framecast.errors import InputError

DEFAULT_FILLS: dict[str, Number] = {
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
    "f4": 9.969209968386869e36,
    "f8": 9.969209968386869e36,
}
"""Values of what was never written, by kind and size of the type (NetCDF Users Guide, NC_FILL_SHORT and others)."""


class Packing(NamedTuple):
    """Decoding of the stored values of one variable."""

    stored: np.dtype[Any]
    """Type as which stored values are taken: `_Unsigned` may differ from the type in the file."""
    missing: MissingValues
    scale: Any = None
    """NumPy number in the type of the attribute, which decides in which precision is computed; None for 1."""
    offset: Any = None
    """NumPy number; None for 0."""
    notes: tuple[str, ...] = ()
    """Attributes that cannot be used."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values: that of the file where none can be missing and none is packed, else floats."""
        factors = [number for number in (self.scale, self.offset) if number is not None]
        dtype = np.result_type(self.stored, *factors)
        if dtype.kind == "f" or (not factors and self.missing == MissingValues()):
            return dtype
        return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)

    def unpack(self, values: NDArray[Any]) -> NDArray[Any]:
        """Decode values as they are stored; missing ones become NaN."""
        stored = np.ascontiguousarray(values, values.dtype.newbyteorder("=")).view(self.stored)
        found = self.missing.find(stored)
        unpacked = stored.astype(self.dtype)
        if self.scale is not None:
            unpacked *= self.scale
        if self.offset is not None:
            unpacked += self.offset
        if found.any():
            unpacked[found] = np.nan
        return unpacked


def read_packing(attributes: Mapping[str, Any], dtype: np.dtype[Any], name: str, *, has_default: bool) -> Packing:
    """Read how a variable is packed.

    Args:
        attributes: of the variable.
        dtype: of the values in the file.
        name: the variable, for errors and notes.
        has_default: whether values that were never written hold NetCDF's number for them.

    Raises:
        InputError: a scale or an offset that is no number.
    """
    stored, signs = dtype.newbyteorder("="), str(attributes.get("_Unsigned", "")).lower()
    if (dtype.kind, signs) in (("i", "true"), ("u", "false")):
        stored = np.dtype(f"{'u' if dtype.kind == 'i' else 'i'}{dtype.itemsize}")
    scale, offset = (_read_factor(attributes, key, name) for key in ("scale_factor", "add_offset"))
    factors = 1.0 if scale is None else float(scale), 0.0 if offset is None else float(offset)
    marks, notes = {}, []
    for key in (*CODE_KEYS[1:], *RANGE_KEYS):
        if key in attributes:
            value = _wrap(attributes[key], dtype, stored)
            try:
                read_missing({key: value}, stored, *factors, name)
                marks[key] = value
            except InputError as error:
                notes.append(f"{error}: it is not used")
    others = [key for key in attributes if is_foreign(key, (*CODE_KEYS, "scale_factor", "add_offset"))]
    numbers = {key: attributes[key] for key in others if np.asarray(attributes[key]).dtype.kind in "fiu"}
    notes += [
        f"attribute: {key} {value} is none of CF's, and is not used; --missing says what is missing"
        for key, value in numbers.items()
    ]
    missing = read_missing(marks, stored, *factors, name) or MissingValues()
    default = DEFAULT_FILLS.get(f"{stored.kind}{stored.itemsize}")
    if has_default and default is not None and "_FillValue" not in marks and stored == dtype.newbyteorder("="):
        missing = missing._replace(codes=(*missing.codes, default))
    return Packing(stored, missing, scale, offset, tuple(notes))


def describe_missing(packing: Packing) -> str:
    """Describe what is taken as missing, for people; NetCDF's own number only where nothing else is."""
    declared = tuple(code for code in packing.missing.codes if code not in DEFAULT_FILLS.values())
    marks = packing.missing._replace(codes=declared)
    marks = packing.missing if marks == MissingValues() else marks
    return "NaN" if marks == MissingValues() else f"{marks}, as it is stored"


def _wrap(value: Any, dtype: np.dtype[Any], stored: np.dtype[Any]) -> Any:
    """Take integers as the values are taken: -1 of a byte that has no sign is 255."""
    numbers = np.asarray(value)
    if stored.kind == dtype.kind or numbers.dtype.kind not in "iu":
        return value
    return numbers.astype(dtype).view(stored)


def _read_factor(attributes: Mapping[str, Any], key: str, name: str) -> Any:
    if key not in attributes:
        return None
    number = np.asarray(attributes[key])
    if number.dtype.kind not in "fiu" or number.size != 1 or not math.isfinite(number.reshape(())[()]):
        raise InputError(f"{name}: {key}", got=str(attributes[key])[:60], expected="a finite number")
    return number.reshape(())[()]
