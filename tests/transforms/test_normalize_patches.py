"""Patches and normalizers have inverses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from framecast.transforms.normalize import DBZ, Identity, Range, Standard
from framecast.transforms.patches import pad, patchify, unpatchify

sizes = st.integers(1, 11)


@settings(max_examples=60)
@given(b=st.integers(1, 3), t=st.integers(1, 3), c=st.integers(1, 3), h=sizes, w=sizes, patch=st.integers(1, 4))
def test_patches_round_trip(b: int, t: int, c: int, h: int, w: int, patch: int) -> None:
    frames = torch.rand(b, t, c, h, w)
    padded = pad(frames, patch)
    assert padded.shape[-2] % patch == padded.shape[-1] % patch == 0
    assert padded.shape[-2] - h < patch
    patches = patchify(padded, patch)
    assert patches.shape == (b, t, c * patch**2, padded.shape[-2] // patch, padded.shape[-1] // patch)
    assert torch.equal(unpatchify(patches, patch)[..., :h, :w], frames)


def test_patch_channel_order_is_row_column_channel() -> None:
    frames = torch.rand(1, 1, 3, 4, 6)
    patches = patchify(frames, 2)
    for dy in range(2):
        for dx in range(2):
            for c in range(3):
                expected = frames[0, 0, c, dy::2, dx::2]
                assert torch.equal(patches[0, 0, (dy * 2 + dx) * 3 + c], expected)


@pytest.mark.parametrize(
    ("normalizer", "low", "high"),
    [
        (Identity(), -3.0, 5.0),
        (Range(low=-3.0, high=5.0), -3.0, 5.0),
        (Standard(mean=(1.0, -2.0), std=(0.5, 3.0)), -3.0, 5.0),
        (DBZ(), 0.0, 70.0),
        (DBZ(rain_rate=True), 0.05, 100.0),
    ],
)
def test_normalizers_invert_on_their_range(normalizer, low: float, high: float) -> None:
    values = low + (high - low) * torch.rand(2, 3, 2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(normalizer.denormalize(normalizer.normalize(values)), values, rtol=1e-10, atol=1e-10)


def test_no_echo_is_zero_and_marshall_palmer_holds() -> None:
    assert DBZ().normalize(torch.tensor([-32.0, 0.0, 35.0, 90.0])).tolist() == [0.0, 0.0, 0.5, 1.0]
    rain = DBZ(rain_rate=True)
    # Z = 200 R^1.6: 1 mm/h is 23.01 dBZ
    assert 70 * rain.normalize(torch.tensor([1.0])).item() == pytest.approx(23.0103, abs=1e-3)
    assert rain.normalize(torch.tensor([0.0])).item() == 0
    assert rain.denormalize(torch.tensor([0.0])).item() == 0


def test_wrong_ranges_are_refused() -> None:
    with pytest.raises(ValidationError, match="low < high"):
        Range(low=1.0, high=1.0)
    with pytest.raises(ValidationError):
        Standard(mean=(0.0,), std=(0.0,))
