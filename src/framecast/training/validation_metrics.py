"""Metrics of a validation: the one that decides which model is the best, and those that are reported beside it."""

from __future__ import annotations

from framecast.data import DataSet
from framecast.errors import UsageError
from framecast.metrics import Metric, select_metrics
from framecast.recipe.recipe import Recipe

REPORTED = ("framecast", "fmae")
"""Metrics and protocols that a validation reports besides the one that decides."""


def select_validation_metrics(recipe: Recipe, dataset: DataSet) -> list[Metric]:
    """Select the metrics of a validation; the first decides which model is the best.

    Raises:
        UsageError: `validate.metric` is not exactly one metric that orders forecasts.
    """
    config = recipe.validate_
    first = select_metrics([config.metric], spec=dataset.spec, thresholds=config.thresholds)
    if len(first) != 1:
        got = f"{config.metric}, which is {len(first)} metrics here"
        raise UsageError("validate.metric", got=got, expected="one metric; csi and its kin with one threshold")
    if first[0].better == "one":
        raise UsageError("validate.metric", got=config.metric, expected="a score of which less, or more, is better")
    names = (config.metric, *REPORTED)
    return select_metrics(names, spec=dataset.spec, thresholds=config.thresholds)
