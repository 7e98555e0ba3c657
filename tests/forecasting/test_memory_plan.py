import subprocess
import sys
from pathlib import Path

import pytest
import torch

from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import (
    HEAP,
    SPARE,
    FrameMemory,
    MemoryLimits,
    MemoryPlan,
    measure_step_memory,
    plan_memory,
    with_tiles,
)
from framecast.models import LSTM, ConvLSTM, PredRNN
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

SPEC = FrameSpec(channels=1, height=16, width=16, low=0, high=255)
TINY = ConvLSTM(hidden=(8, 8), kernel_size=3)
NOTHING = FrameMemory(0, 0)
HELD = 500_000_000
"""Bytes that the process holds, as far as these tests know: what it really holds changes between two readings."""
DOMAIN = (1200, 800)


@pytest.fixture(autouse=True)
def steady_memory(monkeypatch) -> None:
    monkeypatch.setattr("framecast.forecasting.memory_plan.held_bytes", lambda *_: HELD)


def forecaster(config=TINY, **options) -> Forecaster:
    torch.manual_seed(0)
    return Forecaster(config, SPEC, Range(low=0, high=255), 2, **options).eval()


def chosen(room: MemoryLimits, config=TINY, size: tuple[int, int] = DOMAIN, batch_size: int = 1) -> MemoryPlan:
    return plan_memory(forecaster(config), size, batch_size=batch_size, frames=NOTHING, room=room)


def beside(megabytes: float) -> MemoryLimits:
    """That much more than the process holds."""
    return MemoryLimits(int(HELD + SPARE + megabytes * 1e6))


def test_the_limit_decides() -> None:
    need = measure_step_memory(forecaster())
    area = DOMAIN[0] * DOMAIN[1] // 4
    whole, state = (HEAP * area * bytes_ / 1e6 for bytes_ in (need.state + need.step, 2 * need.state))
    free = chosen(beside(whole + 50))
    assert free.layout is None
    assert free.tiles == 1
    tiled = chosen(beside((whole + state) / 2))
    assert tiled.layout is not None
    assert tiled.layout.exact()
    assert not tiled.layout.on_disk
    assert tiled.tiles > 1
    disk = chosen(beside(20))
    assert disk.layout is not None
    assert disk.layout.on_disk
    assert disk.need <= disk.limit
    with pytest.raises(UsageError, match="allow more"):
        chosen(MemoryLimits(1000))


def test_fewer_sequences_before_tiles() -> None:
    need = measure_step_memory(forecaster())
    whole = HEAP * 600 * 400 * (need.state + need.step) / 1e6
    found = chosen(beside(2.5 * whole), batch_size=8)
    assert found.layout is None
    assert found.batch_size == 2


def test_what_is_asked_for_is_done() -> None:
    layout = chosen(MemoryLimits(tile=51, overlap=9)).layout
    assert layout is not None
    assert (layout.tile, layout.overlap) == ((26, 26), 5)  # patches of 2 pixels
    assert chosen(MemoryLimits(tile=0)).layout is None
    with pytest.raises(UsageError, match="--overlap"):
        chosen(MemoryLimits(tile=20, overlap=20))
    with pytest.raises(UsageError, match="allow more"):
        chosen(MemoryLimits(memory=1000, tile=0))


@pytest.mark.parametrize(
    ("config", "tile"),
    [
        (TINY, None),
        (ConvLSTM(hidden=(8,), kernel_size=3, peephole="full"), (8, 8)),
        (PredRNN(hidden=(8,), kernel_size=3, layer_norm="channel_affine"), (8, 8)),
        (LSTM(hidden=(8,)), (8, 8)),
    ],
)
def test_networks_that_know_one_size_get_it(config, tile) -> None:
    layout = chosen(MemoryLimits(), config, (40, 32)).layout
    assert (None if layout is None else layout.tile) == tile
    assert chosen(MemoryLimits(), config, (16, 16)).layout is None


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_frame_of_the_trained_size_that_does_not_fit(batch_size: int) -> None:
    """Smaller tiles show a layer norm less than it was trained on, so they blend; a network of one size has none."""
    spec = SPEC.model_copy(update={"height": 400, "width": 300})

    def planned(config, share: float) -> MemoryPlan:
        model = Forecaster(config, spec, Range(low=0, high=255), 2).eval()
        need = measure_step_memory(model)
        whole = HEAP * 200 * 150 * (need.state + need.step) / 1e6
        return plan_memory(model, (400, 300), batch_size=batch_size, frames=NOTHING, room=beside(share * whole))

    norm = PredRNN(hidden=(8,), kernel_size=3, layer_norm="channel_affine")
    assert planned(norm, 1.5).layout is None
    for share in (0.6, 0.2, 0.05):
        found = planned(norm, share)
        assert found.layout is not None
        assert found.tiles > 1
        assert max(found.layout.tile) // 5 <= found.layout.overlap <= -(-max(found.layout.tile) // 3)
        assert not found.layout.exact()
        assert found.need <= found.limit
    full = ConvLSTM(hidden=(8,), kernel_size=3, peephole="full")
    assert planned(full, 1.5).layout is None
    with pytest.raises(UsageError, match=r"allow more: this network takes frames of one size"):
        planned(full, 0.5)


def test_an_overlap_of_no_tiles_is_no_silent_wish() -> None:
    for asked in (MemoryLimits(overlap=8), MemoryLimits(tile=0, overlap=8)):
        with pytest.raises(UsageError, match=r"--overlap: got 8 pixels, expected tiles.*give --tile"):
            with_tiles(forecaster(), (40, 32), asked)
    with pytest.raises(UsageError, match="--overlap"):
        chosen(MemoryLimits(tile=0, overlap=8))
    assert "--overlap has no meaning" in str(chosen(MemoryLimits(overlap=8), size=(40, 32)))
    assert "--overlap" not in str(chosen(MemoryLimits(tile=20, overlap=8), size=(40, 32)))
    assert with_tiles(forecaster(), (40, 32), MemoryLimits(tile=20, overlap=8)).network.layout.overlap == 4


CHILD = """
import sys, torch
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import FrameMemory, MemoryLimits, plan_memory
from framecast.memory_usage import peak_bytes
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

torch.set_num_threads(1)
spec = FrameSpec(channels=1, height=64, width=64, low=0, high=1)
model = Forecaster(ConvLSTM(hidden=(32, 32), kernel_size=3), spec, Range(low=0, high=1), 4).eval()
past = [(torch.rand(1, 1, 1000, 1000), None)] * 2
list(model.ahead([(torch.rand(1, 1, 64, 64), None)], 2))
limit = int(sys.argv[1]) + peak_bytes() if sys.argv[1] != "0" else None
frames = FrameMemory(0, 24 * 1000**2)
how = plan_memory(model, (1000, 1000), batch_size=1, frames=frames, room=MemoryLimits(limit))
for _ in how.apply(model).ahead(past, 3):
    pass
print(how.tiles, how.layout is not None and how.layout.on_disk, how.need, peak_bytes(), limit or 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("more", [0, 90_000_000])
def test_the_limit_is_kept_and_the_estimate_is_good(more: int) -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, str(more)], capture_output=True, text=True, check=True)
    tiles, on_disk, estimate, peak, limit = done.stdout.split()
    assert (int(tiles) > 1) == (more > 0)
    assert (on_disk == "True") == (more > 0)
    assert int(peak) == pytest.approx(int(estimate), rel=0.25)
    assert not more or int(peak) <= int(limit)
