"""Commands models, doctor, inspect and data: what there is, and what data look like."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Annotated

import typer

from framecast.cli import options
from framecast.cli.help.command import Command
from framecast.cli.option_groups import DataOptions, expand_groups

data_app = typer.Typer(help="Make data.", no_args_is_help=True)


def models(
    name: Annotated[str | None, typer.Argument(help="A network; all of them if left out.")] = None,
    size: options.Size = "64x64",
    channels: Annotated[int, typer.Option("--channels", metavar="C", help="Channels of a frame.", min=1)] = 1,
    patch: options.Patch = None,
    length: Annotated[
        int, typer.Option("--length", metavar="N", help="Frames of a sequence, context and horizon.", min=2)
    ] = 20,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="e.g. model.hidden=[128,128]")
    ] = None,
    trained: Annotated[
        bool, typer.Option("--trained", help="The trained models of the package; with a name, its card.")
    ] = False,
    recipes: Annotated[
        bool, typer.Option("--recipes", help="The recipes of the package; with a name, its YAML, to copy and change.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the networks; with a name, show its equations, options and cost at a size. Or trained models, or recipes."""
    from framecast.commands.models import describe_model, list_models

    if trained:
        _print_trained(name, as_json=as_json)
        return
    if recipes:
        _print_recipes(name, as_json=as_json)
        return
    shape = (channels, *options.parse_size(size or "64x64"))
    if name is None:
        rows = list_models(shape, patch, length)
        options.print_json(rows.as_dict()) if as_json else rows.print(options.make_console())
        return
    page = describe_model(name, overrides or [], shape, patch, length)
    options.print_json(page.as_dict()) if as_json else page.print(options.make_console())


def _print_trained(name: str | None, *, as_json: bool) -> None:
    from framecast.errors import UsageError
    from framecast.trained import list_trained

    models = {model.name: model for model in list_trained()}
    if name is not None and name not in models:
        raise UsageError.unknown("trained model", name, models)
    if as_json:
        options.print_json({key: model.card for key, model in models.items() if name in (None, key)})
    elif name is not None:
        print(models[name].card, end="")
    else:
        width = max(map(len, models))
        for key, model in models.items():
            print(f"{key:{width}}  {model.summary}")
        print("framecast models --trained NAME shows the card of one: scores, limits, data and their licence.")


def _print_recipes(name: str | None, *, as_json: bool) -> None:
    from framecast.errors import UsageError
    from framecast.recipes import list_recipes

    recipes = list_recipes()
    if name is not None and name not in recipes:
        raise UsageError.unknown("recipe", name, recipes)
    if as_json:
        options.print_json({key: recipe.summary for key, recipe in recipes.items() if name in (None, key)})
    elif name is not None:
        print(recipes[name].text, end="")
    else:
        width = max(map(len, recipes))
        for key, recipe in recipes.items():
            print(f"{key:{width}}  {recipe.summary}")
        print("framecast train NAME trains one; framecast models --recipes NAME > mine.yaml copies it, to change it.")


def doctor(as_json: options.Json = False) -> None:
    """Say what framecast found here: versions, devices, which kernels are in use and why."""
    from framecast.commands.doctor import collect_findings

    findings = collect_findings(os.environ.get("OMP_WAIT_POLICY"))
    if as_json:
        options.print_json(findings)
        return
    width = max(map(len, findings))
    for name, value in findings.items():
        print(f"{name:{width}}  {value}")


@expand_groups
def inspect(
    path: Annotated[str, typer.Argument(help="A file or a folder of frames.")],
    *,
    picture: Annotated[
        Path | None, typer.Option(help="New PNG with frames and statistics. [default: runs/inspect-NAME-N.png]")
    ] = None,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw nothing.")] = False,
    reading: DataOptions,
    context: options.Context = None,
    horizon: options.Horizon = None,
    as_json: options.Json = False,
) -> None:
    """Look at data: what it is, gaps, missing pixels, values, windows, cost, and how to train on it."""
    from framecast import files
    from framecast.commands.inspect import draw_inspection
    from framecast.commands.inspect import inspect as inspect_data
    from framecast.recipe.parsing import parse_config
    from framecast.recipe.recipe import Recipe

    if picture is not None:
        files.check_new(picture)
    fields = {**reading.fields(path), "source": path}
    lengths = {"context": options.parse_length(context), "horizon": options.parse_length(horizon)}
    given = {key: value for key, value in lengths.items() if value is not None}
    recipe = parse_config(Recipe, given, "inspect") if given else None
    inspection = inspect_data(options.make_data_config(fields), fields, recipe)
    if not no_picture:
        picture = picture or _find_free_path(Path(path).name.split(".")[0])
        with files.staged(picture) as temporary:
            draw_inspection(inspection, temporary)
    if as_json:
        options.print_json({**inspection.as_dict(), "picture": None if no_picture else str(picture)})
        return
    inspection.print(options.make_console())
    if not no_picture:
        print(f"picture: {picture}")


def _find_free_path(name: str) -> Path:
    """Find the first path of runs/inspect-NAME-1.png, -2, ... at which nothing is."""
    paths = (Path("runs") / f"inspect-{name}-{number}.png" for number in itertools.count(1))
    return next(path for path in paths if not path.exists())


@data_app.callback()
def _data() -> None:
    """Make data."""


@data_app.command("moving-mnist", cls=Command)
def moving_mnist(
    out: Annotated[Path, typer.Option("--out", help="New .npz, .npy (axes tnhw, as published) or .zarr.")],
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="train, val or test; their digits differ.")
    ] = "test",
    count: Annotated[int, typer.Option("--count", metavar="N", help="Sequences.", min=1)] = 200,
    length: Annotated[int, typer.Option("--length", metavar="N", help="Frames of each sequence.", min=1)] = 20,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the generator.", min=0)] = 1,
    size: options.Size = "64x64",
    number: Annotated[
        int, typer.Option("--number", metavar="N", help="Digits in each sequence, 1 to 3.", min=1, max=3)
    ] = 2,
    speed: Annotated[str, typer.Option("--speed", metavar="NAME", help="fixed or uniform.")] = "fixed",
    digits: Annotated[
        Path | None,
        typer.Option(
            "--digits-file", metavar="PATH", help="idx file of digits, e.g. MNIST's train-images-idx3-ubyte.gz."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Freeze Moving MNIST sequences into a file and print the hash of their pixels."""
    from framecast.data import MovingMNISTConfig, freeze
    from framecast.recipe.parsing import parse_config

    fields = {
        "size": options.parse_size(size or "64x64"),
        "digits": number,
        "speed": speed,
        "digits_file": None if digits is None else str(digits),
    }
    digest = freeze(out, split, count, length, seed, parse_config(MovingMNISTConfig, fields, "moving-mnist"))
    if as_json:
        options.print_json({"out": str(out), "sha256": digest})
        return
    print(f"{out}: {count} sequences of {length} frames, split {split}, seed {seed}")
    print(f"sha256 of the pixels {digest}")
