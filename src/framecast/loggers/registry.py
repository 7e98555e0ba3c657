"""Registry of loggers: the four of framecast by the package each needs, and those of installed packages."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points

from framecast.errors import UsageError
from framecast.loggers.logger import LoggedRun, Logger

GROUP = "framecast.loggers"
"""Group of entry points by which a package brings a logger."""
TENSORBOARD = "tensorboard"
"""Logger that is used unasked, where it is installed: it only writes into the run's folder."""
_OWN = {
    TENSORBOARD: ("tensorboard", "tensorboard_logger", "TensorBoardLogger"),
    "wandb": ("wandb", "wandb_logger", "WandbLogger"),
    "mlflow": ("mlflow", "mlflow_logger", "MlflowLogger"),
    "trackio": ("trackio", "trackio_logger", "TrackioLogger"),
}
"""(package that it needs, module here, class) by name."""


def list_loggers() -> list[str]:
    """List the names of all loggers, those whose package is not installed too."""
    return sorted({*_OWN, *_list_foreign()})


def choose_loggers(names: Sequence[str] | None) -> tuple[str, ...]:
    """Choose what to log to: the names that were asked for; for None TensorBoard, where it is installed."""
    return tuple(names) if names is not None else (TENSORBOARD,) if _is_installed(TENSORBOARD) else ()


def check_loggers(names: Sequence[str] | None) -> None:
    """Check that all loggers are there, before a training begins.

    Args:
        names: of loggers; None for the default, which is never refused.

    Raises:
        UsageError: an unknown name, or one whose package is not installed.
    """
    foreign = _list_foreign()
    for name in names or ():
        if name not in _OWN and name not in foreign:
            raise UsageError.unknown("train.loggers", name, list_loggers())
        if name in _OWN and not _is_installed(package := _OWN[name][0]):
            fix = f"pip install 'framecast[{name}]', or leave it out: train.loggers=[]"
            raise UsageError("train.loggers", got=f"{name}, and no package {package}", expected="it installed", fix=fix)


def find_logger(name: str) -> Callable[[LoggedRun], Logger]:
    """Find the class of a logger that `check_loggers` knows."""
    if name in _OWN:
        _, module, kind = _OWN[name]
        return getattr(importlib.import_module(f"framecast.loggers.{module}"), kind)
    return _list_foreign()[name].load()


def _list_foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
