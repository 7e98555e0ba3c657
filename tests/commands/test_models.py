"""framecast models: every network with family, year and cost, in order."""

import inspect
import sys

import pytest

from framecast.commands.models import describe_model, list_models
from framecast.models import MODELS
from framecast.models.cost import Cost

UNDATED = {"predrnn_v3"}
"""Networks whose publication has no year that we know."""


def test_networks_stand_by_family_and_year() -> None:
    rows = list_models((1, 32, 32), patch=4, frames=4).rows
    assert set(rows) == set(MODELS)
    families = [row.family for row in rows.values()]
    assert families == sorted(families, key=families.index), "the members of a family stand together"
    for family in set(families):
        years = [row.year or sys.maxsize for row in rows.values() if row.family == family]
        assert years == sorted(years)


def test_each_network_is_counted_at_its_own_patch() -> None:
    def count(name: str, patch: int | None) -> Cost:
        return describe_model(name, [], (1, 32, 32), patch, frames=4).cost

    assert count("predrnn", None) == count("predrnn", 4)
    assert count("simvp", None) == count("simvp", 1)
    assert count("simvp", None).multiply_adds > 4 * count("simvp", 4).multiply_adds


@pytest.mark.parametrize("name", sorted(set(MODELS) - UNDATED))
def test_the_year_is_that_of_the_paper(name: str) -> None:
    config = MODELS[name]
    assert config.family is not None
    assert str(config.year) in (inspect.getdoc(sys.modules[config.__module__]) or "")
