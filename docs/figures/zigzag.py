"""The way of PredRNN's memory as an animation: CSS alone, which stands still where a reader asks for less motion."""

from figures.canvas import Canvas, Point
from figures.grid import HEIGHT, WIDTH, Grid, legend

Words = dict[str, str]
Key = tuple[float, str]
"""A moment and the declarations that hold at it."""

COLUMN = 5.0
"""Time that one frame takes, units."""
VISITS = (1.0, 2.0, 3.0)
"""When the memory is in each layer, counted from the beginning of its frame."""
PAUSE = 1.5
"""Time between the last frame and the beginning, units."""
SECONDS = 0.8
"""Seconds of a unit."""
SHIFT, RISE = -18.0, 14.0
"""Where memory and input pass a cell's middle, as in the other drawings."""


def zigzag(words: Words) -> Canvas:
    """Three frames of a PredRNN of three layers, one after the other."""
    canvas = Canvas(610, 450, words["zigzags"])
    grid = Grid(canvas, 125, 300, ("ST-LSTM",) * 3)
    grid.cells()
    grid.zigzags("M")
    for row in range(3):
        grid.stays(row, "h, c")
    legend(canvas, 30, 425, words, ("rises", "stays", "zigzags"), 205)
    movie = _Movie(canvas, COLUMN * len(grid.columns) + PAUSE)
    for column in range(len(grid.columns)):
        start = COLUMN * column
        for row, visit in enumerate(VISITS):
            x, y = grid.at(row, column)
            box = (x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT)
            movie.show(
                f'<rect class="lit" x="{box[0]:g}" y="{box[1]:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
                start + visit - 0.4,
                start + visit + 0.5,
            )
            if column + 1 < len(grid.columns):
                ways = [(x + WIDTH / 2, y), (x + grid.wide - WIDTH / 2, y)]
                movie.move(
                    "stays",
                    6,
                    [(start + visit + 0.5, ways[0]), (start + visit + 2.0, ways[1])],
                    until=start + COLUMN + visit - 0.3,
                )
        movie.move("rises", 5, _rise(grid, column, start), until=start + 4.2)
        movie.say(300, 24, words["up"], start + 0.2, start + 3.4)
        if column + 1 < len(grid.columns):
            movie.say(300, 24, words["down"], start + 3.5, start + COLUMN)
    movie.move("zigzags", 8, _zigzag(grid), until=movie.length - 0.5)
    return canvas


def _rise(grid: Grid, column: int, start: float) -> list[tuple[float, Point]]:
    """The input's way: in at the bottom, out as the prediction of the next frame."""
    (x, bottom), (_, top) = grid.at(0, column), grid.at(2, column)
    stops = [(start + visit, (x + RISE, grid.at(row, column)[1])) for row, visit in enumerate(VISITS)]
    return [(start + 0.1, (x + RISE, bottom + 58)), *stops, (start + 4.0, (x + RISE, top - 48))]


def _zigzag(grid: Grid) -> list[tuple[float, Point]]:
    """The memory's way through all frames: up through the layers, then down to the bottom of the next."""
    way: list[tuple[float, Point]] = []
    for column in range(len(grid.columns)):
        start = COLUMN * column
        for row, visit in enumerate(VISITS):
            x, y = grid.at(row, column)
            way.append((start + visit, (x + SHIFT, y)))
        (x, high), (_, low) = grid.at(2, column), grid.at(0, column)
        above, below, middle = high - HEIGHT / 2 - 16, low + HEIGHT / 2 + 18, x + grid.wide / 2 + SHIFT
        if column + 1 < len(grid.columns):
            corners = [(x + SHIFT, above), (middle, above), (middle, below), (x + grid.wide + SHIFT, below)]
            way += [(start + at, corner) for at, corner in zip((3.5, 3.9, 4.9, 5.3), corners, strict=True)]
    return [*way, (COLUMN * len(grid.columns) - 1.5, (x + SHIFT, above))]


class _Movie:
    """Things that move or appear on a canvas, all in one loop.

    Args:
        canvas: where they are drawn.
        length: of the loop, units of time.
    """

    def __init__(self, canvas: Canvas, length: float) -> None:
        self.canvas, self.length, self.count = canvas, length, 0
        canvas.style += (
            "svg.framecast .lit { fill: var(--zigzags); opacity: 0; fill-opacity: 0.22; stroke: var(--zigzags) }\n"
            "svg.framecast .dot { stroke: var(--paper); stroke-width: 1.5; stroke-dasharray: none; opacity: 0 }\n"
            "svg.framecast .said { opacity: 0 }\n"
            "svg.framecast:hover * { animation-play-state: paused }\n"
            "@media (prefers-reduced-motion: reduce) { svg.framecast * { animation: none !important } }\n"
        )

    def move(self, kind: str, radius: float, way: list[tuple[float, Point]], until: float) -> None:
        """A dot that follows a way, given by moments and points, and then waits until it vanishes."""
        start, (first_x, first_y) = way[0]
        keys = [(start, f"opacity: 0; transform: translate({first_x:g}px, {first_y:g}px)")]
        keys += [(at, f"opacity: 1; transform: translate({x:g}px, {y:g}px)") for at, (x, y) in way]
        x, y = way[-1][1]
        last = f"transform: translate({x:g}px, {y:g}px)"
        keys += [(until, f"opacity: 1; {last}"), (until, f"opacity: 0; {last}")]
        self._animate(f'<circle class="{kind} fill dot" r="{radius:g}"/>', keys)

    def show(self, part: str, start: float, stop: float) -> None:
        """A part that is there from one moment to another."""
        self._animate(part, [(start, "opacity: 0"), (start, "opacity: 1"), (stop, "opacity: 1"), (stop, "opacity: 0")])

    def say(self, x: float, y: float, words: str, start: float, stop: float) -> None:
        """Words that are there from one moment to another."""
        self.show(f'<text class="small said" x="{x:g}" y="{y:g}" text-anchor="middle">{words}</text>', start, stop)

    def _animate(self, part: str, keys: list[Key]) -> None:
        name = f"zigzag-{self.count}"
        self.count += 1
        steps, before = [], -1.0
        for at, declarations in keys:
            share = max(100 * at / self.length, before + 0.01)
            before = share
            steps.append(f"{share:.2f}% {{ {declarations} }}")
        steps.append(f"100% {{ {keys[-1][1]} }}")
        self.canvas.style += f"@keyframes {name} {{ 0% {{ {keys[0][1]} }} {' '.join(steps)} }}\n"
        self.canvas.style += f"#{name} {{ animation: {name} {self.length * SECONDS:g}s linear infinite }}\n"
        self.canvas.parts.append(part.replace(" ", f' id="{name}" ', 1))
