"""Cell methods: the whole text counts, or nothing of it."""

import pytest

from framecast.data.formats.cell_methods import read_sum_minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("time: sum (interval: 5 min)", 5),
        ("time: sum (interval: 1 hour)", 60),
        ("time:sum(interval:15minutes)", 15),
        ("time: sum (interval: 600 s comment: of one-minute rates)", 10),
        ("area: mean time: sum (interval: 1 day)", 1440),
        ("time: sum (interval: 1 h) area: mean where land", 60),
        ("time: sum within days (interval: 6 hr)", 360),
        ("lat: lon: mean time: sum (interval: 1.5 h)", 90),
        ("time: sum (interval: 5 min) time: mean (interval: 1 day)", None),
        ("time: mean (interval: 5 min)", None),
        ("time: sum (interval: 3 fortnights)", None),
        ("time: sum (interval: 5 min, of two radars)", None),
        ("time: sum (interval: 5 min", None),
        ("time: sum", None),
        ("runtime: sum (interval: 5 min)", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_interval_of_a_sum(text: str, minutes: float | None) -> None:
    assert read_sum_minutes(text) == minutes
