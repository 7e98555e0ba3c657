"""Products of an ensemble by name: mean, median, spread, pmm, p90, prob@25, prob@25/10km, lower80, sum60:p90."""

from __future__ import annotations

import re
from typing import NamedTuple

from framecast.errors import UsageError
from framecast.types import Grid

KINDS = ("mean", "median", "spread", "min", "max", "pmm")
INTERVALS = ("lower", "upper")
"""Ends of intervals, as in lower80."""
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?|100)")
_PROBABILITY = re.compile(r"prob@(-?\d{1,9}(?:\.\d{1,6})?)(?:/(\d{1,4}(?:\.\d{1,3})?)(km|px))?")
_INTERVAL = re.compile(r"(lower|upper)(\d{1,2}(?:\.\d{1,3})?)")
_SUM = re.compile(r"sum(\d{1,4}):(.+)")
_KILOMETRES = {"km": 1.0, "m": 0.001}
EXPECTED = (
    "mean, median, spread, min, max, pmm, p90 (any percentile), prob@25 (at or above 25), prob@25/10km (within 10 km; "
    "or /10px), lower80 and upper80 (ends of the interval that holds 80 %), sum60:p90 (any but an interval of sums over "
    "60 minutes)"
)


class ForecastProduct(NamedTuple):
    """One map by lead time that is made of all members."""

    name: str
    """As it was asked for."""
    kind: str
    """One of `KINDS` or `INTERVALS`, "percentile" or "probability"."""
    level: float = 0.0
    """Share of the members below a percentile, or of the cases in an interval, 0 to 1; threshold of a probability."""
    radius: float = 0.0
    """Distance within which the event counts."""
    radius_unit: str = "px"
    minutes: int = 0
    """Length of the sums, minutes; 0 for the values themselves."""

    def count_pixels(self, grid: Grid) -> float:
        """Express the radius in pixels.

        Raises:
            UsageError: kilometres on a grid that does not say how far its pixels are apart.
        """
        if self.radius_unit == "px":
            return self.radius
        if grid.axis_units not in _KILOMETRES or len(grid.x) < 2:
            got, fix = f"a grid in {grid.axis_units}", "give pixels, as in prob@25/10px"
            raise UsageError(f"product {self.name}", got=got, expected="one in m or km", fix=fix)
        return self.radius / (abs(grid.x[1] - grid.x[0]) * _KILOMETRES[grid.axis_units])


def parse_product(name: str) -> ForecastProduct:
    """Parse the name of a product.

    Raises:
        UsageError: no product has this name.
    """
    minutes, inner = 0, name
    if match := _SUM.fullmatch(name):
        minutes, inner = int(match[1]), match[2]
    if inner in KINDS:
        return ForecastProduct(name, inner, minutes=minutes)
    if match := _PERCENTILE.fullmatch(inner):
        return ForecastProduct(name, "percentile", float(match[1]) / 100, minutes=minutes)
    if (match := _INTERVAL.fullmatch(inner)) and not minutes:
        return ForecastProduct(name, match[1], round(float(match[2]) / 100, 6))
    if match := _PROBABILITY.fullmatch(inner):
        radius = float(match[2] or 0)
        return ForecastProduct(name, "probability", float(match[1]), radius, match[3] or "px", minutes)
    raise UsageError("--product", got=name, expected=EXPECTED)
