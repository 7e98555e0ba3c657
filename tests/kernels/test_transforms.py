"""The matrices of the fast convolutions are exact, and the C that applies them is what they say."""

from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from framecast.kernels import native
from framecast.kernels.native.transforms import OUTPUTS, POINTS, derive_transform, format_header

numbers = st.integers(-9, 9).map(Fraction)


@given(st.data(), st.sampled_from(sorted(POINTS)))
def test_outputs_are_the_correlation(data: st.DataObject, taps: int) -> None:
    n = OUTPUTS + taps - 1
    x = data.draw(st.lists(numbers, min_size=n, max_size=n))
    w = data.draw(st.lists(numbers, min_size=taps, max_size=taps))
    transform = derive_transform(taps)

    def times(matrix: list[list[Fraction]], vector: list[Fraction]) -> list[Fraction]:
        return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]

    products = [u * v for u, v in zip(times(transform.g, w), times(transform.bt, x), strict=True)]
    expected = [sum(w[k] * x[i + k] for k in range(taps)) for i in range(OUTPUTS)]
    assert times(transform.at, products) == expected


def test_the_header_is_generated() -> None:
    kept = Path(native.__file__).parent / "transforms.h"
    assert kept.read_text() == format_header(), "run: python transforms.py > transforms.h"
