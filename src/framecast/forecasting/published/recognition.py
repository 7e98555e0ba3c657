"""Recognition of a published checkpoint: its code base and network, by the names of its weights."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import get_args

from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.published.families import FAMILIES, CodeBase, PublishedFamily
from framecast.forecasting.published.rules import PublishedNetwork


def find_names(theirs: Collection[str], source: str | None, model: str | None, path: str | Path) -> tuple[str, str]:
    """Find code base and network, where they are not given, by the names of the weights.

    Raises:
        UsageError: an unknown code base, or a network that it does not have.
        CheckpointError: weights of no network that is known, or of another than the given one.
    """
    if source is not None and model is not None:
        return source, model
    if source is not None and source not in get_args(CodeBase):
        raise UsageError("source", got=repr(source), expected=" or ".join(get_args(CodeBase)))
    found = [(base, name) for base, name in _list_fitting(theirs) if source in (None, base)]
    if model is not None:
        choose_family(source or "openstl", model)
        found = [pair for pair in found if _plain(pair[1]) == _plain(model)]
    if found:
        return found[0]
    expected = "weights of " + ", ".join(FAMILIES["openstl"])
    raise CheckpointError(
        str(path), got=enumerate_names(sorted(theirs)), expected=expected, fix=describe_likeness(theirs)
    )


def _list_fitting(theirs: Collection[str]) -> list[tuple[str, str]]:
    """List (code base, network) of which all weights are known; both code bases name alike what both have."""
    fitting = [
        (base, name)
        for base, families in FAMILIES.items()
        for name, family in families.items()
        if all(family.rename(key) is not None for key in theirs)
    ]
    is_v2 = any(key.startswith("adapter.") for key in theirs)
    # an adapter belongs to PredRNN-V2 alone, and peepholes to ConvLSTM; without gates of a memory it is a ConvLSTM
    memory = any(".conv_m." in key for key in theirs)
    wanted = "predrnn_v2" if is_v2 else "predrnn" if memory else "convlstm"
    return sorted(fitting, key=lambda pair: pair[1] != wanted)


def describe_likeness(theirs: Collection[str]) -> str | None:
    """Describe which network the names of weights are most like; None where they are like none."""
    if fitting := _list_fitting(theirs):
        return f"by its names it is a {fitting[0][1]} of {fitting[0][0]}"
    shares = {
        f"{name} of {base}": sum(family.rename(key) is not None for key in theirs) / len(theirs)
        for base, families in reversed(FAMILIES.items())
        for name, family in families.items()
    }
    best = max(shares, key=lambda name: shares[name])
    return f"{100 * shares[best]:.0f} % of its names are those of {best}" if shares[best] else None


def choose_family(source: str, model: str) -> PublishedFamily | PublishedNetwork:
    """Choose the family of a network of a code base, by its name there, in the paper, or in framecast.

    Raises:
        UsageError: an unknown code base, or a network that it does not have.
    """
    if source not in get_args(CodeBase):
        raise UsageError("source", got=repr(source), expected=" or ".join(get_args(CodeBase)))
    families = FAMILIES[source]
    for name, family in families.items():
        if _plain(name) == _plain(model):
            return family
    raise UsageError("model", got=repr(model), expected=f"one of {', '.join(families)} for {source}")


def _plain(model: str) -> str:
    """Write the name of a network as framecast, the code bases and the papers have it in common."""
    return re.sub(r"[-_ ]", "", model.lower().replace("+", "p")).removesuffix("v1")


def enumerate_names(names: list[str]) -> str:
    """Enumerate names, eight of them at most."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "none"
