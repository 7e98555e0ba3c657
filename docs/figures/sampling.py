"""The drawing of scheduled sampling, its curves from framecast.schedules itself."""

from figures.canvas import Canvas

from framecast.recipe.scheduled_sampling import ReverseScheduledSampling, ScheduledSampling

TOTAL, CONTEXT, FRAMES = 800, 5, 10
ITERATIONS = {"begin": 1, "middle": 275, "end": TOTAL}


def sampling(words: dict[str, str]) -> Canvas:
    """Curves above, below them the frames that are fed at three times of the training."""
    canvas = Canvas(860, 500, "scheduled sampling, reverse scheduled sampling")
    forward = ScheduledSampling()
    curves = [
        (name, kind, lambda i, name=name: ScheduledSampling(curve=name).probability(i, TOTAL))
        for name, kind in (("linear", "stays"), ("exponential", "zigzags"), ("inverse_sigmoid", "rises"))
    ]
    backward = ReverseScheduledSampling()
    both = [
        ("encoder", "stays", lambda i: backward.probabilities(i, TOTAL)[0]),
        ("decoder", "zigzags", lambda i: backward.probabilities(i, TOTAL)[1]),
    ]
    for left, title, lines, schedule in (
        (70, "scheduled", curves, forward),
        (500, "reverse", both, backward),
    ):
        canvas.text(left + 150, 26, words[title], "head")
        _axes(canvas, left, words)
        for number, (name, kind, curve) in enumerate(lines):
            canvas.curve([(left + 300 * i / TOTAL, 210 - 140 * curve(i)) for i in range(1, TOTAL + 1, 3)], kind)
            start = left + (0, 80, 190)[number]
            canvas.line([(start, 262), (start + 24, 262)], kind, tip=False)
            canvas.text(start + 30, 267, words[name], "small", "start")
        for row, (moment, iteration) in enumerate(ITERATIONS.items()):
            _fed(canvas, left, 318 + 44 * row, words[moment], schedule.probabilities(iteration, TOTAL))
    canvas.text(70, 300, words["fed"], "small", "start")
    _key(canvas, 70, 480, words)
    return canvas


def _axes(canvas: Canvas, left: float, words: dict[str, str]) -> None:
    canvas.curve([(left, 64), (left, 210), (left + 306, 210)], "plain")
    canvas.text(left - 8, 75, "1", "small", "end")
    canvas.text(left - 8, 214, "0", "small", "end")
    canvas.text(left, 54, words["probability"], "small", "start")
    canvas.text(left + 300, 228, words["training"], "small", "end")


def _fed(canvas: Canvas, left: float, top: float, label: str, probabilities: tuple[float, float]) -> None:
    """A square for each step, filled as high as the frame is likely to be true; step 0 always is."""
    canvas.text(left - 10, top + 19, label, "small", "end")
    for step in range(FRAMES - 1):
        share = 1.0 if step == 0 else probabilities[step >= CONTEXT]
        x, kind = left + 33 * step + (12 if step >= CONTEXT else 0), "zigzags" if step >= CONTEXT else "stays"
        canvas.box(x, top, 28, 28, "box", 3)
        if share > 0:
            canvas.box(x, top + 28 * (1 - share), 28, 28 * share, f"{kind} fill", 3)


def _key(canvas: Canvas, x: float, y: float, words: dict[str, str]) -> None:
    for start, kind, label in (
        (x, "stays fill", words["true_context"]),
        (x + 230, "zigzags fill", words["true_horizon"]),
        (x + 460, "box", words["own"]),
    ):
        canvas.box(start, y - 13, 16, 16, kind, 3)
        canvas.text(start + 24, y, label, "small", "start")
