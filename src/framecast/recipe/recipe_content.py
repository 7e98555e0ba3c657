"""Content of a recipe that a text names: a YAML file, a recipe of the package, a network, or a base that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framecast.bases.config import CalibratedBase, LinearBase
from framecast.documents import parse_yaml, read_document
from framecast.errors import FramecastError, UsageError, find_nearest
from framecast.models import MODELS, BaseAlone
from framecast.recipes import list_recipes

FITTED_BASES = (LinearBase().kind, CalibratedBase().kind)
"""Bases with numbers of their own, which may be a model alone."""
UNTRAINED = ("persistence", "mean", "seasonal", "extrapolation")
"""Baselines that forecast without a training."""


def is_fitted_base(name: str) -> bool:
    """Whether a text names a base that is fitted, as in linear, or one with a period, as in linear:24h: no class."""
    kind, colon, period = name.partition(":")
    return kind in FITTED_BASES and (not colon or period[:1].isdigit())


def read_content(source: str) -> Any:
    """Read what a text names.

    Args:
        source: path of a YAML file, name of a recipe of the package, of a network or of a fitted base.

    Raises:
        UsageError: no such file or name, a text that is both, or no YAML.
    """
    path, recipes = Path(source), list_recipes()
    kind = _find_kind(source)
    if kind is not None and path.is_file():  # neither is chosen unsaid
        fix = f"write ./{source} for the file, or move it"
        raise UsageError(source, got=f"the name of {kind} and of a file here", expected="one of them", fix=fix)
    if kind == "a network":
        return {"model": {"name": source}}
    if kind == "a fitted base":
        name, colon, period = source.partition(":")
        base = {"kind": name, "period": period} if colon else name
        return {"model": {"name": BaseAlone().name}, "base": base, "train": {"steps": 0}}
    if kind == "a recipe of the package":
        path = recipes[source].path
    elif not path.is_file():
        raise _make_unknown_error(source)
    try:
        return read_document(path, parse_yaml)
    except (OSError, ValueError) as error:
        raise UsageError(source, got=str(error), expected="YAML") from error


def _find_kind(name: str) -> str | None:
    """Find the kind of thing in the package that has a name, in words; None where nothing has it."""
    if name in MODELS:
        return "a network"
    if is_fitted_base(name):
        return "a fitted base"
    return "a recipe of the package" if name in list_recipes() else None


def _make_unknown_error(source: str) -> FramecastError:
    recipes, stem = list_recipes(), Path(source).stem
    known, expected = [*MODELS, *FITTED_BASES, *recipes], "a recipe or the name of a network"
    if stem in recipes:  # as in recipes/NAME.yaml, where they lay before
        fix = f"the package has it: write {stem}"
        return UsageError("no such file", got=repr(source), expected=expected, fix=fix)
    fix = f"networks: {', '.join(MODELS)}; fitted without a network: {', '.join(FITTED_BASES)}; recipes: "
    fix += "framecast models --recipes"
    if find_nearest(source, known) is None and (plain := find_nearest(source, UNTRAINED)):
        fix = f"{plain} needs no training: framecast predict {plain} FILE --out FUTURE.nc"
    return UsageError.unknown("no such file", source, known, expected=expected, fix=fix)
