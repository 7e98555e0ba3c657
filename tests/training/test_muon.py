"""Muon beside torch's own, and which weights it trains; a training whose sequences grow."""

from pathlib import Path

import pytest
import torch
from tests.training.test_train import recipe
from torch import Tensor, nn

from framecast.data.windows.loader import Batch
from framecast.devices import Launch
from framecast.models import ConvLSTM, PredRNNV2
from framecast.recipe.recipe import Recipe
from framecast.runs.folder import read_events
from framecast.training.muon import Muon, divide_kernels, orthogonalize
from framecast.training.start import measure_pace, resume, start

CPU = Launch("cpu")
SETTINGS = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-8}


def descend(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], gradients: list[list[Tensor]]) -> None:
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()


def test_kernels_move_as_by_torch_muon_and_the_rest_as_by_torch_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    kernel, bias = torch.randn(6, 4, 3, 3, generator=generator), torch.randn(6, generator=generator)
    steps = [[torch.randn(p.shape, generator=generator) for p in (kernel, bias)] for _ in range(4)]
    ours = [nn.Parameter(kernel.clone()), nn.Parameter(bias.clone())]
    descend(Muon(ours[:1], ours[1:], rate=0.02, momentum=0.95, **SETTINGS), ours, steps)

    matrix, other = nn.Parameter(kernel.flatten(1).clone()), nn.Parameter(bias.clone())
    muon = torch.optim.Muon(
        [matrix], lr=0.02, weight_decay=0.0, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    descend(muon, [matrix], [[step[0].flatten(1)] for step in steps])
    descend(torch.optim.Adam([other], **SETTINGS), [other], [[step[1]] for step in steps])
    # torch iterates in bfloat16
    moved = (matrix - kernel.flatten(1)).norm()
    assert (ours[0].flatten(1) - matrix).norm() < 0.03 * moved
    assert torch.allclose(ours[1], other, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (8, 8)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert not orthogonalize(torch.zeros(shape)).any()


def test_heads_biases_and_peepholes_are_left_to_adam() -> None:
    network = ConvLSTM(hidden=(4, 4), kernel_size=3, peephole="channel").build(1, 8, 8)
    kernels, others = divide_kernels(network, [network.head])
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert all(names[id(kernel)].startswith("cells") and kernel.ndim == 4 for kernel in kernels)
    assert any("peephole" in names[id(other)] for other in others)
    assert any(names[id(other)].startswith("head") for other in others)
    assert len(kernels) + len(others) == len(names)


def growing(**train: object) -> Recipe:
    stages = [{"until": 0.5, "context": 2, "horizon": 1}, {"until": 0.75, "context": 9, "horizon": 2}]
    return recipe(train={"steps": 8, "muon": {}, "growth": stages, "checkpoint_every": 1, **train})


def test_sequences_grow() -> None:
    train = growing().train
    assert [train.lengths(step, 3, 3) for step in (1, 4, 5, 6, 7, 8)] == [(2, 1)] * 2 + [(3, 2)] * 2 + [(3, 3)] * 2
    with pytest.raises(ValueError, match="ever later"):
        recipe(train={"growth": [{"until": 0.5, "context": 1, "horizon": 1}] * 2})


def test_a_part_of_a_window_lies_around_its_origin() -> None:
    frames = torch.arange(6.0)[None, :, None, None, None]
    batch = Batch(frames, frames > 1, [0], motion=torch.arange(3.0)[None, :, None, None, None])
    part = batch.around(3, 2, 1)
    assert part.frames.flatten().tolist() == [1, 2, 3]
    assert part.valid is not None
    assert part.valid.flatten().tolist() == [False, True, True]
    assert part.motion is not None
    assert part.motion.flatten().tolist() == [1, 2]
    assert batch.around(3, 3, 3) is batch


@pytest.mark.parametrize("base", ["none", "extrapolation"])
def test_a_grown_training_resumes_to_the_same_weights(tmp_path: Path, base: str) -> None:
    said = growing().model_copy(update={"model": PredRNNV2(hidden=(4, 4), kernel_size=3)})
    said = Recipe.model_validate({**said.model_dump(by_alias=True), "base": base})
    start(said, tmp_path / "whole", CPU, quiet=True)
    start(said, tmp_path / "cut", CPU, quiet=True)
    for path in sorted((tmp_path / "cut" / "checkpoints").glob("*.pt"))[1:]:
        path.unlink()
    resume(tmp_path / "cut", CPU, quiet=True)
    losses = [[e["loss"] for e in read_events(tmp_path / name / "events.jsonl", "train")] for name in ("whole", "cut")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 8


def test_the_pace_is_that_of_all_stages() -> None:
    assert measure_pace(growing(), CPU) > 0
