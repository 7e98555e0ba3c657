"""Random streams: a pure function of purpose, seed and key, so that no order of calls changes a number."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from framecast.errors import UsageError


class Purpose(IntEnum):
    """Purpose of a stream; no two purposes share numbers. The values are part of the results: never change one."""

    MOVING_MNIST = 1
    ORDER = 2
    AUGMENTATION = 3
    SPLIT = 4
    CROP = 5


def random_stream(purpose: Purpose, seed: int, *key: int) -> np.random.Generator:
    """Return the generator of (purpose, seed, key).

    Args:
        purpose: use of the numbers.
        seed: seed of the user, 0 or more.
        key: further numbers that select a stream, such as epoch and index, each 0 or more.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))


def check_seed(seed: int) -> int:
    """Check a seed, and return it.

    Raises:
        UsageError: the seed is negative.
    """
    if seed < 0:
        raise UsageError("seed", got=seed, expected="0 or more")
    return seed
