"""Raw units in, raw units out: a network with everything that it needs to be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framecast.errors import InputError, UsageError
from framecast.models import ModelConfig
from framecast.network import Aux, Network, NetworkState
from framecast.normalize import Normalizer
from framecast.patches import pad, patchify, unpatchify
from framecast.rollout import Rollout, rollout
from framecast.tiled import Layout, TiledNetwork, check_tile
from framecast.transfer import sent
from framecast.types import FrameSpec

Fill = Literal["low", "mean"]
"""What the network sees at a missing pixel: the low end of the value range, or the mean of the observed pixels."""


def _native(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """The array in an order of bytes and of axes that torch takes."""
    if frames.dtype.kind not in "fiub":
        raise InputError("frames", got=f"dtype {frames.dtype}", expected="real numbers")
    return np.ascontiguousarray(frames, dtype=frames.dtype.newbyteorder("="))


class Ahead(NamedTuple):
    """One predicted frame."""

    frame: Tensor
    """(B, C, H, W), raw units."""
    aux: Aux
    """What the step reported."""


class Forecaster(nn.Module):
    """A network, the frames it was made for, and the way from raw units to its own and back.

    Args:
        config: the network's configuration.
        spec: what a frame is. Other sizes are welcome unless the network has parameters of the map's shape.
        normalizer: raw units to network units.
        patch: P, pixels; sizes that it does not divide are padded and cropped.
        fill: what the network sees at missing pixels.
        context: how many frames it was trained to see, for information.
        network: the one that the configuration built; None to build it with fresh weights.
    """

    def __init__(
        self,
        config: ModelConfig,
        spec: FrameSpec,
        normalizer: Normalizer,
        patch: int,
        *,
        fill: Fill = "low",
        context: int | None = None,
        network: Network | None = None,
    ) -> None:
        super().__init__()
        self.config, self.spec, self.normalizer = config, spec, normalizer
        self.patch, self.fill, self.context = patch, fill, context
        height, width = self.cells(spec.height, spec.width)
        self.network = network or config.build(spec.channels * patch**2, height, width)

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the map of a frame of so many pixels."""
        return -(-height // self.patch), -(-width // self.patch)

    def tiled(self, layout: Layout) -> Forecaster:
        """The same forecaster, same weights, computing in tiles; a network of one size then takes larger frames."""
        network = TiledNetwork(self.network, layout, lambda patches: self.decode(patches, (self.patch, 2**62)))
        parts = (self.config, self.spec, self.normalizer, self.patch)
        return Forecaster(*parts, fill=self.fill, context=self.context, network=network).train(self.training)

    def predict(
        self, frames: Tensor | NDArray[np.generic], horizon: int, valid: Tensor | NDArray[np.bool_] | None = None
    ) -> Tensor | NDArray[np.generic]:
        """Predict the frames that follow.

        Args:
            frames: (B, J, C, H, W), raw units, any real dtype; any J >= 1.
            horizon: K, how many frames to predict; any number.
            valid: (B, J, C, H, W), False where a pixel is missing; without it all must be finite.

        Returns:
            (B, K, C, H, W), raw units, in the dtype of the weights; an array if an array was given.

        Raises:
            InputError: frames that do not fit the model's contract.
        """
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        if isinstance(frames, np.ndarray):
            frames = _native(frames)
            given = None if valid is None else torch.as_tensor(valid)
            return torch.as_tensor(self.predict(torch.from_numpy(frames), horizon, given)).cpu().numpy()
        mask = None if valid is None else torch.as_tensor(valid)
        self._check(frames, mask)
        context, size = frames.shape[1], frames.shape[-2:]
        with torch.inference_mode():
            patches = self.encode(frames, mask)
            predicted = self._rollout(patches, context + horizon - 1).frames[:, context - 1 :]
            return self.decode(predicted, (size[0], size[1]))

    def ahead(self, past: Iterable[tuple[Tensor, Tensor | None]], horizon: int) -> Iterator[Ahead]:
        """Predict frame by frame: what `predict` gives, with one frame and the state in memory at a time.

        Args:
            past: frames (B, C, H, W), raw units, oldest first, each with what is valid of it, see `step`; one or more.
            horizon: K.

        Raises:
            InputError: frames that do not fit the model's contract.
        """
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        found = None
        for frame, valid in past:
            frames, mask = frame[:, None], None if valid is None else valid[:, None]
            self._check(frames, mask)
            size = (frame.shape[-2], frame.shape[-1])
            found = self._rollout(self.encode(frames, mask), 1, None if found is None else found.state)
        if found is None:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        for lead in range(horizon):
            yield Ahead(self.decode(found.frames, size)[:, 0], found.aux[0] if found.aux else {})
            if lead + 1 < horizon:
                found = self._rollout(found.frames, 1, found.state)

    def _rollout(self, patches: Tensor, steps: int, state: NetworkState | None = None) -> Rollout:
        """With reports where there are tiles, whose steps are not recorded: a recording would hold all of them."""
        with torch.inference_mode():
            return rollout(self.network, patches, steps, state=state, aux=isinstance(self.network, TiledNetwork))

    def step(
        self, frame: Tensor, state: NetworkState | None = None, valid: Tensor | None = None
    ) -> tuple[Tensor, NetworkState]:
        """Take one real frame of a stream.

        Args:
            frame: (B, C, H, W), raw units.
            state: what the last `step` gave; None at the start.
            valid: (B, C, H, W), False where a pixel is missing.

        Returns:
            the next frame (B, C, H, W) as predicted, raw units, and the state to go on with.
        """
        frames, state = self._ahead(frame, state, 1, valid)
        return frames[:, 0], state

    def branch(self, frame: Tensor, state: NetworkState | None, horizon: int, valid: Tensor | None = None) -> Tensor:
        """Look ahead from the middle of a stream; `state` is a value, and the stream can go on from it.

        Args:
            frame: the newest real frame, (B, C, H, W), raw units.
            state: what the `step` before it gave; None if it is the first.
            horizon: K.
            valid: (B, C, H, W), False where a pixel is missing.

        Returns:
            (B, K, C, H, W), raw units: what `predict` gives for all frames of the stream.
        """
        return self._ahead(frame, state, horizon, valid)[0]

    def _ahead(
        self, frame: Tensor, state: NetworkState | None, horizon: int, valid: Tensor | None
    ) -> tuple[Tensor, NetworkState]:
        """`horizon` frames from one real one, and the state after the last of them."""
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1")
        frames, mask = frame[:, None], None if valid is None else valid[:, None]
        self._check(frames, mask)
        with torch.inference_mode():
            result = self._rollout(self.encode(frames, mask), horizon, state)
            return self.decode(result.frames, (frame.shape[-2], frame.shape[-1])), result.state

    def encode(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Raw frames (B, T, C, H, W) to patches in network units (B, T, P*P*C, H', W')."""
        weight = next(self.network.parameters())
        frames = sent(frames, weight.device).to(weight.dtype)
        if valid is not None:
            frames = self._filled(frames, sent(valid, weight.device))
        return patchify(pad(self.normalizer.normalize(frames), self.patch), self.patch)

    def decode(self, patches: Tensor, size: tuple[int, int]) -> Tensor:
        """Patches in network units to raw frames (B, T, C, *size)."""
        return self.normalizer.denormalize(unpatchify(patches, self.patch)[..., : size[0], : size[1]])

    def _filled(self, frames: Tensor, valid: Tensor) -> Tensor:
        low = torch.full((), self.spec.low, dtype=frames.dtype, device=frames.device)
        if self.fill == "low":
            return torch.where(valid, frames, low)
        count = valid.sum((-2, -1), keepdim=True)
        mean = torch.where(valid, frames, 0).sum((-2, -1), keepdim=True) / count
        return torch.where(valid, frames, torch.where(count > 0, mean, low))

    def _check(self, frames: Tensor, valid: Tensor | None) -> None:
        spec = self.spec
        if frames.ndim != 5:
            raise InputError(
                "frames", got=f"shape {tuple(frames.shape)}", expected="(batch, time, channel, height, width)"
            )
        if frames.shape[1] < 1:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        if frames.shape[2] != spec.channels:
            raise InputError("frames", got=f"{frames.shape[2]} channels", expected=f"{spec.channels}, as trained")
        if self.config.fixed_size and isinstance(self.network, TiledNetwork):
            check_tile(self.network.layout.tile, self.cells(*frames.shape[-2:]))
        elif self.config.fixed_size and frames.shape[-2:] != (spec.height, spec.width):
            raise InputError(
                "frames",
                got="x".join(map(str, frames.shape[-2:])),
                expected=f"{spec.height}x{spec.width}: this network has parameters of the map's shape",
                fix="cut or resize the frames, or train a network without full peepholes and chw norms",
            )
        if valid is not None and valid.shape != frames.shape:
            raise InputError(
                "valid", got=f"shape {tuple(valid.shape)}", expected=f"that of the frames, {tuple(frames.shape)}"
            )
        observed = frames if valid is None else torch.where(valid.to(frames.device), frames, 0)
        if frames.is_floating_point() and not torch.isfinite(observed).all():
            bad = int((~torch.isfinite(observed)).sum())
            raise InputError(
                "frames", got=f"{bad} NaN or infinite pixels", expected="finite ones", fix="mark them in valid="
            )
