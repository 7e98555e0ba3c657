"""Opening of NetCDF files and zarr groups as xarray datasets, after what a stranger's file could do has been refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from framecast.data.formats import hdf5
from framecast.data.formats.base import NUMBERS
from framecast.data.formats.cf_axes import GridAxes, find_axes
from framecast.data.formats.cf_values import Packing, read_packing
from framecast.data.formats.guards import SERIES_LIMIT
from framecast.data.formats.unpacking import check_unpacked
from framecast.data.formats.zarr.reader import describe_storage, read_fill_values
from framecast.errors import InputError
from framecast.optional_imports import require

CLASSIC = b"CDF"
"""First bytes of NetCDF 3; NetCDF 4 is HDF5."""


class CFDataset(NamedTuple):
    """Opened file."""

    data: Any
    """xarray.Dataset: times and whatever has two axes or more, the frames, as they are stored; coordinates as decoded."""
    axes: GridAxes
    path: Path
    unpack_limit: int | None
    """Bytes that may be unpacked at once; None to judge by the memory at hand."""
    notes: dict[str, list[str]]
    """Facts that a user should know of, by variable."""
    checked: dict[str, set[tuple[int, ...]]]
    """Corners of the chunks that have been looked at, by variable."""
    stored: Any
    """xarray.Dataset as it was opened, which closes the file."""
    dims: dict[str, tuple[str, ...]]
    """Dimensions in the file, by variable."""

    def find_name(self, key: str) -> str:
        """Find the name in the file: a level of a variable, t[850], is no variable there."""
        return key if key in self.dims else key.rpartition("[")[0]

    def packing(self, key: str) -> Packing:
        """Read what is missing in a variable, and how it is unpacked.

        Raises:
            InputError: a scale or an offset that is no number.
        """
        variable, key = self.data[key], self.find_name(key)
        # zarr keeps what was never written apart, and xarray gives it a value of the array's own
        is_netcdf = not self.path.is_dir()
        packing = read_packing(variable.attrs, variable.dtype, f"{self.path}: {key}", has_default=is_netcdf)
        return packing._replace(notes=(*packing.notes, *self.notes.get(key, ())))

    def check(self, keys: list[str]) -> None:
        """Check variables whose frames are to be read: no other file holds their values, and each piece fits in memory.

        Raises:
            InputError: values in other files, or pieces that are too large.
        """
        if self.path.is_dir():
            return
        if is_classic(self.path):
            size, held = sum(self.data[key].nbytes for key in keys), self.path.stat().st_size
            if size > held:
                got = f"{size} bytes of values in a file of {held}"
                raise InputError(str(self.path), got=got, expected="a whole file", fix="it is cut short; get it again")
            return
        with hdf5.open_file(self.path) as file:
            for key in map(self.find_name, keys):
                array = hdf5.find_member(file, key, str(self.path))
                if array is not None:
                    hdf5.check_array(array, str(self.path), self.unpack_limit)

    def check_chunks(self, key: str, parts: Mapping[str, slice]) -> None:
        """Check what chunks unpack to, before they are read: HDF5 sets deflate no bounds.

        Args:
            key: the variable.
            parts: part that is read, by dimension; of others all is read.

        Raises:
            InputError: a chunk that unpacks to more than its size.
        """
        if self.path.is_dir() or is_classic(self.path):
            return
        key = self.find_name(key)
        index = tuple(parts.get(name, slice(None)) for name in self.dims[key])
        with hdf5.open_file(self.path) as file:
            array = hdf5.find_member(file, key, str(self.path))
            if array is not None:
                hdf5.check_chunks(array, index, f"{self.path}: {key}", self.checked.setdefault(key, set()))


def open_dataset(path: Path, unpack_limit: int | None) -> CFDataset:
    """Open a file or a zarr group; values are read when they are asked for.

    Args:
        path: the file or folder.
        unpack_limit: bytes that may be unpacked at once; None to judge by the memory at hand.

    Raises:
        InputError: links out of the file, or sizes that cannot be meant.
    """
    import xarray

    options: dict[str, Any] = {"decode_times": False, "cache": False, "chunks": None, "create_default_indexes": False}
    options["mask_and_scale"] = False
    notes: dict[str, list[str]] = {}
    if path.is_dir():
        from framecast.data.formats.zarr.store import open_node, open_store

        store: Any = open_store(path, unpack_limit)
        group = open_node(store)
        fills = read_fill_values(group)
        _check_axes(group, path)
        notes = {key: [*fills[key].notes, *describe_storage(array)] for key, array in group.arrays()}
        store.hides_fills = True
        options |= {"consolidated": False, "use_zarr_fill_value_as_mask": True}
        stored = xarray.open_dataset(store, engine="zarr", **options)
        for key, variable in stored.variables.items():
            # what xarray takes from the metadata says what was never written, not what is missing
            variable.attrs.pop("_FillValue", None)
            if (code := fills[str(key)].code) is not None:
                variable.attrs["_FillValue"] = code
    elif is_classic(path):
        require("scipy", "grids")
        stored = xarray.open_dataset(path, engine="scipy", **options)
    else:
        _check_netcdf(path)
        stored = xarray.open_dataset(path, engine="h5netcdf", **options)
    data = xarray.decode_cf(stored, decode_times=False)
    bounds = {variable.attrs.get("bounds") for variable in stored.variables.values()}
    frames = {
        key: stored.variables[key]
        for key, array in data.data_vars.items()
        if array.ndim >= 2 and key not in bounds and " since " not in str(array.attrs.get("units", ""))
    }
    dims = {str(key): tuple(map(str, variable.dims)) for key, variable in stored.variables.items()}
    data = data.assign(frames)
    return CFDataset(data, find_axes(data), path, unpack_limit, notes, {}, stored, dims)


def is_netcdf4(path: Path) -> bool:
    """Whether an HDF5 file is NetCDF 4, or says that it follows the CF conventions.

    Raises:
        InputError: it is damaged.
    """
    with hdf5.open_file(path) as file:
        attributes = hdf5.read_attributes(file)
    return "_NCProperties" in attributes or str(attributes.get("Conventions", "")).startswith("CF")


def is_classic(path: Path) -> bool:
    """Whether a file is NetCDF 3."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return file.read(3) == CLASSIC


def _check_netcdf(path: Path) -> None:
    """Refuse what HDF5 would follow without asking: xarray opens all arrays of the root, whatever they are used for."""
    with hdf5.open_file(path) as file:
        import h5py

        for key in file:
            node = hdf5.find_member(file, key, str(path))
            if isinstance(node, h5py.Dataset):
                hdf5.check_storage(node, str(path))
                if node.shape is not None and len(node.shape) == 1 and node.dtype.kind in NUMBERS:
                    check_unpacked(node.nbytes, f"{path}: {key}", None)


def _check_axes(group: Any, path: Path) -> None:
    """Refuse coordinates, which are read whole, of more entries than can be meant."""
    for key, array in group.arrays():
        if len(array.shape) == 1 and array.shape[0] > SERIES_LIMIT:
            raise InputError(f"{path}: {key}", got=f"{array.shape[0]} entries", expected=f"at most {SERIES_LIMIT}")
