"""One drawing for each paper: the same grid, and what the paper adds to it."""

from figures.canvas import Canvas
from figures.grid import HEIGHT, Grid, legend

Words = dict[str, str]


def convlstm(words: Words) -> Canvas:
    """The grid without a memory, and what a convolution sees."""
    canvas = Canvas(880, 400, "ConvLSTM")
    grid = Grid(canvas, 90, 280, ("ConvLSTM",) * 3)
    grid.cells()
    for row in range(3):
        grid.stays(row, "h, c")
    _window(canvas, 560, 75, words["lstm"], range(5))
    _window(canvas, 560, 235, words["conv"], range(1, 4))
    legend(canvas, 40, 385, words, ("rises", "stays"))
    return canvas


def _window(canvas: Canvas, x: float, y: float, title: str, seen: range) -> None:
    canvas.text(x - 20, y - 16, title, "head", "start")
    size = 18
    for row in range(5):
        for column in range(5):
            kind = "stays fill" if row in seen and column in seen else "plain"
            canvas.box(x + column * size, y + row * size, size - 2, size - 2, kind, 2)
            kind = "stays fill" if row == column == 2 else "plain"
            canvas.box(x + 140 + column * size, y + row * size, size - 2, size - 2, kind, 2)
    first, last = seen[0], seen[-1] + 1
    for row, end in ((first, 2), (last, 3)):
        start = (x + last * size, y + row * size - (2 if row == last else 0))
        canvas.line([start, (x + 140 + 2 * size, y + end * size - (2 if end == 3 else 0))], "plain", tip=False)
    canvas.text(x + 44, y + 108, "h_{t-1}", "symbol")
    canvas.text(x + 184, y + 108, "h_t", "symbol")


def predrnn(words: Words) -> Canvas:
    """Left what the memory flow is, right both ways."""
    canvas = Canvas(880, 440, "PredRNN")
    left = Grid(canvas, 90, 310, ("flow",) * 3, ("t-1", "t"))
    canvas.text(165, 24, words["flow"], "head")
    left.cells()
    left.zigzags("M, H")
    right = Grid(canvas, 465, 310, ("ST-LSTM",) * 3)
    canvas.text(615, 24, words["both"], "head")
    right.cells()
    right.zigzags("M")
    for row in range(3):
        right.stays(row, "h, c")
    legend(canvas, 60, 420, words, ("rises", "stays", "zigzags"))
    return canvas


def predrnn_pp(words: Words) -> Canvas:
    """The highway as a row of its own, the short way of the gradient, the cascade."""
    canvas = Canvas(910, 490, "PredRNN++")
    grid = Grid(canvas, 90, 360, ("causal", "GHU", "causal", "causal"), high=84)
    grid.cells()
    grid.zigzags("M")
    for row in (0, 2, 3):
        grid.stays(row)
    grid.stays(1, "z")
    (x, y), (first, low) = grid.at(3, 2), grid.at(0, 0)
    way = y + 84 * 2 + 14
    canvas.line([(x + 36, y - 50), (x + 36, way), (first + 36, way), (first + 36, low + 66)], "mark")
    canvas.text(560, 30, words["cascade"], "head", "start")
    for number, (name, symbol, sees) in enumerate(
        (("first", "c′", "x, h, c"), ("second", "m′", "x, c′, m"), ("third", "h′", "x, h, c′, m′"))
    ):
        top = 60 + number * 96
        canvas.text(560, top + 30, sees, "symbol", "start")
        canvas.line([(650, top + 25), (678, top + 25)], "rises")
        canvas.box(680, top, 176, 50)
        canvas.text(768, top + 30, words[name])
        canvas.text(872, top + 30, symbol, "symbol", "start")
        if number < 2:
            canvas.line([(768, top + 50), (768, top + 96)], "plain")
    canvas.line([(560, 385), (596, 385)], "stays")
    canvas.text(606, 390, words["highway"], "small", "start")
    canvas.line([(560, 415), (596, 415)], "mark")
    canvas.text(606, 420, words["gradient"], "small", "start")
    legend(canvas, 60, 472, words, ("rises", "stays", "zigzags"))
    return canvas


