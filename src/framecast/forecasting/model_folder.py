"""Model folders, which users load and share: weights in safetensors, everything else in JSON.

    model/model.json                      configuration, spec, normalizer, name and hash of the weights; its own digest
    model/weights-1a2b3c4d.safetensors

The JSON is written last and names the weights, so that the two never disagree.
"""

from __future__ import annotations

import hashlib
import re
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from framecast import files, json_files
from framecast.bases.config import NO_BASE, BaseConfig, Head
from framecast.documents import explain_invalid
from framecast.errors import CheckpointError, UsageError, make_printable
from framecast.forecast import UNNAMED, ModelOrigin
from framecast.forecasting.context import explain_missing
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.weight_files import check_safetensors
from framecast.models import MODELS, BaseAlone, ModelConfig, find_config
from framecast.trained import find_model
from framecast.transforms.missing import Fill
from framecast.transforms.normalize import Normalizer
from framecast.types import Count, FrameSpec, Patch

FORMAT = 1
"""Version of model.json."""
DESCRIPTION = "model.json"
_UNFINISHED = re.compile(r"weights-([0-9a-f]{8})\.safetensors|\.(weights-.*|model\.json\..*)part")
"""Names that a first save leaves if it is killed before model.json is there."""
ORIGIN_KEYS = ("step", "source", "converted_from")
"""Keys of the entry "about" that are fields of ModelOrigin."""


class _Description(BaseModel):
    """Fields of model.json."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    model: dict[str, Any]
    spec: dict[str, Any]
    normalizer: dict[str, Any]
    patch: Patch
    fill: Fill
    mask_channel: bool = False
    context: Count | None
    spin_up: Count | None = None
    base: BaseConfig = NO_BASE
    head: Head = "change"
    weights: Annotated[str, Field(max_length=255)]
    sha256: str
    about: dict[str, Any] = {}


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
    if folder.exists():
        _check_replaceable(folder)
        write_model(folder, forecaster, about)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.staged(folder, folder=True) as temporary:
        write_model(temporary, forecaster, about)


def write_model(folder: Path, forecaster: Forecaster, about: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write a Forecaster to a folder of its own, whatever a save that was cut short or a disk has left there.

    Args:
        folder: the folder; an earlier model in it is replaced as a whole, other files stay.
        forecaster: the model.
        about: facts about its training, plain values.

    Returns:
        the content of model.json.
    """
    try:
        previous = str(describe(folder)["weights"])
    except CheckpointError:
        previous = None
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
        "spin_up": forecaster.spin_up,
        "base": forecaster.base_config.model_dump(mode="json"),
        "head": forecaster.head,
        "weights": final.name,
        "sha256": digest,
        "about": about or {},
    }
    write_description(folder, description)
    if previous not in (None, final.name):
        # only now: until model.json named the new weights, the old model was whole
        remove_weights(folder, str(previous))
    saved: dict[str, Any] = json_files.json_safe(description)
    return saved


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write model.json."""
    json_files.write_json(folder / DESCRIPTION, description, indent=2)


def remove_weights(folder: Path, name: str) -> None:
    """Remove weights that model.json names no longer; a path elsewhere is not ours to delete."""
    if Path(name).name == name:
        (folder / name).unlink(missing_ok=True)


def find_fault(folder: Path) -> str | None:
    """Find out what is wrong with a model's folder; None for a whole model."""
    try:
        _find_weights(folder, describe(folder))
    except CheckpointError as error:
        return str(error)
    return None


def _check_replaceable(folder: Path) -> None:
    """Check that a folder is empty, or holds a model, or what a save of one has left that was killed.

    Raises:
        UsageError: it holds something else.
    """
    if folder.is_dir() and all(_is_unfinished(path) for path in folder.iterdir()):
        return
    try:
        describe(folder)
    except CheckpointError as error:
        fix = "choose another folder"
        raise UsageError(str(folder), got="a folder that holds something else than a model", fix=fix) from error


def _is_unfinished(path: Path) -> bool:
    match = _UNFINISHED.fullmatch(path.name)
    return match is not None and path.is_file() and (match[1] is None or files.sha256(path).startswith(match[1]))


def _find_weights(folder: Path, description: dict[str, Any]) -> Path:
    """Find the weights that model.json names.

    Raises:
        CheckpointError: no such file in the folder, or another one than was saved.
    """
    weights = folder / str(description.get("weights"))
    if weights.parent != folder or not weights.is_file():
        got = "no file" if weights.exists() else "no such file"
        raise CheckpointError(str(weights), got=got, expected="the weights that model.json names")
    if files.sha256(weights) != description.get("sha256"):
        raise CheckpointError(str(weights), got="another sha256", expected="that of model.json", fix="copy it again")
    return weights


