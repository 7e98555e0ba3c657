"""Files of an ensemble beside a model's weights: error tables, and the calibration of its probabilities."""

from __future__ import annotations

from pathlib import Path

from framecast.ensembles.error_tables import ERRORS
from framecast.errors import InputError


def find_folder(path: Path) -> Path:
    """Find the folder of a model: that of a run's model, or the folder itself."""
    return path / "model" if (path / "model").is_dir() else path


def find_file(path: Path, name: str = ERRORS) -> Path:
    """Find a file of an ensemble.

    Args:
        path: the file, or the folder of a run, of a model, or one that holds it.
        name: of the file.

    Raises:
        InputError: it is not there.
    """
    if path.is_file():
        return path
    found = next((folder / name for folder in (find_folder(path), path) if (folder / name).is_file()), None)
    if found is None:
        fix = f"framecast calibrate {path.name} --data FILE makes one; --errors names one elsewhere"
        raise InputError(
            str(path), got=f"no {name} in it", expected="error tables, from which members are made", fix=fix
        )
    return found
