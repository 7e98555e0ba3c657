"""Lines, boxes and words as SVG that follows light and dark pages, and needs neither fonts nor scripts.

Line styles say the same as colours, for eyes and printers that see none: what rises is thin, what stays is thick, what
zigzags is dashed.
"""

from html import escape

Point = tuple[float, float]

STYLE = """\
svg.framecast { --ink: #1f2328; --soft: #59636e; --line: #9aa3ad; --cell: #f3f5f8; --paper: #ffffff;
  --rises: #0068a8; --stays: #b84a00; --zigzags: #007a58; --mark: #a3307f; background: transparent }
@media (prefers-color-scheme: dark) { svg.framecast { --ink: #e6e9ed; --soft: #a7b0bb; --line: #68727e; --cell: #232a33;
  --paper: #14181e; --rises: #69b7ee; --stays: #f2a05a; --zigzags: #4fcda6; --mark: #e58cc6 } }
html[data-theme="light"] svg.framecast { --ink: #1f2328; --soft: #59636e; --line: #9aa3ad; --cell: #f3f5f8;
  --paper: #ffffff; --rises: #0068a8; --stays: #b84a00; --zigzags: #007a58; --mark: #a3307f }
html[data-theme="dark"] svg.framecast { --ink: #e6e9ed; --soft: #a7b0bb; --line: #68727e; --cell: #232a33;
  --paper: #14181e; --rises: #69b7ee; --stays: #f2a05a; --zigzags: #4fcda6; --mark: #e58cc6 }
svg.framecast text { fill: var(--ink); font: 15px system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif }
svg.framecast .small { font-size: 13px; fill: var(--soft) }
svg.framecast .head { font-weight: 600 }
svg.framecast .symbol { font-family: "STIX Two Text", "Times New Roman", serif; font-size: 17px; font-style: italic }
svg.framecast .box { fill: var(--cell); stroke: var(--line); stroke-width: 1.2 }
svg.framecast .rises, svg.framecast .stays, svg.framecast .zigzags, svg.framecast .mark, svg.framecast .plain {
  fill: none; stroke-linejoin: round }
svg.framecast .rises { stroke: var(--rises); stroke-width: 1.8 }
svg.framecast .stays { stroke: var(--stays); stroke-width: 3.2 }
svg.framecast .zigzags { stroke: var(--zigzags); stroke-width: 2.4; stroke-dasharray: 7 4 }
svg.framecast .mark { stroke: var(--mark); stroke-width: 2.4; stroke-dasharray: 2 4 }
svg.framecast .plain { stroke: var(--line); stroke-width: 1.2 }
svg.framecast .tip { stroke: none }
svg.framecast .plain.tip { fill: var(--line) }
svg.framecast .rises.tip, svg.framecast .rises.fill { fill: var(--rises) }
svg.framecast .stays.tip, svg.framecast .stays.fill { fill: var(--stays) }
svg.framecast .zigzags.tip, svg.framecast .zigzags.fill { fill: var(--zigzags) }
svg.framecast .mark.tip, svg.framecast .mark.fill { fill: var(--mark) }
svg.framecast .fill { stroke: none }
"""


class Canvas:
    """One picture.

    Args:
        width: of the drawing, units of the SVG.
        height: likewise.
        title: what it shows, for people who hear it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.head = (
            f'<svg class="framecast" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
        )
        self.parts: list[str] = []
        self.style = STYLE

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box", round_: float = 6) -> None:
        """A rectangle by its upper left corner."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_:g}"/>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> None:
        """Words on a base line; `_` lowers the one sign after it, or the part in braces."""
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{_indices(words)}</text>')

    def line(self, points: list[Point], kind: str, *, tip: bool = True) -> None:
        """A line with rounded corners through points, and an arrow's tip at its end."""
        self.parts.append(f'<path class="{kind}" d="{_rounded(points)}"/>')
        if tip:
            self.parts.append(f'<path class="{kind} tip" d="{_tip(*points[-2:])}"/>')

    def curve(self, points: list[Point], kind: str) -> None:
        """Straight pieces through many points, for functions."""
        self.parts.append(f'<path class="{kind}" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>')

    def svg(self) -> str:
        """The file."""
        return "\n".join([self.head, f"<style>\n{self.style}</style>", *self.parts, "</svg>"]) + "\n"


def _indices(words: str) -> str:
    pieces, lowered = "", False
    rest = words
    while rest:
        before, mark, rest = rest.partition("_")
        pieces += f'<tspan dy="-4">{escape(before)}</tspan>' if lowered and before else escape(before)
        lowered = lowered and not before
        if mark:
            braces = rest.startswith("{")
            index, rest = rest[1:].split("}", 1) if braces else (rest[0], rest[1:])
            pieces += f'<tspan dy="4" font-size="0.75em">{escape(index)}</tspan>'
            lowered = True
    return pieces


def _rounded(points: list[Point], radius: float = 9) -> str:
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        into, out = _toward(corner, before, radius), _toward(corner, after, radius)
        path += f" L{into[0]:g} {into[1]:g} Q{corner[0]:g} {corner[1]:g} {out[0]:g} {out[1]:g}"
    end = _toward(points[-1], points[-2], 7)
    return f"{path} L{end[0]:g} {end[1]:g}"


def _toward(start: Point, target: Point, distance: float) -> Point:
    dx, dy = target[0] - start[0], target[1] - start[1]
    length = (dx * dx + dy * dy) ** 0.5
    share = min(distance, length / 2) / length
    return round(start[0] + share * dx, 2), round(start[1] + share * dy, 2)


def _tip(before: Point, end: Point, size: float = 10) -> str:
    back = _toward(end, before, size)
    dx, dy = (end[0] - back[0]) * 0.45, (end[1] - back[1]) * 0.45
    left, right = (back[0] - dy, back[1] + dx), (back[0] + dy, back[1] - dx)
    return f"M{end[0]:g} {end[1]:g} L{left[0]:.2f} {left[1]:.2f} L{right[0]:.2f} {right[1]:.2f} Z"
