"""Recipe of a training: strict YAML to frozen models and back.

A recipe may leave out any key; an unknown key is an error that names the nearest valid one. There is no inheritance and
no interpolation. Channels, size and units come from the data and stand in no recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from framecast.bases.config import NO_BASE, BaseConfig, CalibratedBase, Head, LinearBase
from framecast.data import DataConfig, DataSet
from framecast.data.durations import Duration, in_frames
from framecast.data.windows.normalizer_fit import Choice
from framecast.documents import parse_yaml
from framecast.errors import UsageError
from framecast.files import check_kind
from framecast.models import BaseAlone, ModelConfig, PredRNN, find_config
from framecast.recipe.identity import list_identity
from framecast.recipe.keys import find_key
from framecast.recipe.losses import LossConfig
from framecast.recipe.model_section import make_model_config
from framecast.recipe.parsing import parse_config, set_value
from framecast.recipe.recipe_content import is_fitted_base, read_content
from framecast.recipe.run_digest import check_unchanged
from framecast.recipe.scheduled_sampling import Free, Sampling, ScheduledSampling
from framecast.recipe.train_config import RecipeSection, StartConfig, TrainConfig, ValidateConfig
from framecast.transforms.missing import Fill
from framecast.transforms.normalize import Normalizer
from framecast.types import Patch


class Recipe(RecipeSection):
    """Recipe of a training: network, data, loss and schedules.

    Args:
        model: configuration of the network.
        patch: side of a patch, pixels; by default 4, or 1 for a network that makes the map smaller by itself.
        context: J, frames in, or a time as in 50min; in the recipe of a run always frames.
        horizon: K, frames out, or a time.
        spin_up: the newest frames of the context that the network runs over, or their time; its base observes the whole
            context, of which training windows at the beginning of a sequence may lack the rest. Null for the whole.
        normalize: map from raw units to the network's: a kind whose numbers come from the data, or one of
            `framecast.transforms.normalize`; the recipe of a run holds the fitted numbers.
        base: forecast that the network stands on and learns to better; none by default, as in the papers.
        head: how it betters the base: "change", a change that it adds; "mix", fields of the base that it mixes.
        fill: values that the network gets at missing pixels.
        mask_channel: whether the network gets one more channel, 1 where all channels were observed.
        sampling: schedule of the true frames that the network is fed in training; by default scheduled sampling, free for
            a network that is never fed its predictions.
        loss: the loss that training minimises.
        train: optimiser, arithmetic and checkpoints.
        validate: when to validate, and by which score.
        data: source, splits and crops of the frames.
        seed: seed of all random numbers.
        from: model whose weights the training begins with; by default fresh ones.

    Example:
        >>> import framecast
        >>> recipe = framecast.Recipe(patch=8, train={"steps": 500, "lr": 3e-4})
        >>> recipe.model.name, recipe.train.batch_size
        ('predrnn', 8)
    """

    model: SerializeAsAny[ModelConfig] = PredRNN()
    patch: Patch = Field(default_factory=lambda fields: _default_patch(fields.get("model")))
    context_: Duration = Field(default=10, alias="context")
    horizon_: Duration = Field(default=10, alias="horizon")
    spin_up_: Duration | None = Field(default=None, alias="spin_up")
    normalize: Choice | Normalizer = "auto"
    base: BaseConfig = NO_BASE
    head: Head = "change"
    fill: Fill = "low"
    mask_channel: bool = False
    sampling: Sampling = Field(default_factory=lambda fields: _default_sampling(fields.get("model")))
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()
    validate_: ValidateConfig = Field(default=ValidateConfig(), alias="validate")
    data: DataConfig = DataConfig()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    from_: StartConfig | None = Field(default=None, alias="from")

    @field_validator("model", mode="before")
    @classmethod
    def _parse_model(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        return make_model_config(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _check_sampling(self) -> Recipe:
        self._check_steps()
        self.sampling.check(self.train.steps)
        if not self.model.feeds_back and self.sampling.kind != "free":
            raise ValueError(
                f"sampling: got {self.sampling.kind}, expected free: this network is never fed its own frames"
            )
        return self

    def _check_steps(self) -> None:
        is_alone, steps = isinstance(self.model, BaseAlone), self.train.steps
        if is_alone and self.base == NO_BASE:
            raise ValueError("base: got none, expected one, as there is no network either")
        if is_alone and steps:
            raise ValueError(f"train.steps: got {steps}, expected 0: a base without a network is fitted, not trained")
        if not steps and not is_alone:
            raise ValueError("train.steps: got 0, expected 1 or more")

    @property
    def context(self) -> int:
        """J, frames in.

        Raises:
            UsageError: the context is a time, which data have not yet turned into frames.
        """
        return in_frames(self.context_, None, "context")

    @property
    def horizon(self) -> int:
        """K, frames out.

        Raises:
            UsageError: the horizon is a time, which data have not yet turned into frames.
        """
        return in_frames(self.horizon_, None, "horizon")

    @property
    def spin_up(self) -> int | None:
        """The newest frames of the context that the network runs over; None for all.

        Raises:
            UsageError: it is a time, which data have not yet turned into frames.
        """
        return None if self.spin_up_ is None else in_frames(self.spin_up_, None, "spin_up")

    def resolved(self, dataset: DataSet) -> Recipe:
        """Return a copy with what the data decide: durations in frames, and the numbers of a fitted normalizer.

        Raises:
            UsageError: weights of the loss that are not as many as frames of the horizon.
        """
        self.loss.check_horizon(dataset.horizon)
        update: dict[str, Any] = {"context_": dataset.context, "horizon_": dataset.horizon}
        if self.spin_up_ is not None:
            update["spin_up_"] = in_frames(
                self.spin_up_, dataset.spec.step_minutes, "spin_up", dataset.spec.step_months
            )
        normalizer = dataset.normalizer(self.normalize)
        if getattr(normalizer, "channels", None) is not None:
            update["normalize"] = normalizer
        if isinstance(self.base, LinearBase | CalibratedBase) and self.base.leads is None:
            update["base"] = self.base.model_copy(update={"leads": dataset.horizon})
        return self.model_copy(update=update)

    def identity(self) -> dict[str, Any]:
        """Fields that decide the numbers of a training; all others may change when it is resumed."""
        return list_identity(self)

    @property
    def digest(self) -> str:
        """The sha256 of `identity`, 64 hex digits."""
        return hashlib.sha256(json.dumps(self.identity()).encode()).hexdigest()

    def yaml(self) -> str:
        """The whole recipe, defaults included, in YAML; a network that is not registered by its class's import path."""
        content = self.model_dump(mode="json", by_alias=True)
        kind = type(self.model)
        if find_config(content["model"]["name"]) is not kind:
            content["model"]["name"] = f"{kind.__module__}:{kind.__qualname__}"
        return yaml.safe_dump(content, sort_keys=False, width=100)