def load(path: str | PathLike[str], *, model: type[ModelConfig] | None = None) -> Forecaster:
    """Load a Forecaster.

    Args:
        path: a run or its folder, a model's folder, the name of a trained model of the package, see `framecast models
            --trained`, or of one on the hub, as in hf://OWNER/NAME.
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
    folder = named = Path(find_model(fspath(path)))
    if (folder / "model" / DESCRIPTION).exists() or (folder / "model").is_file():
        folder = folder / "model"
    description = describe(folder)
    weights = _find_weights(folder, description)
    dtype = check_safetensors(weights, lambda: _build(description, folder, model))
    forecaster = _build(description, folder, model).to(dtype)
    forecaster.network.load_state_dict(safetensors.torch.load_file(weights))
    forecaster.eval().folder = named.absolute()  # which stays right where the current folder changes
    return forecaster


def describe(folder: Path) -> dict[str, Any]:
    """Read model.json.

    Raises:
        CheckpointError: no such file, a damaged one, or fields that describe no model.
    """
    path = folder / DESCRIPTION
    try:
        files.check_kind(folder, folder=True)
        files.check_kind(path)
        description = json_files.read_json(path)
    except UsageError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        fix = "train first, resume a run that was stopped before its first model, or give the folder of model.json"
        got = "no model in it"
        if not folder.is_dir():
            got, fix = "no such folder", explain_missing(folder.name) or fix
        raise CheckpointError(str(folder), got=got, expected="a run's or a model's folder", fix=fix) from error
    except ValueError as error:
        fix = "copy it again; in a run's folder, framecast resume makes it again"
        raise CheckpointError(str(path), got=f"damaged JSON ({error})", fix=fix) from error
    if description.get("format") != FORMAT:
        raise CheckpointError(str(path), got="an unknown format", expected=f"format {FORMAT}")
    try:
        _Description.model_validate(description)
    except ValidationError as error:
        raise _make_description_error(folder, explain_invalid(error, description).text) from error
    return description


def _make_description_error(folder: Path, fault: str) -> CheckpointError:
    """Make the error for a model.json that describes no model."""
    return CheckpointError(str(folder / DESCRIPTION), got=f"a description that does not hold ({fault})")


def _parse(kind: Any, description: dict[str, Any], key: str, folder: Path) -> Any:
    """Parse a part of model.json.

    Raises:
        CheckpointError: it does not hold.
    """
    try:
        return TypeAdapter(kind).validate_python(description[key])
    except ValidationError as error:
        fault = explain_invalid(error, description[key]).text
        raise _make_description_error(folder, f"{key}: {fault}") from error


def _build(description: dict[str, Any], folder: Path, model: type[ModelConfig] | None) -> Forecaster:
    """Build the Forecaster of a model.json, with fresh weights."""
    name = description.get("model", {}).get("name")
    kind = model or find_config(str(name))
    if kind is None:
        fix = "give its class, as in model=Class"
        raise CheckpointError(str(folder), got=f"network {name!r}", expected=f"one of {', '.join(MODELS)}", fix=fix)
    try:
        with torch.random.fork_rng(devices=[]):  # loading leaves the caller's random numbers as they are
            return Forecaster(
                _parse(kind, description, "model", folder),
                _parse(FrameSpec, description, "spec", folder),
                _parse(Normalizer, description, "normalizer", folder),
                int(description["patch"]),
                fill=description["fill"],
                mask_channel=bool(description.get("mask_channel", False)),
                context=description["context"],
                spin_up=description.get("spin_up"),
                base=_parse(BaseConfig, {"base": "none", **description}, "base", folder),
                head=description.get("head", "change"),
                origin=_make_origin(description),
            )
    except UsageError as error:
        raise _make_description_error(folder, str(error)) from error


def _make_origin(description: dict[str, Any]) -> ModelOrigin:
    about = description.get("about", {})
    training = {name: make_printable(str(about[name])) for name in ORIGIN_KEYS if name in about}
    name = str(description["model"].get("name", UNNAMED))
    if name == BaseAlone().name:
        name = str(description["base"]["kind"])
    return ModelOrigin(name, str(description.get("sha256", "")), **training)
