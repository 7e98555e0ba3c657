"""Randomness as a pure function: each purpose, seed and key has its own stream, whoever asks and whenever."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from framecast.errors import UsageError


class Purpose(IntEnum):
    """What a stream is for; no two purposes share numbers. The values are part of the results: never change one."""

    MOVING_MNIST = 1
    ORDER = 2
    AUGMENTATION = 3
    SPLIT = 4
    CROP = 5


def random_stream(purpose: Purpose, seed: int, *key: int) -> np.random.Generator:
    """Return the generator of (purpose, seed, key).

    Args:
        purpose: what the numbers are for.
        seed: the user's seed, 0 or more.
        key: what else they depend on (an epoch, an index), each 0 or more.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))


def check_seed(seed: int) -> int:
    """Return the seed.

    Raises:
        UsageError: it is negative.
    """
    if seed < 0:
        raise UsageError("seed", got=seed, expected="0 or more")
    return seed
