"""Model folders, which users load and share: weights in safetensors, everything else in JSON.

    model/model.json                      configuration, spec, normalizer, and the name and hash of the weights
    model/weights-1a2b3c4d.safetensors

The JSON is written last and names the weights, so that the two never disagree.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError

from framecast import files
from framecast.documents import parse_json, read_document
from framecast.errors import CheckpointError, FramecastError, UsageError
from framecast.files import json_safe
from framecast.forecast import UNNAMED, ModelOrigin
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.weight_files import check_safetensors
from framecast.models import MODELS, ModelConfig
from framecast.transforms.normalize import Normalizer
from framecast.types import FrameSpec

FORMAT = 1
"""Version of model.json."""
ORIGIN_KEYS = ("step", "source", "converted_from")
"""Keys of the entry "about" that are fields of ModelOrigin."""


def save_forecaster(path: str | Path, forecaster: Forecaster, about: dict[str, Any] | None = None) -> None:
    """Write a Forecaster to a folder; a model that is in it is replaced as a whole.

    Args:
        path: a new or empty folder, or one that holds a model.
        forecaster: the model.
        about: facts about its training, plain values: step, scores, source.

    Raises:
        UsageError: a folder that holds something else.

    Example:
        >>> import framecast
        >>> from framecast.models import ConvLSTM
        >>> from framecast.transforms.normalize import Identity
        >>> spec = framecast.FrameSpec(channels=1, height=8, width=8)
        >>> forecaster = framecast.Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), spec, Identity(), patch=2)
        >>> framecast.save_forecaster("models/small", forecaster, {"trained_on": "nothing yet"})
    """
    folder = Path(path)
    previous = _find_weights(folder)
    weights = {name: value.detach().cpu().contiguous() for name, value in forecaster.network.state_dict().items()}
    content = safetensors.torch.save(weights)
    final = folder / f"weights-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
    digest = files.write(final, lambda file: file.write(content))
    description = {
        "format": FORMAT,
        "model": forecaster.config.model_dump(mode="json"),
        "spec": forecaster.spec.model_dump(mode="json"),
        "normalizer": forecaster.normalizer.model_dump(mode="json"),
        "patch": forecaster.patch,
        "fill": forecaster.fill,
        "mask_channel": forecaster.mask_channel,
        "context": forecaster.context,
        "weights": final.name,
        "sha256": digest,
        "about": about or {},
    }
    files.write_text(folder / "model.json", json.dumps(json_safe(description), indent=2, allow_nan=False) + "\n")
    if previous not in (None, final.name):
        # only now: until model.json named the new weights, the old model was whole
        (folder / str(previous)).unlink(missing_ok=True)


def _find_weights(folder: Path) -> str | None:
    """Find the name of the weights of the model in a folder; None for a folder that is empty or does not exist."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    try:
        name = str(describe(folder)["weights"])
    except (CheckpointError, KeyError) as error:
        fix = "choose another folder"
        raise UsageError(str(folder), got="a folder that holds something else than a model", fix=fix) from error
    return name if Path(name).name == name else None  # a path elsewhere is not ours to delete


def load(path: str | Path, *, model: type[ModelConfig] | None = None) -> Forecaster:
    """Load a Forecaster.

    Args:
        path: a run's folder or a model's folder.
        model: configuration class of a network that is not framecast's. Names in files are looked up in the registry,
            never imported.

    Returns:
        the Forecaster, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: no model in the folder, a damaged one, or one of an unknown network.

    Example:
        >>> import framecast
        >>> from framecast.models import ConvLSTM
        >>> from framecast.transforms.normalize import Identity
        >>> spec = framecast.FrameSpec(channels=1, height=8, width=8)
        >>> forecaster = framecast.Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), spec, Identity(), patch=2)
        >>> framecast.save_forecaster("models/tiny", forecaster)
        >>> framecast.load("models/tiny").spec.height
        8
    """
    folder = Path(path)
    if (folder / "model" / "model.json").is_file():
        folder = folder / "model"
    description = describe(folder)
    weights = folder / str(description.get("weights"))
    if weights.parent != folder or not weights.is_file():
        raise CheckpointError(str(weights), got="no such file", expected="the weights that model.json names")
    if files.sha256(weights) != description.get("sha256"):
        raise CheckpointError(str(weights), got="another sha256", expected="that of model.json", fix="copy it again")
    dtype = check_safetensors(weights, lambda: _build(description, folder, model))
    forecaster = _build(description, folder, model).to(dtype)
    forecaster.network.load_state_dict(safetensors.torch.load_file(weights))
    return forecaster.eval()


def describe(folder: Path) -> dict[str, Any]:
    """Read model.json.

    Raises:
        CheckpointError: no such file, or a damaged one.
    """
    try:
        description = read_document(folder / "model.json", parse_json)
    except OSError as error:
        fix = "train first, resume a run that was stopped before its first model, or give the folder of model.json"
        raise CheckpointError(
            str(folder),
            got="no model in it" if folder.is_dir() else "no such folder",
            expected="a run's or a model's folder",
            fix=fix,
        ) from error
    except ValueError as error:
        got = f"damaged JSON ({error})"
        raise CheckpointError(str(folder / "model.json"), got=got, fix="copy it again") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(str(folder / "model.json"), got="an unknown format", expected=f"format {FORMAT}")
    return description


def _build(description: dict[str, Any], folder: Path, model: type[ModelConfig] | None) -> Forecaster:
    """Build the Forecaster of a model.json, with fresh weights."""
    name = description.get("model", {}).get("name")
    kind = model or MODELS.get(str(name))
    if kind is None:
        fix = "give its class: load(path, model=Class), or --model package.module:Class"
        raise CheckpointError(str(folder), got=f"network {name!r}", expected=f"one of {', '.join(MODELS)}", fix=fix)
    try:
        with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random numbers as they are
            return Forecaster(
                kind.model_validate(description["model"]),
                FrameSpec.model_validate(description["spec"]),
                TypeAdapter(Normalizer).validate_python(description["normalizer"]),
                int(description["patch"]),
                fill=description["fill"],
                mask_channel=bool(description.get("mask_channel", False)),
                context=description["context"],
                origin=_make_origin(description),
            )
    except (KeyError, ValidationError, FramecastError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(str(folder / "model.json"), got=f"a description that does not hold ({first})") from error


def _make_origin(description: dict[str, Any]) -> ModelOrigin:
    about = description.get("about", {})
    training = {name: str(about[name]) for name in ORIGIN_KEYS if name in about}
    return ModelOrigin(str(description["model"].get("name", UNNAMED)), str(description.get("sha256", "")), **training)
