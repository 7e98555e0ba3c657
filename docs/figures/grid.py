"""The grid of cells that all pages share: layers up, time to the right."""

from dataclasses import dataclass

from figures.canvas import Canvas

WIDTH, HEIGHT = 96, 46
_NEXT = {"t-1": "t", "t": "t+1", "t+1": "t+2"}


@dataclass(frozen=True)
class Grid:
    """Where cells lie.

    Args:
        left: of the first column's middle.
        bottom: of the lowest row's middle.
        names: of the rows, bottom up.
        columns: the time of each column, as it is written under it.
        wide: from column to column.
        high: from row to row.
    """

    canvas: Canvas
    left: float
    bottom: float
    names: tuple[str, ...]
    columns: tuple[str, ...] = ("t-1", "t", "t+1")
    wide: float = 150
    high: float = 88

    def at(self, row: int, column: int) -> tuple[float, float]:
        """The middle of a cell."""
        return self.left + column * self.wide, self.bottom - row * self.high

    def cells(self) -> None:
        """Boxes with their names, inputs below, outputs above."""
        top = len(self.names) - 1
        for column, time in enumerate(self.columns):
            x, y = self.at(0, column)
            self.canvas.text(x + 14, y + 76, f"x_{{{time}}}", "symbol")
            self.canvas.line([(x + 14, y + 60), (x + 14, y + HEIGHT / 2)], "rises")
            _, y = self.at(top, column)
            self.canvas.line([(x + 14, y - HEIGHT / 2), (x + 14, y - 50)], "rises")
            self.canvas.text(x + 14, y - 60, f"x̂_{{{_NEXT[time]}}}", "symbol")
            for row, name in enumerate(self.names):
                x, y = self.at(row, column)
                self.canvas.box(x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT)
                self.canvas.text(x, y + 5, name)
                if row:
                    self.canvas.line([(x + 14, y + self.high - HEIGHT / 2), (x + 14, y + HEIGHT / 2)], "rises")

    def stays(self, row: int, label: str = "", kind: str = "stays") -> None:
        """The state of a row, from frame to frame, and where it comes from and goes to."""
        ends = [-1, *range(len(self.columns))]
        for column in ends:
            x, y = self.at(row, column)
            start = x + WIDTH / 2 + (self.wide - WIDTH - 34 if column < 0 else 0)
            stop = x + self.wide - WIDTH / 2 - (self.wide - WIDTH - 34 if column == ends[-1] else 0)
            self.canvas.line([(start, y), (stop, y)], kind)
            if label and column < 0:
                self.canvas.text(start - 2, y - 9, label, "symbol", "start")

    def zigzags(self, label: str = "", kind: str = "zigzags", shift: float = -18) -> None:
        """A memory: up through the rows, then down to the bottom of the next column."""
        top = len(self.names) - 1
        for column in range(len(self.columns)):
            for row in range(top):
                x, y = self.at(row, column)
                self.canvas.line([(x + shift, y - HEIGHT / 2), (x + shift, y - self.high + HEIGHT / 2)], kind)
                if label and column == 0:
                    self.canvas.text(x + shift - 8, y - self.high / 2 + 5, label, "symbol", "end")
        for column in range(len(self.columns) - 1):
            (x, high), (_, low) = self.at(top, column), self.at(0, column)
            middle, above, below = x + self.wide / 2 + shift, high - HEIGHT / 2 - 16, low + HEIGHT / 2 + 18
            target = x + self.wide + shift
            start = (x + shift, high - HEIGHT / 2)
            self.canvas.line(
                [
                    start,
                    (start[0], above),
                    (middle, above),
                    (middle, below),
                    (target, below),
                    (target, low + HEIGHT / 2),
                ],
                kind,
            )


def legend(
    canvas: Canvas, x: float, y: float, words: dict[str, str], kinds: tuple[str, ...], step: float = 235
) -> None:
    """What the three lines mean."""
    for number, kind in enumerate(kinds):
        start = x + number * step
        canvas.line([(start, y), (start + 36, y)], kind)
        canvas.text(start + 46, y + 5, words[kind], "small", "start")
