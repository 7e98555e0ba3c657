"""demo, train, resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import options

if TYPE_CHECKING:
    from framecast.data.sources.base import Source
    from framecast.devices import Launch
    from framecast.training.loop import TrainingOutcome

RUNS = Path("runs")


def demo(
    out: Annotated[Path | None, typer.Option("--out", help="New run folder. [default: runs/demo-N]")] = None,
    steps: Annotated[int, typer.Option(help="Training steps; more is better.", min=1)] = 900,
    device: options.Device = "cpu",
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """The whole story in a few minutes on a CPU: train on moving digits, score, draw, and what to do next."""
    from framecast.commands.demo import run_demo
    from framecast.devices import resolve_device
    from framecast.runs.folder import next_free_folder

    console = options.console(quiet=quiet or as_json)
    path = out or next_free_folder(RUNS, "demo")
    board = run_demo(path, console, steps=steps, device=resolve_device(device), quiet=quiet or as_json)
    if as_json:
        options.print_json({"run": str(path), **board.as_dict()})


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe (YAML) or the name of a network.", metavar="RECIPE|MODEL")],
    data: Annotated[
        str | None, typer.Option("--data", help="moving-mnist, a file or a folder; see framecast inspect.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="New run folder. [default: runs/NAME-N]")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Training iterations; short for --set train.steps=N.", min=1)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.", min=0)] = None,
    context: options.Context = None,
    horizon: options.Horizon = None,
    overrides: options.Set = None,
    dims: options.Dims = None,
    variable: options.Variable = None,
    value_range: options.Range = None,
    missing: options.Missing = None,
    units: options.Units = None,
    times: options.Times = None,
    step_minutes: options.Step = None,
    grey: options.Grey = False,
    shrink: options.Shrink = None,
    frames: options.Frames = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Train a network. Ctrl-C saves and stops; `framecast resume RUN` goes on to the same bits."""
    from framecast.data import MOVING_MNIST
    from framecast.data.sources.multi_file_source import open_source
    from framecast.recipe.recipe import foreign_name, read_recipe
    from framecast.runs.folder import next_free_folder
    from framecast.training.start import start

    fields = options.data_fields(
        data, dims, variable, value_range, missing, units, times, step_minutes, grey, shrink, frames
    )
    short = {"train.steps": steps, "seed": seed, **{f"data.{key}": value for key, value in fields.items()}}
    short |= {"context": options.parse_length(context), "horizon": options.parse_length(horizon)}
    said = read_recipe(recipe, overrides or (), {key: value for key, value in short.items() if value is not None})
    place = options.read_launch(device)
    path = out or next_free_folder(RUNS, Path(recipe).stem.replace(":", "-"))
    source = None if said.data.source == MOVING_MNIST else open_source(said.data)
    outcome = start(said, path, place, source=source, quiet=quiet or as_json)
    _end(path, outcome, place, foreign_name(said), source, quiet=quiet, as_json=as_json)


def resume(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="What decides no number, e.g. train.workers=2; data.source=PATH."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="package.module:Class", help="A network of your own, as the run names it."),
    ] = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Go on with a run that was stopped, from its newest valid checkpoint, to the same bits."""
    from framecast.training.start import resume as go_on

    place = options.read_launch(device)
    outcome = go_on(run, place, overrides=overrides or (), model=model, quiet=quiet or as_json)
    _end(run, outcome, place, model, quiet=quiet, as_json=as_json)


def _end(
    run: Path,
    outcome: TrainingOutcome,
    place: Launch,
    model: str | None,
    source: Source | None = None,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """The page, by the first process, and what to do next."""
    if place.rank:
        return
    from framecast.report import write_report

    page = write_report(run, source=source, device=place.device, model=model, quiet=quiet or as_json)
    if as_json:
        options.print_json({"run": str(run), **outcome._asdict(), "report": str(page)})
        return
    best = "" if outcome.best is None else f", best validation score {outcome.best:.4g}"
    print(f"{run}: step {outcome.step}, {outcome.reason}{best}")
    print(f"open {page}")
    print(f"next: framecast evaluate {run}; framecast predict {run} FILE --out FUTURE.npy")
