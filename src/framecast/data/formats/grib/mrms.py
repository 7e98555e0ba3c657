"""Products of NOAA/NSSL's Multi-Radar/Multi-Sensor system, which ecCodes has no names for: units and special values.

Source: NSSL, UserTable_MRMS v12 (https://www.nssl.noaa.gov/projects/mrms/operational/tables.php), as in Unidata's
netcdf-java. Its column "no coverage" is not observed. Its column "missing" means, where a product is computed from
echoes, that a radar looked and saw none (as ioda-converters 1474 shows of -99); elsewhere it is taken as it is called.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from framecast.data.formats.radar.odim_hdf5 import NO_ECHO

DISCIPLINE = 209
"""GRIB 2 discipline of local use under which NSSL writes its products."""


class Product(NamedTuple):
    """Units and special values of a product."""

    units: str
    missing: tuple[float, ...]
    """Values of pixels that were not observed."""
    no_echo: float | None = None
    """Value of pixels that were observed without an echo."""
    no_echo_value: float = 0.0
    """Value that those are given, in `units`."""

    @property
    def policy(self) -> str:
        """Rule of missing values, in words."""
        words = f"values {', '.join(f'{code:g}' for code in self.missing)}" if self.missing else "GRIB's bitmap"
        if self.no_echo is None:
            return words
        value = f"{self.no_echo_value:g} {self.units}".removesuffix(" 1")
        return f"{words}; {self.no_echo:g}, no echo, is {value}, not missing"


def is_mrms(message: Any) -> bool:
    """Whether a decoded message is of this system."""
    return bool(message["editionNumber"] == 2 and message["discipline"] == DISCIPLINE)


def find_product(category: int, number: int) -> Product | None:
    """Look up a product by GRIB's parameter category and number; None where the table does not have it."""
    return _TABLE.get((category, number))


def _make_echo(units: str) -> Product:
    return Product(units, (-3.0,), -1.0)


def _make_plain(units: str) -> Product:
    return Product(units, (-1.0, -3.0))


def _make_wide(units: str) -> Product:
    return Product(units, (-99.0, -999.0))


_DBZ = Product("dBZ", (-999.0,), -99.0, NO_ECHO)
_ROWS: list[tuple[int, tuple[int, ...], Product]] = [
    (2, (0, 1, 2, 3), _make_plain("km-2 min-1")),  # lightning
    (2, (4, 5, 6), Product("%", ())),
    (2, (7, 8), Product("1", (-99900.0, -99903.0))),
    (3, (*range(8), *range(14, 20)), Product("0.001 s-1", ())),  # shear, rotation tracks
    (3, (26,), _make_echo("1")),  # severe hail index
    (3, (27,), _make_echo("%")),  # probability of severe hail
    (3, tuple(range(28, 35)), _make_echo("mm")),  # MESH
    (3, (*range(35, 42), 43), _make_echo("kg m-2")),  # VIL, VII
    (3, (42,), _make_echo("g m-3")),  # VIL density
    (3, (44, 45, 46, 47), _make_echo("km")),  # echo tops
    (3, (48, 49, 50, 51), _make_wide("km")),  # thickness
    (3, tuple(range(52, 59)), _DBZ),  # isothermal, at lowest altitude
    (4, (0, 2, 3), _make_wide("K")),  # satellite
    (4, (1,), _make_plain("1")),
    (6, (0, 44), _make_plain("1")),  # flags
    (6, (1,), _make_plain("mm/h")),  # PrecipRate
    (6, (*range(2, 44), 45), _make_plain("mm")),  # accumulations
    (7, (0, 1), _make_wide("degree_Celsius")),  # model fields
    (7, (2,), _make_plain("%")),
    (7, (3, 4, 5), _make_plain("m")),
    (8, (*range(8), *range(10, 24)), _make_plain("1")),  # quality, influence of gauges
    (8, (8,), _DBZ),  # SeamlessHSR
    (8, (9,), _make_plain("km")),
    (9, (0, 1), _DBZ),  # three-dimensional mosaics
    (9, (3,), _make_wide("1")),
    (9, (4,), _make_wide("dB")),
    (10, (0, 2, *range(4, 11)), _DBZ),  # composites
    (10, (1, 3), _make_plain("m")),  # their heights
    (11, (0, 1, 2, 3), _DBZ),  # base reflectivity
    (11, (4,), _make_plain("1")),
    (12, (0, 4, 39), Product("m3 s-1 km-2", (-999.0, -9999.0))),  # FLASH
    (12, (1, 5, 40), Product("m3 s-1", (-999.0, -9999.0))),
    (12, (2, 6), Product("%", (-999.0, -9999.0))),
    (12, tuple(range(14, 21)), Product("year", (-999.0, -9999.0))),
    (12, (26, 27, 28, 29), Product("1", (-999.0, -9999.0))),
    (13, (0,), Product("1", ())),
    (13, (1,), Product("dBZ", ())),
    (14, (0,), _make_echo("kft")),
    (14, (1,), _make_echo("kg m-2")),
]
_TABLE = {(category, number): product for category, numbers, product in _ROWS for number in numbers}
