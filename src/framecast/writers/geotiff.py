"""A folder of GeoTIFFs, one for each lead time: float32, a band for each channel, NaN where missing, north up."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from framecast.forecast import Forecast
from framecast.optional_imports import require
from framecast.types import Grid
from framecast.writers.cf_names import cf_variables
from framecast.writers.frame_files import frame_files
from framecast.writers.georeference import describe_crs, read_crs, transform

TILE = 256
"""Rows and columns of a tile."""

rasterio = require("rasterio", "geo")


def check(grid: Grid) -> None:
    """Whether frames that lie there can be written.

    Raises:
        UsageError: rows or columns that no GeoTIFF can place.
    """
    transform(grid, read_crs(grid))


def series(path: Path, forecast: Forecast) -> str:
    """Write them; the tags of each tell its valid time, lead time and reference time, and where it comes from."""
    grid = forecast.grid
    crs, bands, about = read_crs(grid), cf_variables(forecast), forecast.provenance.as_dict()
    height, width = forecast.frames.shape[-2:]
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(bands),
        "height": height,
        "width": width,
        "crs": None if crs is None else rasterio.crs.CRS.from_wkt(crs.to_wkt()),
        "transform": transform(grid, crs),
        "nodata": np.nan,
        "compress": "deflate",
        "predictor": 3,
    }
    if min(height, width) >= TILE:
        profile |= {"tiled": True, "blockxsize": TILE, "blockysize": TILE}
    count = 0
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        for leaf in frame_files(path, forecast, ".tif"):
            with rasterio.open(leaf.path, "w", **profile) as file:
                file.write(leaf.frame[:, ::-1] if grid.is_south_up else leaf.frame)
                file.update_tags(**leaf.said, **about)
                file.descriptions = [band.name for band in bands]
                file.units = [band.units for band in bands]
            count += 1
    units = dict.fromkeys(band.units for band in bands)
    return f"{count} GeoTIFFs of {', '.join(band.name for band in bands)}, {', '.join(units)}; {describe_crs(crs)}"
