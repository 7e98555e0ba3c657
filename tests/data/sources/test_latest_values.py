"""A source for a forecast: of the values of the last frames alone it finds the context that all values would give."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError


def contexts(source: FileSource, count: int) -> list[np.ndarray]:
    """The last `count` frames of each sequence that a forecast goes on from, or all of a shorter one."""
    ends = [(number, source.lengths[number]) for number in source.latest]
    return [source.read(number, max(0, end - count), end).frames for number, end in ends]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 8),
    dims=st.sampled_from(["nthw", "tnhw", "tchw", "thw", "clips"]),
    max_missing=st.sampled_from([None, 0.3]),
    frames=st.sampled_from([None, (2, 9)]),
    block=st.sampled_from([1, 100]),
)
def test_the_context_is_that_of_a_scan_of_all(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, dims: str, max_missing, frames, block: int
) -> None:
    numbers = np.random.default_rng(seed)
    letters = "thw" if dims == "clips" else dims
    values = numbers.random([{"n": 3, "t": 12, "c": 2, "h": 4, "w": 5}[letter] for letter in letters])
    rows = np.moveaxis(values, letters.index("n"), 0) if "n" in letters else values[None]
    for frame in (frame for row in rows for frame in row):  # views; all, half or none of each frame is missing
        frame[np.broadcast_to(numbers.random(frame.shape) < numbers.choice([0.0, 0.5, 2.0]), frame.shape)] = np.nan
    path = tmp_path_factory.mktemp("latest") / "a.npz"
    if dims == "clips":
        clips = np.array([[[0, 3], [5, 2]], [[3, 1], [8, 4]]])
        np.savez(path, input_raw_data=values[:, None], clips=clips)
    else:
        np.savez(path, frames=values, dims=dims)
    config = DataConfig(source=str(path), range=(0, 1), max_missing=max_missing, frames=frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("framecast.data.sources.value_scan.BLOCK", block)
        try:
            found = contexts(FileSource(config, last=count), count)
        except InputError:  # of a sequence of which nothing is there, a scan of all decides
            with suppress(InputError):
                shares = [np.isnan(some).mean((1, 2, 3)) for some in contexts(FileSource(config), count)]
                assert frames or any((share > (max_missing or 0.99)).all() for share in shares)
            return
    for latest, whole in zip(found, contexts(FileSource(config), count), strict=True):
        np.testing.assert_array_equal(latest, whole)
