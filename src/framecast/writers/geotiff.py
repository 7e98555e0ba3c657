"""GeoTIFFs in a folder, one for each lead time: float32, a band for each channel, NaN where missing, north up."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from framecast.cf.georeference import describe_crs, make_transform
from framecast.cf.names import list_cf_variables
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.maps.reference_systems import read_crs
from framecast.optional_imports import require
from framecast.types import Grid
from framecast.writers.frame_files import list_frame_files

TILE = 256
"""Rows and columns of a tile of the file, pixels."""

rasterio = require("rasterio", "geo")


def check_grid(grid: Grid) -> None:
    """Check that a GeoTIFF can hold a grid.

    Raises:
        UsageError: rows or columns that an affine transform cannot georeference, or a CRS that is lost in a GeoTIFF.
    """
    crs = read_crs(grid)
    make_transform(grid, crs)
    if crs is None:
        return
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 1, "width": 1, "crs": crs.to_wkt()}
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.MemoryFile() as memory:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        memory.open(**profile).close()
        with memory.open() as file:
            is_kept = file.crs is not None and file.crs.is_projected == crs.is_projected
    if not is_kept:
        fix = "write .nc, which holds it"
        raise UsageError("GeoTIFF", got=f"the CRS {describe_crs(crs)}", expected="one with a code of its own", fix=fix)


def write_geotiffs(path: Path, forecast: Forecast) -> str:
    """Write GeoTIFFs into a folder; tags hold valid time, lead time, reference time and provenance."""
    grid = forecast.grid
    crs, bands, provenance = (
        read_crs(grid),
        list_cf_variables(forecast.spec, forecast.grid),
        forecast.provenance.as_dict(),
    )
    height, width = forecast.frames.shape[-2:]
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(bands),
        "height": height,
        "width": width,
        "crs": None if crs is None else rasterio.crs.CRS.from_wkt(crs.to_wkt()),
        "transform": make_transform(grid, crs),
        "nodata": np.nan,
        "compress": "deflate",
        "predictor": 3,  # differences of floating point numbers along a row, which compress better
    }
    if min(height, width) >= TILE:
        profile |= {"tiled": True, "blockxsize": TILE, "blockysize": TILE}
    count = 0
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):  # no .aux.xml files
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        for frame_file in list_frame_files(path, forecast, ".tif"):
            # through memory: GDAL tells nobody of what it could not write when it closed a file
            with rasterio.MemoryFile() as memory:
                with memory.open(**profile) as file:
                    file.write(frame_file.frame[:, ::-1] if grid.is_south_up else frame_file.frame)
                    file.update_tags(**frame_file.tags, **provenance)
                    file.descriptions = [band.name for band in bands]
                    file.units = [band.units for band in bands]
                frame_file.path.write_bytes(memory.getbuffer())
            count += 1
    units = dict.fromkeys(band.units for band in bands)
    return f"{count} GeoTIFFs of {', '.join(band.name for band in bands)}, {', '.join(units)}; {describe_crs(crs)}"
