"""One colour for one forecast, whatever stands beside it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framecast.forecasting.baselines import BASELINES
from framecast.models import MODELS
from framecast.plotting.line_styles import LINE_STYLES, choose_styles

STACKS = ["lstm", "convlstm", "memory_flow", "predrnn", "predrnn_v2", "predrnn_pp", "mim"]


def test_the_stacks_of_cells_have_a_colour_each() -> None:
    alone = {name: choose_styles([name])[name] for name in STACKS}
    assert choose_styles(STACKS) == alone
    assert len(set(alone.values())) == len(STACKS)
    assert choose_styles(MODELS).keys() == MODELS.keys()  # more networks than colours


def test_baselines_are_dashed_and_keep_their_colours() -> None:
    names = ["persistence", "extrapolation", "mean", "blank", "linear", "calibrated", "seasonal", "linear:24h"]
    styles = choose_styles(names)
    assert len(set(styles.values())) == len(names)
    assert all(LINE_STYLES[style].is_dashed for style in styles.values())
    assert choose_styles(["seasonal:7d"])["seasonal:7d"] == styles["seasonal"]
    assert choose_styles(["linear:1y"])["linear:1y"] == styles["linear:24h"]
    for name in BASELINES:
        assert LINE_STYLES[choose_styles([name])[name]].is_dashed or name == "diurnal"


@given(st.lists(st.text(max_size=8), min_size=1, max_size=7, unique=True))
def test_forecasts_on_one_page_differ_and_the_first_keeps_its_own(names: list[str]) -> None:
    styles = choose_styles(names)
    assert len(set(styles.values())) == len(names)
    assert styles[names[0]] == choose_styles(names[:1])[names[0]]


def test_colours_are_seen_on_their_pages() -> None:
    """Contrast of 3 to 1 with the page, as WCAG asks of graphics."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for style in LINE_STYLES:
        assert 1.05 / (luminance(style.colour) + 0.05) >= 3
        assert (luminance(style.dark) + 0.05) / (luminance("#12161b") + 0.05) >= 3
