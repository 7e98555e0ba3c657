"""What all figures share."""

from framecast.plotting.figure import add_legend, new_figure


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
