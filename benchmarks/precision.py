"""What each precision costs in digits, on the weights of a trained run: `python benchmarks/precision.py RUN`.

Outputs and the gradients of all weights of one training step of whole sequences, against float64: direct float32, the
fast kernels, and TF32 as tensor cores do it (inputs of every product rounded to 10-bit mantissas, sums in float32).
Prints a Markdown table; --json writes every error.

The run of docs/performance.md:

    framecast train predrnn --data moving-mnist --out RUN --steps 3000 --set model.hidden=[32,32] \\
        --set model.kernel_size=5 --batch-size 4 --lr 1e-3 \\
        --set 'sampling={kind: scheduled, start: 1.0, rate: 4.0e-4, stop: 2500}'
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import grad as conv_gradients
from torch.nn.functional import conv2d

from framecast import kernels
from framecast.data import evaluation_batches, open_data
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.kernels.reference import Direct
from framecast.nn.network import Network
from framecast.nn.rollout import rollout
from framecast.recipe.recipe import Recipe, read_run_recipe
from framecast.runs.folder import RunFolder

SEQUENCES = 4


def rounded(x: Tensor) -> Tensor:
    """float32 with 10 bits of mantissa, to the nearest, ties to even."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x, weight = rounded(x), rounded(weight)
        ctx.save_for_backward(x, weight)
        return conv2d(x, weight, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        dy, padding = rounded(dy), weight.shape[-1] // 2
        dx = conv_gradients.conv2d_input(x.shape, weight, dy, padding=padding)
        return dx, conv_gradients.conv2d_weight(x, weight.shape, dy, padding=padding)


class TF32(Direct):
    """Convolutions as tensor cores carry them out."""

    def conv(self, maps: tuple[Tensor, ...], prepared: Tensor, bias: Tensor | None, kernel_size: int) -> Tensor:
        """Products of rounded numbers; the bias is added exactly."""
        y = _Rounded.apply(torch.cat(maps, 1), prepared)
        return y if bias is None else y + bias[:, None, None]


def answers(network: Network, frames: Tensor, context: int) -> dict[str, Tensor]:
    """Predictions and all gradients, as double."""
    network.zero_grad()
    steps = frames.shape[1] - 1
    known = (torch.arange(steps) < context).expand(len(frames), steps)
    result = rollout(network, frames, steps, known, aux=network.regularizer is not None)
    loss = (result.frames - frames[:, 1:]).square().mean()
    if network.regularizer is not None:
        loss = loss + 0.1 * network.regularizer(result.aux)
    loss.backward()
    gradients = {name: p.grad.double() for name, p in network.named_parameters() if p.grad is not None}
    return {"output": result.frames.detach().double(), **gradients}


def errors(network: Network, frames: Tensor, context: int) -> dict[str, dict[str, float]]:
    """Relative root mean square error by form and by tensor."""
    exact = answers(copy.deepcopy(network).double(), frames.double(), context)
    forms: dict[str, dict[str, float]] = {}
    for name, precision, backend in (("direct", "highest", None), ("fast", "high", None), ("TF32", "highest", TF32())):
        kernels.set_precision(precision)
        kernels.set_backend(backend)
        got = answers(network.float(), frames.float(), context)
        kernels.set_backend(None)
        forms[name] = {key: float((got[key] - value).norm() / value.norm()) for key, value in exact.items()}
    return forms


def sequences(forecaster: Forecaster, recipe: Recipe) -> Tensor:
    """The first test sequences, in the network's units and layout."""
    data = open_data(recipe.data, context=recipe.context, horizon=recipe.horizon, seed=recipe.seed)
    batch = next(iter(evaluation_batches(data, "test", SEQUENCES, limit=SEQUENCES)))
    return forecaster.encode(batch.frames)


def fresh(recipe: Recipe, like: Network, frames: Tensor) -> Network:
    """The same network before training."""
    torch.manual_seed(recipe.seed)
    network = recipe.model.build(*frames.shape[2:])
    assert type(network) is type(like)
    return network


def row(weights: str, form: str, found: dict[str, float], tf32: dict[str, float]) -> str:
    """One line of the table."""
    gradients = [value for name, value in found.items() if name != "output"]
    times = min(tf32[name] / found[name] for name in found)
    return (
        f"| {weights} | {form} | {found['output']:.1e} | {statistics.median(gradients):.1e} | {max(gradients):.1e} | "
        f"{times:.0f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--json", type=Path, help="new file for all errors")
    asked = parser.parse_args()
    recipe, forecaster = read_run_recipe(RunFolder(asked.run).opened().recipe), load(asked.run)
    frames = sequences(forecaster, recipe)
    networks = {"initial": fresh(recipe, forecaster.network, frames), "trained": forecaster.network}
    found = {name: errors(network, frames, recipe.context) for name, network in networks.items()}
    print("| weights | form | outputs | gradients, median | gradients, worst | times below TF32, at least |")
    print("|---|---|---|---|---|---|")
    for weights, forms in found.items():
        for form, by_tensor in forms.items():
            print(row(weights, form, by_tensor, forms["TF32"]))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
