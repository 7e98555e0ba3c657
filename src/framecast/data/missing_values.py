"""Missing values: codes and ends of the valid range that mark stored values as missing, whatever the format."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError
from framecast.formatting import shorten

Number = int | float
"""Stored value; integers stay integers, so that those of 64 bits are exact."""
CODE_KEYS = ("missing_code", "_FillValue", "missing_value")
"""Attributes that hold a code, or several: framecast's own, and those of CF 2.5.1."""
_SAME = {"scale": ("scale_factor",), "offset": ("add_offset",)}
RANGE_KEYS = ("valid_min", "valid_max", "valid_range")
"""Attributes that hold ends of the valid range (CF 2.5.1)."""
_FOREIGN_CODES = ("nodata", "nodatavalue", "fillvalue", "missing", "missingvalue", "codemissingvalue", "undef")
_FOREIGN = {
    **dict.fromkeys(_FOREIGN_CODES, "missing_value"),
    **dict.fromkeys(("gain", "scale", "scalefactor"), "scale"),
    **dict.fromkeys(("offset", "addoffset"), "offset"),
    "undetect": "",
}
"""Attributes that other formats and programs give to arrays, by their letters, and what they are called here."""
FILL_FIX = "it says what was never written, not what is missing; if it does, say --missing"
"""Advice on fill values of HDF5 and zarr."""
SLACK = 1e-3
"""Steps of packed values by which an end in unpacked units may miss a whole step: scales are rounded numbers."""