def mim(words: Words) -> Canvas:
    """The grid, with the difference beside the memory, and the block's two modules."""
    canvas = Canvas(900, 440, "MIM")
    grid = Grid(canvas, 90, 310, ("ST-LSTM", "MIM", "MIM"))
    grid.cells()
    grid.zigzags("M")
    for column in range(3):
        for row in range(2):
            x, y = grid.at(row, column)
            canvas.line([(x + 32, y - HEIGHT / 2), (x + 32, y - grid.high + HEIGHT / 2)], "mark")
    canvas.text(130, 271, "D", "symbol", "start")
    grid.stays(0, "h, c")
    for row in (1, 2):
        grid.stays(row, "h, c")
    left = 560
    canvas.text(left + 150, 34, words["forget"], "head")
    for top, name, label in ((235, "MIM-N", "changes"), (135, "MIM-S", "remains")):
        canvas.box(left + 75, top, 150, 52)
        canvas.text(left + 150, top + 23, name)
        canvas.text(left + 150, top + 42, words[label], "small")
    canvas.line([(left + 150, 330), (left + 150, 287)], "mark")
    canvas.text(left + 150, 350, words["difference"], "small")
    canvas.line([(left + 150, 235), (left + 150, 187)], "mark")
    canvas.text(left + 162, 215, "D′", "symbol", "start")
    canvas.line([(left + 150, 135), (left + 150, 84)], "rises")
    canvas.text(left + 162, 112, "T", "symbol", "start")
    canvas.text(left + 150, 68, "c′ = T + i ⊙ g", "symbol")
    for top, symbol in ((261, "N, D"), (161, "S, c")):
        canvas.line([(left + 10, top), (left + 75, top)], "stays")
        canvas.line([(left + 225, top), (left + 290, top)], "stays")
        canvas.text(left + 38, top - 10, symbol, "symbol")
    legend(canvas, 20, 415, words, ("rises", "stays", "zigzags"), 205)
    canvas.line([(620, 415), (656, 415)], "mark")
    canvas.text(666, 420, words["rising"], "small", "start")
    return canvas


def predrnn_v2(words: Words) -> Canvas:
    """A cell with its two increments, and what the loss does to them."""
    canvas = Canvas(880, 330, "PredRNN-V2")
    canvas.text(170, 28, words["increments"], "head")
    canvas.box(70, 90, 200, 130)
    canvas.text(170, 82, "ST-LSTM", "small")
    canvas.line([(10, 120), (70, 120)], "stays")
    canvas.line([(270, 120), (330, 120)], "stays")
    canvas.text(30, 110, "c", "symbol")
    canvas.text(300, 110, "c′", "symbol")
    canvas.text(170, 126, "c′ = f ⊙ c + Δc", "symbol")
    canvas.line([(100, 280), (100, 220)], "zigzags")
    canvas.line([(100, 90), (100, 40)], "zigzags")
    canvas.text(86, 262, "m", "symbol", "end")
    canvas.text(86, 60, "m′", "symbol", "end")
    canvas.text(170, 192, "m′ = f′ ⊙ m + Δm", "symbol")
    canvas.line([(200, 280), (200, 220)], "rises")
    canvas.text(212, 262, "x", "symbol", "start")
    for left, label, first, second in (
        (400, "alike", (105, 123), (92, 75)),
        (650, "apart", (0, 130), (130, 0)),
    ):
        canvas.text(left + 70, 28, words[label], "head")
        for (across, up), name, kind in ((first, "A ∗ Δc", "stays"), (second, "A ∗ Δm", "zigzags")):
            canvas.line([(left, 215), (left + across, 215 - up)], kind)
            canvas.text(left + across + 8, 215 - up, name, "symbol", "start")
    canvas.line([(650, 197), (668, 197), (668, 215)], "plain", tip=False)
    legend(canvas, 400, 300, words, ("stays", "zigzags"), 220)
    return canvas
