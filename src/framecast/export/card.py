"""Model card for a hub, made from what a run has recorded: what it forecasts, data, scores beside baselines, recipe."""

from __future__ import annotations

import json
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml

from framecast.documents import parse_json, read_document
from framecast.errors import UsageError
from framecast.forecasting.model_folder import DESCRIPTION, describe
from framecast.recipe.recipe import read_run_recipe
from framecast.trained import CARD
from framecast.types import FrameSpec

RECIPE = "recipe.yaml"
PACKAGE_LICENCE = "apache-2.0"
"""Licence of the models that come with the package."""


def make_card(run: Path, *, repository: str, licence: str | None = None) -> str:
    """Make the card of a model, Markdown with the fields that a hub reads before it.

    Args:
        run: folder of a run or a model.
        repository: name on the hub, as in me/rain.
        licence: of the weights, a word of the hub, as in cc-by-4.0; by default that of a trained model of the package.

    Raises:
        CheckpointError: no model in the folder.
        UsageError: a recipe that cannot be read.
    """
    description = describe(find_model_folder(run))
    spec = FrameSpec.model_validate(description["spec"])
    packaged = run / CARD
    licence = licence or (PACKAGE_LICENCE if packaged.is_file() else None)
    fields = {
        "library_name": "framecast",
        **({"license": licence} if licence else {}),
        "tags": ["framecast", "spatio-temporal forecasting", "nowcasting", str(description["model"].get("name", ""))],
    }
    head = "---\n" + yaml.safe_dump(fields, sort_keys=False) + "---\n\n"
    if packaged.is_file():
        return head + packaged.read_text(encoding="utf-8").rstrip() + "\n\n" + _describe_use(repository)
    recipe = read_public_recipe(run)
    parts = [
        f"# {repository.split('/')[-1]}",
        _describe_model(description, spec),
        _describe_use(repository),
        _describe_scores(run, description),
        _describe_data(recipe, run, licence),
        f"## Recipe\n\n```yaml\n{recipe.rstrip()}\n```" if recipe else "",
    ]
    return head + "\n\n".join(part.strip() for part in parts if part) + "\n"


def find_model_folder(run: Path) -> Path:
    """Find the model's folder of a run; a model's folder is its own."""
    return run / "model" if (run / "model" / DESCRIPTION).is_file() else run


def read_public_recipe(run: Path) -> str | None:
    """Read the recipe of a run as YAML, with the names of files in place of their paths; None for a model without one."""
    if not (run / RECIPE).is_file():
        return None
    content = yaml.safe_load(read_run_recipe(run / RECIPE).yaml())
    return yaml.safe_dump(_strip_paths(content), sort_keys=False, width=100)


def _strip_paths(value: Any) -> Any:
    """Replace absolute paths by the names of their files."""
    if isinstance(value, dict):
        return {key: _strip_paths(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strip_paths(inner) for inner in value]
    return PureWindowsPath(value).name if isinstance(value, str) and is_absolute(value) else value


def is_absolute(text: str) -> bool:
    """Whether a text is a path from the root of a file system, of any system."""
    return text.startswith("/") or PureWindowsPath(text).is_absolute()


def _describe_model(description: dict[str, Any], spec: FrameSpec) -> str:
    """Describe in a sentence what is forecast, and in a list what goes in and out."""
    name, base = description["model"].get("name", "a network"), description.get("base", {}).get("kind", "none")
    step = "" if spec.step_minutes is None else f", {spec.step_minutes:g} minutes apart"
    count = "one channel" if spec.targets == 1 else f"{spec.targets} channels"
    against = "" if base == "none" else f" against the base `{base}`"
    lines = [
        f"A network `{name}`{against}, trained with framecast. It predicts the next frames of {count} "
        f"({spec.units}, {spec.low:g} to {spec.high:g}{step}).",
        "",
        f"* context: {description.get('context') or 'any number of'} frames; horizon: any number",
        f"* size in training: {spec.height} x {spec.width}",
    ]
    for title, channels in (("known of the past", spec.past), ("covariates", spec.covariates)):
        if channels:
            lines.append(f"* {title}: {', '.join(channel.name for channel in channels)}")
    return "\n".join(lines)


def _describe_use(repository: str) -> str:
    return (
        f"## Use\n\n```\npip install 'framecast[hub]'\nframecast predict hf://{repository} FILE --horizon 10 --out "
        f'FUTURE.nc\n```\n\n```python\nimport framecast\n\nmodel = framecast.load("hf://{repository}")\n'
        "future = model.predict(frames, horizon=10)\n```\n\nWeights are safetensors, the rest is JSON and YAML; nothing "
        "is unpickled.\n"
    )


def _describe_scores(run: Path, description: dict[str, Any]) -> str:
    """Describe the scores of each evaluation beside the baselines; else those of the validation."""
    tables = [_tabulate(path) for path in sorted(run.glob("evaluations/*/scores.json"))]
    if tables:
        return "## Scores\n\n" + "\n\n".join(tables)
    validation = description.get("about", {}).get("validation") or {}
    known = [f"| {name} | {value:.4g} |" for name, value in validation.items() if isinstance(value, int | float)]
    if not known:
        return "## Scores\n\nNone were recorded: score it with `framecast evaluate` on your own data."
    words = "Of the validation during training; no baseline was scored beside it."
    return "\n".join([f"## Scores\n\n{words}\n", "| metric | value |", "|---|---|", *known])


def _tabulate(path: Path) -> str:
    """Tabulate an evaluation, means over lead times.

    Raises:
        UsageError: a file that is no evaluation.
    """
    try:
        content = read_document(path, parse_json)
        scores = content["scores"]
        metrics = list(next(iter(scores.values())))
        head = (
            f"Split `{content['split']}`, {content['sequences']} sequences, {content['context']} frames in, "
            f"{content['horizon']} out, means over lead times. {content.get('verdict') or ''}".strip()
        )
        rows = [
            f"| {name} | " + " | ".join(_format(found[metric].get("mean")) for metric in metrics) + " |"
            for name, found in scores.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        fix = "evaluate again, or move that folder away"
        raise UsageError(str(path), got=f"no evaluation ({type(error).__name__})", fix=fix) from error
    return "\n".join([head, "", "| | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|", *rows])


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _describe_data(recipe: str | None, run: Path, licence: str | None) -> str:
    """Describe the training data by name, number and fingerprint; whoever pushes says what their licence is."""
    lines = ["## Data and licence", ""]
    if recipe is not None:
        source = yaml.safe_load(recipe)["data"]["source"]
        names = [source] if isinstance(source, str) else [part["path"] for part in source]
        lines.append(f"Trained on {', '.join(f'`{name}`' for name in names)}.")
    record = run / "data.json"
    if record.is_file():
        try:
            facts = json.loads(record.read_text(encoding="utf-8"))
            windows = ", ".join(f"{split}: {count} windows" for split, count in facts["windows"].items())
            lines.append(f"Fingerprint of the data `{facts['fingerprint']}`; {windows}.")
        except (ValueError, KeyError, AttributeError) as error:
            raise UsageError(str(record), got="a damaged file", fix="framecast resume makes it again") from error
    said = f"The weights are given under `{licence}`." if licence else "No licence was named: ask who gave the weights."
    return "\n".join([*lines, "", said])
