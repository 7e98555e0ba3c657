import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framecast.errors import UsageError
from framecast.nn.tiling import cover_axis, tile_map


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    length, tile = draw(st.integers(1, 60)), draw(st.integers(1, 24))
    overlap = draw(st.integers(0, tile - 1))
    return length, tile, overlap, draw(st.integers(0, overlap // 2))


@given(axes())
def test_an_axis_is_covered_owned_once_and_weighted_to_one(axis: tuple[int, int, int, int]) -> None:
    length, tile, overlap, margin = axis
    weight, owners = torch.zeros(length, dtype=torch.float64), torch.zeros(length)
    found = cover_axis(*axis)
    for number, span in enumerate(found):
        assert span.stop - span.start == min(tile, length), "all tiles have one size"
        assert 0 <= span.start <= span.first < span.last <= span.stop <= length
        weight[span.start : span.stop] += span.weights
        owners[span.first : span.last] += 1
        counts = (span.weights > 0).nonzero()[:, 0]
        if span.start > 0:
            assert counts[0] >= margin
            assert span.first - span.start >= margin
            assert found[number - 1].stop - span.start >= overlap
        if span.stop < length:
            assert len(span.weights) - 1 - counts[-1] >= margin
            assert span.stop - span.last >= margin
    torch.testing.assert_close(weight, torch.ones_like(weight))
    assert (owners == 1).all()


@given(axes(), axes())
def test_weights_of_a_map_sum_to_one(y: tuple[int, int, int, int], x: tuple[int, int, int, int]) -> None:
    overlap = min(y[2], x[2])
    weight, owners = torch.zeros(y[0], x[0], dtype=torch.float64), torch.zeros(y[0], x[0])
    for tile in tile_map((y[0], x[0]), (y[1], x[1]), overlap, overlap // 3):
        weight[tile.whole] += tile.weights
        owners[tile.owned] += 1
        assert tile.weights[tile.inner].shape == owners[tile.owned].shape
    torch.testing.assert_close(weight, torch.ones_like(weight))
    assert (owners == 1).all()


def test_by_hand() -> None:
    left, right = cover_axis(10, 6, 2, 0)
    assert (left.start, left.stop, left.first, left.last) == (0, 6, 0, 5)
    assert (right.start, right.stop, right.first, right.last) == (4, 10, 5, 10)
    torch.testing.assert_close(left.weights, torch.tensor([1, 1, 1, 1, 2 / 3, 1 / 3], dtype=torch.float64))
    (whole,) = cover_axis(5, 9, 3, 1)
    assert whole[:4] == (0, 5, 0, 5)


@pytest.mark.parametrize(
    ("arguments", "message"), [((9, 4, 4, 0), "overlap"), ((9, 4, 2, 2), "margin"), ((9, 0, 0, 0), "tile")]
)
def test_what_covers_nothing_is_refused(arguments: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cover_axis(*arguments)