class MissingValues(NamedTuple):
    """Marks of missing pixels among stored values; NaN is missing without a mark.

    Example:
        >>> import numpy as np
        >>> from framecast.data.missing_values import MissingValues
        >>> MissingValues(codes=(-1,), high=950).find(np.array([-1, 0, 950, 951]))
        array([ True, False, False,  True])
    """

    codes: tuple[Number, ...] = ()
    """Values that stand for a missing pixel."""
    low: Number | None = None
    """Least value that is not missing."""
    high: Number | None = None
    """Greatest value that is not missing."""

    def find(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        """Find missing values, True; one False, of no axes, where none can be missing."""
        kind = stored.dtype.type
        found = np.zeros((), np.bool_)
        with np.errstate(over="ignore"):
            if stored.dtype.kind == "f":
                # rounded as the values are: the code -9999.9 in double precision equals no float32
                for code in self.codes:
                    found = found | (np.isnan(stored) if math.isnan(code) else stored == kind(code))
                found = found if self.low is None else found | (stored < kind(self.low))
                return found if self.high is None else found | (stored > kind(self.high))
        for code in self.codes:
            if math.isfinite(code) and int(code) == code:
                found = found | (stored == int(code))
        if self.low is not None and math.isfinite(self.low):
            found = found | (stored < math.ceil(self.low))
        if self.high is not None and math.isfinite(self.high):
            found = found | (stored > math.floor(self.high))
        return found

    def __str__(self) -> str:
        """Name the marks: code -1 or outside 0 to 950."""
        return " or ".join(filter(None, self._name_parts()))

    def describe(self, *, several: bool) -> str:
        """Describe what marked values do, behind their number or behind no value: hold the code -1 or are below 0."""
        codes, ends = self._name_parts()
        codes = codes.replace("codes", "one of the codes") if len(self.codes) > 1 else codes and f"the {codes}"
        verbs = ("hold", "are") if several else ("holds", "is")
        return " or ".join(f"{verb} {part}" for verb, part in zip(verbs, (codes, ends), strict=True) if part)

    def _name_parts(self) -> tuple[str, str]:
        """Name the codes, and the ends of the range; empty where there are none."""
        codes = ", ".join(f"{code:.8g}" for code in self.codes)
        ends = [f"{end:.8g}" for end in (self.low, self.high) if end is not None]
        outside = "outside" if len(ends) == 2 else "below" if self.low is not None else "above"
        named = f"{'code' if len(self.codes) == 1 else 'codes'} {codes}" if codes else ""
        return named, f"{outside} {' to '.join(ends)}" if ends else ""


def is_foreign(key: str, known: Collection[str]) -> bool:
    """Whether a key is another spelling of one that is known, as NODATA_value or gain."""
    return key not in known and _reduce_key(key) in _FOREIGN


def translate_attributes(raw: Mapping[str, Any], known: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """Translate the spellings of other formats and programs: nodata, FillValue, CodeMissingValue, gain.

    Args:
        raw: values by key, of an array.
        known: keys that framecast has, which go before others; what is neither is left out.

    Returns:
        values by keys that are known; notes on what was translated, and what was not.
    """
    found = {key: value for key, value in raw.items() if key in known}
    notes, codes = [], []
    for key, value in raw.items():
        name = _FOREIGN.get(_reduce_key(key)) if is_foreign(key, known) else None
        if name == "":
            notes.append(f"missing: {key} {value} is a value, not missing; if it is, say --missing {value}")
        elif name == "missing_value":
            try:
                codes += _read_numbers(value, key)
                notes.append(f"missing: {key} {value}")
            except InputError:
                notes.append(f"missing: {key} {shorten(repr(value), 60)} is no number, and is not used")
        elif name is not None and not {name, *_SAME[name]} & set(found):
            found[name] = value
            notes.append(f"values: {key} {value} is taken as the {name}")
    if codes:
        earlier = found.get("missing_value", [])
        found["missing_value"] = [*np.atleast_1d(np.asarray(earlier)).tolist(), *codes]
    return found, notes


def describe_fill(fill: Any) -> list[str]:
    """Describe a fill value that only says what was never written; nothing for 0 and NaN, which mean nothing else."""
    if fill is None or np.asarray(fill).dtype.kind not in "fiu" or fill == 0 or np.isnan(fill):
        return []
    return [f"missing: fill value {fill} is a value: {FILL_FIX} {fill}"]


def _reduce_key(key: str) -> str:
    return re.sub("[^a-z]", "", key.lower())


def replace_codes(marks: MissingValues | None, code: float | None) -> MissingValues | None:
    """Put a code of the user in place of those of a file, whose valid range holds all the same; None changes nothing."""
    return marks if code is None else (marks or MissingValues())._replace(codes=(code,))


def read_missing(
    raw: Mapping[str, Any], dtype: np.dtype[Any], scale: float, offset: float, name: str
) -> MissingValues | None:
    """Read what the attributes of an array say of missing values; None if they say nothing.

    Codes and valid ranges are of stored values (CF 2.5.1, 8.1). A range of floats on packed integers is of unpacked
    values (NetCDF Users Guide, appendix A: it has the type of the scale and is wider than that of the values).

    Args:
        raw: values by key, of which CODE_KEYS and RANGE_KEYS count.
        dtype: of the stored values.
        scale: unpacked value = stored value x scale + offset.
        offset: unpacked value of a stored 0.
        name: the array, for errors.

    Raises:
        InputError: an attribute that holds no numbers, or a range that is none.
    """
    codes = [code for key in CODE_KEYS if key in raw for code in _read_numbers(raw[key], f"{name}: {key}")]
    low, high = (_read_end(raw, key, name) for key in RANGE_KEYS[:2])
    if "valid_range" in raw:
        ends = _read_numbers(raw["valid_range"], f"{name}: valid_range")
        if len(ends) != 2:
            raise InputError(f"{name}: valid_range", got=f"{len(ends)} numbers", expected="the least and the greatest")
        low, high = ends
    is_packed = dtype.kind in "iu" and (scale, offset) != (1.0, 0.0)
    if is_packed and all(isinstance(end, float) for end in (low, high) if end is not None):
        least, greatest = (None if end is None else (end - offset) / scale for end in (low, high))
        low, high = (least, greatest) if scale > 0 else (greatest, least)
        low, high = None if low is None else low - SLACK, None if high is None else high + SLACK
    if not codes and low is None and high is None:
        return None
    return MissingValues(tuple(dict.fromkeys(codes)), _drop_nan(low), _drop_nan(high))


def decode_fill(value: Any) -> Any:
    """Decode a fill value of a float as xarray writes it into zarr attributes: base64 of a little-endian double."""
    try:
        packed = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return value
    return struct.unpack("<d", packed)[0] if len(packed) == 8 else value


def _drop_nan(end: Number | None) -> Number | None:
    return None if end is None or math.isnan(end) else end


def _read_end(raw: Mapping[str, Any], key: str, name: str) -> Number | None:
    if key not in raw:
        return None
    numbers = _read_numbers(raw[key], f"{name}: {key}")
    if len(numbers) != 1:
        raise InputError(f"{name}: {key}", got=f"{len(numbers)} numbers", expected="one number")
    return numbers[0]


def _read_numbers(value: Any, name: str) -> list[Number]:
    """Read one number or several, also as text; integers stay integers."""
    values = np.asarray(value).reshape(-1)
    if values.dtype.kind in "fiub":
        return [float(number) if values.dtype.kind == "f" else int(number) for number in values]
    try:
        return [number for text in values.tolist() for number in map(float, str(text).replace(",", " ").split())]
    except ValueError as error:
        raise InputError(name, got=repr(value)[:60], expected="one number") from error
