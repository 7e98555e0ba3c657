"""Terms of the loss that do not reward blur: what is scored can be trained."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from framecast.recipe.loss_term import Moment, Term
from framecast.transforms.normalize import Positive
from framecast.types import Finite

FEW = 20.0
"""Pixels added to the union of events, so that a sequence with next to none says little."""
FAINT = 1e-6
"""Product of values, network units squared, added for each pixel to the norms of a correlation: two fields of 1e-3 say
little of each other."""
TINY = 1e-12
"""Added in the divergence, so that a logarithm of 0 is finite."""
_STREAM = 0xFAC1
"""First number of the seeds of `Fourier`'s draws; part of the results."""


class SoftCSI(Term):
    """One less the critical success index of events above thresholds, with the forecast's events soft.

    An event is forecast to the degree s = sigmoid((x - threshold) / width). With truths o the term is
    1 - sum(s o) / (sum(s + o - s o) + 20), of each sequence, lead time and threshold, averaged.

    Args:
        thresholds: raw units.
        width: raw units.
    """

    kind: Literal["csi"] = "csi"
    thresholds: Annotated[tuple[Finite, ...], Field(min_length=1)]
    width: Positive

    @property
    def levels(self) -> tuple[float, ...]:
        """Thresholds, and the values one width above them."""
        return (*self.thresholds, *(threshold + self.width for threshold in self.thresholds))

    def _said_of_levels(self) -> str:
        return " (and one width above them)"

    def _measure(
        self, prediction: Tensor, truth: Tensor, mask: Tensor, levels: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        terms = []
        for low, high in zip(*levels.chunk(2), strict=True):
            happened = ((truth >= low) & mask).to(truth.dtype)
            forecast = torch.sigmoid((prediction - low) / (high - low)) * mask
            hits = (forecast * happened).sum((2, 3, 4))
            union = (forecast + happened).sum((2, 3, 4)) - hits
            terms.append(1 - hits / (union + FEW))
        losses = torch.stack(terms).mean(0)
        return losses, torch.ones_like(losses)


class ValueWeights(Term):
    """Mean squared error with a weight for each pixel by the class of its true value, as for heavy rain.

    The term is sum(w(y) (x - y)^2) / N over the N observed pixels of a sequence, network units squared, with w the weight
    of the class that lies between two thresholds, the lower one included: B-MSE of Shi et al. 2017,
    https://arxiv.org/abs/1706.03458, whose classes end at 2, 5, 10 and 30 mm/h and weigh 1, 2, 5, 10 and 30.

    Args:
        thresholds: ends of the classes, ascending, raw units.
        weights: one for each class, one more than thresholds.
    """

    kind: Literal["weights"] = "weights"
    thresholds: Annotated[tuple[Finite, ...], Field(min_length=1)]
    weights: tuple[Annotated[float, Field(ge=0)], ...]

    @model_validator(mode="after")
    def _check_classes(self) -> ValueWeights:
        if any(high <= low for low, high in pairwise(self.thresholds)):
            raise ValueError(f"thresholds: got {list(self.thresholds)}, expected ascending values")
        if len(self.weights) != len(self.thresholds) + 1:
            expected = f"{len(self.thresholds) + 1}, one more than thresholds"
            raise ValueError(f"weights: got {len(self.weights)}, expected {expected}")
        if not any(self.weights):
            raise ValueError("weights: got 0 alone, expected one above 0")
        return self

    @property
    def levels(self) -> tuple[float, ...]:
        """Thresholds."""
        return self.thresholds

    def _measure(
        self, prediction: Tensor, truth: Tensor, mask: Tensor, levels: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        number = torch.zeros_like(truth, dtype=torch.long)
        for level in levels:
            number = number + (truth >= level)
        weighted = truth.new_tensor(self.weights)[number] * (prediction - truth).square()
        return weighted.sum((2, 3, 4)), mask.sum((2, 3, 4))


class Fourier(Term):
    """Fourier Amplitude and Correlation Loss: at each iteration by chance one of the two.

    With F the orthonormal 2-d Fourier transform of a frame of the truth, G that of the forecast, of each channel:

        correlation = 1 - Re<G, F> / sqrt(|G|^2 |F|^2 + e^2),  e = 1e-6 H W
        amplitude = mean((|G| - |F|)^2)

    The correlation is drawn with a chance that falls linearly from 1 to 0, and then, in the last `amplitude_share` of the
    iterations, is 0. One draw serves the whole batch of an iteration. Missing pixels are 0 in both fields; frames
    without an observed pixel do not count. Yan et al., NeurIPS 2024, https://arxiv.org/abs/2410.23159.

    Args:
        amplitude_share: share of the iterations, the last ones, that have amplitudes alone.
        correlation_weight: factor of the correlation, of size 1, beside the amplitude, of the size of a squared error.

    Note:
        The correlation is that of each frame, where codes that we know of take one over a whole batch: so that batches
        can be divided. By Parseval's theorem it needs no transform.
    """

    kind: Literal["facl"] = "facl"
    amplitude_share: Annotated[float, Field(ge=0, le=1)] = 0.4
    correlation_weight: Positive = 1.0

    def chance(self, iteration: int, total: int) -> float:
        """Compute the chance of the correlation at an iteration, 1 for the first, of a training."""
        falling = (1 - self.amplitude_share) * total
        return max(0.0, 1 - (iteration - 1) / falling) if falling else 0.0

    def draws_correlation(self, moment: Moment) -> bool:
        """Whether the correlation is drawn, not the amplitude."""
        drawn = np.random.default_rng([_STREAM, moment.seed, moment.iteration]).random()
        return bool(drawn < self.chance(moment.iteration, moment.total))

    def _measure(
        self, prediction: Tensor, truth: Tensor, mask: Tensor, levels: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        counts = mask.any(-1).any(-1)
        if self.draws_correlation(moment):
            each = self.correlation_weight * _compute_decorrelation(prediction, truth)
        else:
            amplitudes = [torch.fft.fft2(field, norm="ortho").abs() for field in (prediction, truth)]
            each = (amplitudes[0] - amplitudes[1]).square().mean((-2, -1))
        return (each * counts).sum(2), counts.sum(2)


def _compute_decorrelation(one: Tensor, other: Tensor) -> Tensor:
    """One less the correlation about zero of maps (..., H, W)."""
    product, *norms = ((a * b).sum((-2, -1)) for a, b in ((one, other), (one, one), (other, other)))
    floor = FAINT * one.shape[-1] * one.shape[-2]
    return 1 - product / (norms[0] * norms[1] + floor**2).sqrt()


class GradientDifference(Term):
    """Gradient difference loss: how much the steps between neighbouring pixels differ in size.

    The term is the mean of ||x_i - x_j| - |y_i - y_j||^power over all pairs of neighbours i, j, along rows and columns,
    both observed; x the forecast, y the truth, network units. Mathieu et al. 2016, https://arxiv.org/abs/1511.05440.

    Args:
        power: 1 or 2.
    """

    kind: Literal["gradient"] = "gradient"
    power: Literal[1, 2] = 1

    def _measure(
        self, prediction: Tensor, truth: Tensor, mask: Tensor, levels: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        sums, counts = [], []
        for axis in (-2, -1):
            length = mask.shape[axis] - 1
            pairs = mask.narrow(axis, 0, length) & mask.narrow(axis, 1, length)
            difference = (prediction.diff(dim=axis).abs() - truth.diff(dim=axis).abs()).abs()
            sums.append((difference**self.power * pairs).sum((2, 3, 4)))
            counts.append(pairs.sum((2, 3, 4)))
        return sums[0] + sums[1], counts[0] + counts[1]


class Divergence(Term):
    """Differential divergence: how the changes from frame to frame are spread over a frame.

    With p and q the softmax over all pixels and channels of the differences of successive frames of the forecast and of
    the truth, divided by a temperature, the term is the mean of p log(p / (q + e) + e), e = 1e-12, over the pixels of
    each frame but the first. Differences of missing pixels are 0. Tan et al. 2023, https://arxiv.org/abs/2206.12126, with
    a weight of 0.1.

    Args:
        temperature: network units.

    Note:
        The published code leaves the term out for two frames or fewer. Ours counts whenever there are two.
    """

    kind: Literal["divergence"] = "divergence"
    temperature: Positive = 0.1

    def _measure(
        self, prediction: Tensor, truth: Tensor, mask: Tensor, levels: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        both = mask[:, 1:] & mask[:, :-1]
        changes = (torch.where(both, field.diff(dim=1), 0) / self.temperature for field in (prediction, truth))
        p, q = (change.flatten(2).softmax(2) for change in changes)
        each = (p * torch.log(p / (q + TINY) + TINY)).sum(2)
        counts = both.any(2).any(-1).any(-1) * (mask[0, 0].numel())
        # the first frame, which no change leads to, does not count
        return F.pad(each * (counts > 0), (1, 0)), F.pad(counts.to(each.dtype), (1, 0))


LossTerm = Annotated[SoftCSI | ValueWeights | Fourier | GradientDifference | Divergence, Field(discriminator="kind")]
