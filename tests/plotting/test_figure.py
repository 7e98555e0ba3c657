"""What all figures share."""

from framecast.plotting.figure import add_legend, new_figure, save_figure


def test_a_long_note_is_broken_into_lines_that_fit() -> None:
    figure = new_figure(5.0, 3.0)
    axis = figure.add_subplot()
    axis.plot([1, 2], label="x")
    add_legend(figure, [axis], "A note that is far longer than the figure is wide, " * 6)
    figure.canvas.draw()
    note = figure.texts[-1].get_window_extent()
    assert note.x0 > 0
    assert note.x1 < figure.bbox.x1
    assert note.y0 >= 0
    assert note.y1 < axis.get_tightbbox().y0, "the panels stand above it"


def test_powers_of_ten_are_formulas_and_names_are_not(tmp_path) -> None:
    """On a logarithmic axis the label of 0.001 is a power, as wide as one, not the text of its formula."""
    figure = new_figure(3.0, 3.0)
    axis = figure.subplots()
    axis.semilogy([1, 2], [1e-3, 1e3], label="$name_{")
    add_legend(figure, [axis])
    save_figure(figure, tmp_path / "log.png")
    labels = [label for label in axis.get_yticklabels() if label.get_text()]
    assert labels
    assert max(label.get_window_extent().width for label in labels) < 40
    (name,) = figure.legends[0].get_texts()
    assert not name.get_parse_math()
