"""Names in figures are drawn as they are: no formulas, none left out of legends."""

from pathlib import Path

import pytest

from framecast.plotting.figure import add_legend, label_line, new_figure, save_figure

NAMES = ("run$1$", "a$\\frac{$", "_hidden", "plain")
"""A formula, a wrong one, and a name that matplotlib hides."""


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_names_with_dollars_and_underscores(tmp_path: Path, suffix: str) -> None:
    figure = new_figure(4.0, 3.0)
    axis = figure.subplots()
    for name in NAMES:
        axis.plot([0, 1], [0, 1], label=label_line(name))
    axis.plot([0, 1], [1, 0], label=label_line(""))
    axis.set_title("cost $1 to $2")
    add_legend(figure, [axis], "a note of $x$ and $\\wrong{$")
    save_figure(figure, tmp_path / f"a.{suffix}")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label.strip() for label in labels] == list(NAMES)
    assert not any(text.get_parse_math() for text in figure.legends[0].get_texts())
    assert (tmp_path / f"a.{suffix}").stat().st_size > 0
