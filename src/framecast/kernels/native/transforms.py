"""Cook-Toom matrices in exact fractions, and the C that applies them: `python transforms.py > transforms.h`.

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
HALF = Fraction(1, 2)
POINTS = {3: (0, 1, -1, 2, -2), 5: (0, 1, -1, 2, -2, HALF, -HALF)}
"""Finite points by number of taps, for four outputs."""


class Transform(NamedTuple):
    """The three matrices of F(4, r)."""

    at: Matrix
    """(m, n)"""
    g: Matrix
    """(n, r)"""
    bt: Matrix
    """(n, n)"""


def cook_toom(taps: int) -> Transform:
    """The matrices of F(4, taps)."""
    points = [Fraction(point) for point in POINTS[taps]]
    n = OUTPUTS + taps - 1
    columns, g, bt = [], [], []
    for j, point in enumerate(points):
        others = points[:j] + points[j + 1 :]
        weight = math.prod((point - other for other in others), start=Fraction(1))
        columns.append([point**i for i in range(OUTPUTS)])
        g.append([point**k / weight for k in range(taps)])
        bt.append([*_product(others), Fraction(0)])
    columns.append([Fraction(i == OUTPUTS - 1) for i in range(OUTPUTS)])
    g.append([Fraction(k == taps - 1) for k in range(taps)])
    bt.append(_product(points))
    for j in range(n):
        small = _power_of_two(sum((abs(v) for v in bt[j]), Fraction(0)))
        flat = _power_of_two(Fraction(math.sqrt(sum(v * v for v in columns[j]))))
        bt[j] = [v / small for v in bt[j]]
        columns[j] = [v / flat for v in columns[j]]
        g[j] = [v * small * flat for v in g[j]]
    return Transform(_transposed(columns), g, bt)


def _product(roots: list[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial with these roots, lowest first."""
    polynomial = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *polynomial]
        polynomial = [s - root * p for s, p in zip(shifted, [*polynomial, Fraction(0)], strict=True)]
    return polynomial


def _power_of_two(value: Fraction) -> Fraction:
    return Fraction(2) ** round(math.log2(value))


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def c_function(name: str, matrix: Matrix) -> str:
    """A C function y = matrix x on vectors at strides; rows and columns that differ in signs only share their sums."""
    lines = [f"static inline __attribute__((always_inline)) void {name}(const vec *x, int xs, vec *y, int ys) {{"]
    columns = len(matrix[0])
    lines += [f"    const vec {', '.join(f'x{k} = x[{k} * xs]' for k in range(columns))};"]
    pairs, single = _sign_pairs(matrix)
    if pairs:
        for row, (j, k) in enumerate(pairs):
            same = [a if a == b else Fraction(0) for a, b in zip(matrix[j], matrix[k], strict=True)]
            turned = [a if a != b else Fraction(0) for a, b in zip(matrix[j], matrix[k], strict=True)]
            lines += [f"    const vec e{row} = {_sum(same, 'x')};", f"    const vec o{row} = {_sum(turned, 'x')};"]
            lines += [f"    y[{j} * ys] = e{row} + o{row};", f"    y[{k} * ys] = e{row} - o{row};"]
        lines += [f"    y[{j} * ys] = {_sum(matrix[j], 'x')};" for j in single]
    else:
        lines += _by_columns(matrix)
    return "\n".join([*lines, "}"])


def _by_columns(matrix: Matrix) -> list[str]:
    columns = _transposed(matrix)
    pairs, single = _sign_pairs(columns)
    lines = [f"    const vec s{j} = x{j} + x{k}, d{j} = x{j} - x{k};" for j, k in pairs]
    for i, row in enumerate(matrix):
        names = [(row[j], f"s{j}" if row[j] == row[k] else f"d{j}") for j, k in pairs]
        names += [(row[j], f"x{j}") for j in single]
        lines.append(f"    y[{i} * ys] = {_terms(names)};")
    return lines


def _sign_pairs(rows: Matrix) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs of rows that are equal but for signs, and the rows that are alone."""
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for j, row in enumerate(rows):
        for k in range(j + 1, len(rows)):
            alike = all(abs(a) == abs(b) for a, b in zip(row, rows[k], strict=True))
            if alike and row != rows[k] and not {j, k} & taken and sum(v != 0 for v in row) > 1:
                pairs.append((j, k))
                taken |= {j, k}
    return pairs, [j for j in range(len(rows)) if j not in taken]


def _sum(row: list[Fraction], letter: str) -> str:
    return _terms([(value, f"{letter}{k}") for k, value in enumerate(row)])


def _terms(terms: list[tuple[Fraction, str]]) -> str:
    text = ""
    for value, name in terms:
        if value:
            sign = "-" if value < 0 else "+" if text else ""
            text += f" {sign} {name}" if abs(value) == 1 else f" {sign} {float(abs(value))!r}f * {name}"
    return text.strip().removeprefix("+").replace("  ", " ").strip()


def header() -> str:
    """The text of transforms.h."""
    parts = [
        "/* Generated by transforms.py: edit that, not this. */",
        "#ifndef FC_TRANSFORMS_H",
        "#define FC_TRANSFORMS_H",
    ]
    for taps in POINTS:
        at, g, bt = cook_toom(taps)
        ones = next(j for j, point in enumerate(POINTS[taps]) if point == 1)
        parts += [f"#define FC_ONES_{taps} {ones}", f"#define FC_ONES_SCALE_{taps} {float(at[0][ones])!r}f"]
        named = {"input": bt, "output": at, "weight": g}
        for name, matrix in named.items():
            parts += [c_function(f"{name}_{taps}", matrix), c_function(f"{name}_adjoint_{taps}", _transposed(matrix))]
    return "\n".join([*parts, "#endif", ""])


if __name__ == "__main__":
    print(header(), end="")