def _default_patch(model: ModelConfig | None) -> int:
    return PredRNN().default_patch if model is None else model.default_patch


def _default_sampling(model: ModelConfig | None) -> Sampling:
    return ScheduledSampling() if model is None or model.feeds_back else Free()


def read_recipe(
    source: str | dict[str, Any],
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
    *,
    model: str | Sequence[str] | None = None,
    must_be_model: bool = False,
) -> Recipe:
    """Read a recipe, which may come from a stranger: a class that it names is not imported unasked.

    Args:
        source: a YAML file, the name of a recipe of the package, or of a network, which stands for a recipe of defaults.
        overrides: `key.key=value`, the value in YAML; later ones win.
        values: value by `key.key`, applied last.
        model: `package.module:Class` of a network outside framecast that the user trusts, or several. One that `source`
            or an override names is trusted too.
        must_be_model: whether `source` may only be the name of a network.

    Raises:
        UsageError: no such file or name, one that is both, no YAML, an unknown key, a value that does not fit, or a
            foreign network that only the file names.

    Example:
        >>> import framecast
        >>> recipe = framecast.read_recipe("convlstm", ["train.steps=500", "model.hidden=[16, 16]"])
        >>> recipe.model.hidden, recipe.train.steps
        ((16, 16), 500)
    """
    name, given = (source, None) if isinstance(source, str) else ("recipe", source)
    is_foreign = ":" in name and not is_fitted_base(name) and not Path(name).exists()
    is_name = given is None and (must_be_model or is_foreign)
    asked: dict[str, Any] = {"model": {"name": name}} if is_name else {}
    content: Any = {"model": {"name": name}} if is_name else given or read_content(name)
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UsageError(name, got=type(content).__name__, expected="a mapping of keys to values")
    for path, value in (*map(_parse_override, overrides), *(values or {}).items()):
        set_value(content, path, value)
        set_value(asked, path, value)
    trusted = [*([model] if isinstance(model, str) else model or ()), _find_model(asked)]
    if ":" in _find_model(content):
        section = content["model"] if isinstance(content["model"], dict) else {"name": content["model"]}
        content["model"] = make_model_config(section, trusted)
    return parse_config(Recipe, content, name)


def _parse_override(text: str) -> tuple[str, Any]:
    """Parse `key.key=value` to the key and the value."""
    path, equals, value = text.partition("=")
    if not equals:
        raise UsageError("--set", got=text, expected="key.key=value, for example train.clip=1")
    path, top = path.strip(), {field.alias or name for name, field in Recipe.model_fields.items()}
    if path.partition(".")[0] not in top:
        near = find_key(path, top)
        fix = None if near is None else f"did you mean {near}?"
        raise UsageError("--set", got=path, expected=f"a key of a recipe: {', '.join(sorted(top))}", fix=fix)
    return path, _parse_yaml(value, f"--set {text}")


def _find_model(content: Mapping[str, Any]) -> str:
    """Find the name of the network in the content of a recipe; an empty text where there is none."""
    section = content.get("model")
    name = section.get("name") if isinstance(section, dict) else section
    return name if isinstance(name, str) else ""


def read_run_recipe(path: Path, overrides: Sequence[str] = (), model: str | Sequence[str] | None = None) -> Recipe:
    """Read the recipe of a run, of which a class that it names is not imported unasked.

    Args:
        path: recipe.yaml of a run.
        overrides: `key.key=value`, the value in YAML; later ones win.
        model: `package.module:Class` that the user trusts, or several.

    Raises:
        UsageError: no such file, no YAML, an unknown key, a value that does not fit, or a foreign network that the user
            did not name.
        CheckpointError: the recipe decides other numbers than the one that the run began with.
    """
    recipe = read_recipe(str(path), model=model)
    check_unchanged(path, recipe.digest)
    return read_recipe(str(path), overrides, model=model) if overrides else recipe


def recipe_of_run(run: str | Path, model: type[ModelConfig] | None = None) -> Recipe:
    """Read the recipe of a run; a folder that is no run, such as a saved model, has the default one.

    Args:
        run: folder of the run.
        model: class of the network's configuration, if it is not one of framecast's.

    Raises:
        UsageError: a recipe that cannot be used, or that names a foreign network other than `model`.
        CheckpointError: the recipe decides other numbers than the one that the run began with.
    """
    path, name = Path(run) / "recipe.yaml", None if model is None else f"{model.__module__}:{model.__qualname__}"
    check_kind(path)
    return read_run_recipe(path, model=name) if path.is_file() else Recipe()


def _parse_yaml(text: str, source: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UsageError(source, got=str(error), expected="YAML") from error
