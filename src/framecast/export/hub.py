"""Sending of a model to the Hugging Face hub: description, weights, recipe and card; no path of this machine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from framecast.errors import UsageError, abbreviate
from framecast.export.card import RECIPE, find_model_folder, make_card, read_public_recipe
from framecast.forecasting.model_folder import DESCRIPTION, describe, load
from framecast.models import ModelConfig
from framecast.optional_imports import require
from framecast.trained import CARD


def push_model(
    run: Path,
    name: str,
    *,
    private: bool = False,
    licence: str | None = None,
    model: type[ModelConfig] | None = None,
) -> str:
    """Send a model to the hub; a repository that is there gets a new commit, and keeps its earlier ones.

    Args:
        run: folder of a run or a model.
        name: repository on the hub, OWNER/NAME.
        private: whether a new repository is seen by its owner alone.
        licence: of the weights, see `make_card`.
        model: configuration class of a network that is not framecast's.

    Returns:
        the address of the commit.

    Raises:
        CheckpointError: no model in the folder, or a damaged one.
        UsageError: a name or an account that the hub does not take, or huggingface_hub is not installed.
    """
    hub = require("huggingface_hub", "hub", what="the hub")
    load(run, model=model)  # what is sent can be loaded
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fill_folder(folder, run, name, licence)
        try:
            hub.create_repo(name, private=private, exist_ok=True)
            commit = hub.upload_folder(repo_id=name, folder_path=folder, commit_message="A model of framecast")
        except Exception as error:
            got = f"no commit ({abbreviate(str(error).strip().partition(chr(10))[0])})"
            fix = "hf auth login, and a name OWNER/NAME of your own"
            raise UsageError(f"push {name}", got=got, fix=fix) from error
    return str(commit.commit_url)


def fill_folder(folder: Path, run: Path, name: str, licence: str | None) -> None:
    """Fill a folder with what is sent.

    Args:
        folder: an empty one.
        run: folder of a run or a model.
        name: repository on the hub.
        licence: of the weights, or None.
    """
    source = find_model_folder(run)
    weights = str(describe(source)["weights"])
    for file in (DESCRIPTION, weights):
        shutil.copyfile(source / file, folder / file)
    recipe = None if (run / CARD).is_file() else read_public_recipe(run)
    if recipe is not None:
        (folder / RECIPE).write_text(recipe, encoding="utf-8")
    elif (run / RECIPE).is_file():
        shutil.copyfile(run / RECIPE, folder / RECIPE)
    (folder / "README.md").write_text(make_card(run, repository=name, licence=licence), encoding="utf-8")
