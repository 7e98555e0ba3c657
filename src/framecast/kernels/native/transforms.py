"""Winograd transforms (Cook-Toom matrices) in exact fractions, and their C: `python transforms.py > transforms.h`.

Outputs y and taps w of a correlation, y_i = sum_k w_k x_{i+k}, are products of polynomials. With n = m + r - 1 points,
one of them infinity, m outputs of r taps need n multiplications instead of m r:

    y = A^T [(G w) o (B^T x)],   and in two dimensions   Y = A^T [(G W G^T) o (B^T X B)] A

Lavin & Gray: Fast Algorithms for Convolutional Neural Networks, 2015, https://arxiv.org/abs/1509.09308. The points are
those of least error by Barabasz et al., 2018, https://arxiv.org/abs/1803.10986. Rows and columns are scaled by powers
of two, which changes no product and keeps the transformed numbers of one size.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

Matrix = list[list[Fraction]]
OUTPUTS = 4
"""m, outputs of a tile along an axis."""
HALF = Fraction(1, 2)
POINTS = {3: (0, 1, -1, 2, -2), 5: (0, 1, -1, 2, -2, HALF, -HALF)}
"""Finite points of interpolation by number of taps."""


class Transform(NamedTuple):
    """The three matrices of F(m, r): m outputs, r taps, n = m + r - 1 products."""

    at: Matrix
    """(m, n)"""
    g: Matrix
    """(n, r)"""
    bt: Matrix
    """(n, n)"""


def derive_transform(taps: int) -> Transform:
    """Derive the matrices of F(m, r).

    Args:
        taps: r, 3 or 5.
    """
    points = [Fraction(point) for point in POINTS[taps]]
    n = OUTPUTS + taps - 1
    columns, g, bt = [], [], []
    for j, point in enumerate(points):
        others = points[:j] + points[j + 1 :]
        weight = math.prod((point - other for other in others), start=Fraction(1))
        columns.append([point**i for i in range(OUTPUTS)])
        g.append([point**k / weight for k in range(taps)])
        bt.append([*_expand_roots(others), Fraction(0)])
    # the point at infinity
    columns.append([Fraction(i == OUTPUTS - 1) for i in range(OUTPUTS)])
    g.append([Fraction(k == taps - 1) for k in range(taps)])
    bt.append(_expand_roots(points))
    for j in range(n):
        small = _round_to_power_of_two(sum((abs(v) for v in bt[j]), Fraction(0)))
        flat = _round_to_power_of_two(Fraction(math.sqrt(sum(v * v for v in columns[j]))))
        bt[j] = [v / small for v in bt[j]]
        columns[j] = [v / flat for v in columns[j]]
        g[j] = [v * small * flat for v in g[j]]
    return Transform(_transpose(columns), g, bt)


def _expand_roots(roots: list[Fraction]) -> list[Fraction]:
    """Expand the polynomial with these roots into its coefficients, lowest first."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *polynomial]
        polynomial = [s - root * p for s, p in zip(shifted, [*polynomial, Fraction(0)], strict=True)]
    return polynomial


def _round_to_power_of_two(value: Fraction) -> Fraction:
    return Fraction(2) ** round(math.log2(value))


def _transpose(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def _format_function(name: str, matrix: Matrix) -> str:
    """Format a C function y = matrix x on vectors at strides; rows or columns that differ in signs share their sums."""
    lines = [f"static inline __attribute__((always_inline)) void {name}(const vec *x, int xs, vec *y, int ys) {{"]
    columns = len(matrix[0])
    lines += [f"    const vec {', '.join(f'x{k} = x[{k} * xs]' for k in range(columns))};"]
    pairs, single = _pair_rows(matrix)
    if pairs:
        for row, (j, k) in enumerate(pairs):
            even = [a if a == b else Fraction(0) for a, b in zip(matrix[j], matrix[k], strict=True)]
            odd = [a if a != b else Fraction(0) for a, b in zip(matrix[j], matrix[k], strict=True)]
            lines += [f"    const vec e{row} = {_format_sum(even, 'x')};"]
            lines += [f"    const vec o{row} = {_format_sum(odd, 'x')};"]
            lines += [f"    y[{j} * ys] = e{row} + o{row};", f"    y[{k} * ys] = e{row} - o{row};"]
        lines += [f"    y[{j} * ys] = {_format_sum(matrix[j], 'x')};" for j in single]
    else:
        lines += _format_by_columns(matrix)
    return "\n".join([*lines, "}"])


def _format_by_columns(matrix: Matrix) -> list[str]:
    columns = _transpose(matrix)
    pairs, single = _pair_rows(columns)
    lines = [f"    const vec s{j} = x{j} + x{k}, d{j} = x{j} - x{k};" for j, k in pairs]
    for i, row in enumerate(matrix):
        names = [(row[j], f"s{j}" if row[j] == row[k] else f"d{j}") for j, k in pairs]
        names += [(row[j], f"x{j}") for j in single]
        lines.append(f"    y[{i} * ys] = {_format_terms(names)};")
    return lines


def _pair_rows(rows: Matrix) -> tuple[list[tuple[int, int]], list[int]]:
    """Pair the rows that are equal but for signs; gives the pairs, and the other rows."""
    pairs: list[tuple[int, int]] = []
    paired: set[int] = set()
    for j, row in enumerate(rows):
        for k in range(j + 1, len(rows)):
            equal = all(abs(a) == abs(b) for a, b in zip(row, rows[k], strict=True))
            if equal and row != rows[k] and not {j, k} & paired and sum(v != 0 for v in row) > 1:
                pairs.append((j, k))
                paired |= {j, k}
    return pairs, [j for j in range(len(rows)) if j not in paired]


def _format_sum(row: list[Fraction], letter: str) -> str:
    return _format_terms([(value, f"{letter}{k}") for k, value in enumerate(row)])


def _format_terms(terms: list[tuple[Fraction, str]]) -> str:
    text = ""
    for value, name in terms:
        if value:
            sign = "-" if value < 0 else "+" if text else ""
            text += f" {sign} {name}" if abs(value) == 1 else f" {sign} {float(abs(value))!r}f * {name}"
    return text.strip().removeprefix("+").replace("  ", " ").strip()


def format_header() -> str:
    """Format the text of transforms.h."""
    parts = [
        "/* Generated by transforms.py: edit that, not this. */",
        "#ifndef FC_TRANSFORMS_H",
        "#define FC_TRANSFORMS_H",
    ]
    for taps in POINTS:
        at, g, bt = derive_transform(taps)
        unit = next(j for j, point in enumerate(POINTS[taps]) if point == 1)
        parts += [f"#define FC_ONES_{taps} {unit}", f"#define FC_ONES_SCALE_{taps} {float(at[0][unit])!r}f"]
        for name, matrix in {"input": bt, "output": at, "weight": g}.items():
            parts += [
                _format_function(f"{name}_{taps}", matrix),
                _format_function(f"{name}_adjoint_{taps}", _transpose(matrix)),
            ]
    return "\n".join([*parts, "#endif", ""])


if __name__ == "__main__":
    print(format_header(), end="")
