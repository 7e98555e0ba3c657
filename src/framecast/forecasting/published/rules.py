"""Rules of published names: parameters of a code base to ours, and configurations from the shapes of weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from framecast.models.config import ModelConfig

Weights = dict[str, Tensor]
Rename = Callable[[str], str | None]
"""Turns a published name into ours; "" for a parameter that is never used, None for an unknown one."""


class Inferred(NamedTuple):
    """What the shapes of weights say of a network."""

    config: ModelConfig
    channels: int
    """Channels of a (patchified) frame."""
    size: tuple[int, int] | None = None
    """(H, W) of a (patchified) frame, where weights depend on it."""
    least: int = 1
    """Rows and columns of a (patchified) frame that the weights are made for, at least."""


def _keep(weights: Weights) -> Weights:
    return weights


class PublishedNetwork(NamedTuple):
    """Names and shapes of the parameters of one published network."""

    rename: Rename
    infer: Callable[[Weights], Inferred]
    """Infers what shapes say from the weights under our names; a KeyError names one that is missing."""
    arrange: Callable[[Weights], Weights] = _keep
    """Their values, under our names where they have one, to ours."""


def make_rules(*pairs: tuple[str, str | Callable[..., str]]) -> Rename:
    """Make a renaming by the first pattern that matches a whole name, to a template of its groups or a function of them.

    Args:
        pairs: in a pattern # is a layer's number and = a parameter, weight or bias; both are groups.
    """
    compiled = [(re.compile(p.replace("#", "([0-9]{1,4})").replace("=", "(weight|bias)")), ours) for p, ours in pairs]

    def rename(name: str) -> str | None:
        for pattern, ours in compiled:
            if match := pattern.fullmatch(name):
                return ours.format(*match.groups()) if isinstance(ours, str) else ours(*match.groups())
        return None

    return rename


def count_parts(weights: Weights, pattern: str) -> int:
    """Count the different first groups of a pattern among the names."""
    return len({match[1] for name in weights if (match := re.match(pattern, name))})
