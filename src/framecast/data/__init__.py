"""From files and generators to windows of frames in raw units, and batches of them. Knows nothing of networks."""

from framecast.data.arrays import ArraySource
from framecast.data.config import MOVING_MNIST, DataConfig, MovingMNISTConfig
from framecast.data.dataset import DataSet, open_data
from framecast.data.frozen import freeze
from framecast.data.future import FutureCovariates
from framecast.data.loader import Batch, evaluation_batches, training_batches
from framecast.data.moving_mnist import MovingMNIST

__all__ = [
    "MOVING_MNIST",
    "ArraySource",
    "Batch",
    "DataConfig",
    "DataSet",
    "FutureCovariates",
    "MovingMNIST",
    "MovingMNISTConfig",
    "evaluation_batches",
    "freeze",
    "open_data",
    "training_batches",
]
