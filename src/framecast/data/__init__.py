"""From files and generators to windows of frames in raw units, and batches of them. Knows nothing of networks."""

from typing import Any

from framecast.data.config import MOVING_MNIST, DataConfig, MovingMNISTConfig
from framecast.data.moving_mnist import MovingMNIST
from framecast.data.moving_mnist_file import freeze
from framecast.data.sources.file_source import FileSource
from framecast.data.sources.future_covariates import FutureCovariates
from framecast.data.windows.dataset import DataSet, open_data
from framecast.data.windows.loader import Batch, evaluation_batches, training_batches

__all__ = [
    "MOVING_MNIST",
    "Batch",
    "DataConfig",
    "DataSet",
    "FileSource",
    "FutureCovariates",
    "MovingMNIST",
    "MovingMNISTConfig",
    "evaluation_batches",
    "freeze",
    "open_data",
    "training_batches",
]


def __getattr__(name: str) -> Any:
    if name == "ArraySource":  # its name in 0.1.0
        return FileSource
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
