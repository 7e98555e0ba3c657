"""Commands demo, train and resume: trainings, each with a page at its end."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.option_groups import OutputOptions, SourceOptions, TrainingOptions, expand_groups
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.data.sources.base import Source
    from framecast.devices import Launch
    from framecast.recipe.recipe import Recipe
    from framecast.training.loop import TrainingOutcome


RecipeOrModel = Annotated[
    str | None,
    typer.Argument(
        help="A network or a recipe (YAML); or linear, linear:24h, calibrated: fitted in seconds.",
        metavar="RECIPE|MODEL",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="TIME",
        help="20min, 2000steps; width and schedules to suit.",
    ),
]
BeginFrom = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Go on with the weights of a run or a model.",
    ),
]


@expand_groups
def demo(
    *,
    out: options.Out = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Iterations; more is better.", min=1)] = 1200,
    device: options.Device = "cpu",
    output: OutputOptions,
) -> None:
    """The whole story in a few minutes on a CPU: train on moving digits, score, draw, and what to do next."""
    from framecast.commands.demo import run_demo
    from framecast.devices import resolve_device

    console = options.make_console(quiet=output.silent)
    with options.choose_folder(out, "demo") as path:
        board = run_demo(path, console, steps=steps, device=resolve_device(device), quiet=output.quiet)
    if output.as_json:
        options.print_json({"run": str(path), **board.as_dict()})
    elif output.quiet:
        print(path)


@expand_groups
def train(
    recipe: RecipeOrModel = None,
    *,
    out: options.Out = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Iterations.", min=1)] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of weights and order.", min=0)] = None,
    budget: Budget = None,
    begin_from: BeginFrom = None,
    training: TrainingOptions,
    class_name: options.Class = None,
    source: SourceOptions,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """Train a network. Ctrl-C saves and stops; `framecast resume RUN` goes on to the same bits."""
    from framecast.training.processes.group import decide_first, join_group
    from framecast.training.start import start

    launch = options.read_launch(device)
    if recipe is None and begin_from is None:
        raise UsageError(
            "RECIPE|MODEL", got="nothing", expected="a recipe, the name of a network, or --from with a model"
        )
    if out is None and launch.nodes > 1:
        fix = "give a new folder on storage that all machines share"
        raise UsageError(
            "--out", got="nothing", expected=f"the folder of a training on {launch.nodes} machines", fix=fix
        )
    values: dict[str, Any] = {"train.steps": steps, "seed": seed}
    values = {key: value for key, value in values.items() if value is not None} | training.values()
    values |= {f"data.{key}": value for key, value in source.given().items()}
    overrides = training.overrides or []
    options.import_model(class_name)  # in each process, before one tells the others what it read
    join_group(launch)
    given = (recipe, begin_from, overrides, values, class_name)
    config = decide_first(lambda: _read(*given, budget, launch, quiet=output.quiet))
    # Opened here, by the first process, for the training and for the page after it.
    opened: list[Source | None] = []
    decide_first(lambda: opened.append(_open_files(config)))
    with ExitStack() as stack:
        name = Path(recipe or str(begin_from)).stem.replace(":", "-")
        path = decide_first(lambda: stack.enter_context(options.choose_folder(out, name)))
        outcome = start(config, path, launch, source=opened[0] if opened else None, quiet=output.quiet)
    _report(path, config, outcome, launch, output, opened[0] if opened else None)


def _read(
    recipe: str | None,
    begin_from: str | None,
    overrides: list[str],
    values: dict[str, Any],
    class_name: str | None,
    budget: str | None,
    launch: Launch,
    *,
    quiet: bool,
) -> Recipe:
    """Read the recipe of a training, and fit it to a budget."""
    from framecast.recipe.recipe import read_recipe
    from framecast.training.fine_tuning import read_fine_tuning

    if recipe is None:
        config = read_fine_tuning(str(begin_from), overrides, values, trusted=class_name)
    else:
        values |= {} if begin_from is None else {"from": {"model": begin_from}}
        config = read_recipe(recipe, overrides, values, model=class_name)
    if budget is None:
        return config
    given = frozenset([*(override.partition("=")[0].strip() for override in overrides), *values])
    return _fit_to_budget(config, budget, recipe, launch, given, quiet=quiet)


def _fit_to_budget(
    config: Recipe, budget: str, name: str | None, launch: Launch, given: frozenset[str], *, quiet: bool
) -> Recipe:
    """Fit a recipe to a budget, and say what came of it."""
    from framecast.models import MODELS
    from framecast.training.budget import fit_to_budget, read_budget

    if "train.steps" in given:
        raise UsageError("--steps", got="it beside --budget", expected="one of them")
    fitted = fit_to_budget(config, read_budget(budget), launch.device, given, is_name=name in MODELS)
    hidden = fitted.model.model_dump().get("hidden")
    width = "" if hidden is None else f", hidden {list(hidden) if isinstance(hidden, tuple) else hidden}"
    if not quiet:
        print(f"budget: {budget}, {fitted.train.steps} iterations of {fitted.train.batch_size}{width}", file=sys.stderr)
    return fitted


@expand_groups
def resume(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="What decides no number, e.g. train.workers=2; data.source=PATH."
        ),
    ] = None,
    class_name: options.Class = None,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """Go on with a run that was stopped, from its newest valid checkpoint, to the same bits."""
    from framecast.recipe.recipe import read_run_recipe
    from framecast.runs.folder import RunFolder
    from framecast.training.processes.group import decide_first, join_group
    from framecast.training.start import resume as resume_run

    launch = options.read_launch(device)
    options.import_model(class_name)
    join_group(launch)
    # Opened here, by the first process, for the training and for the page after it.
    opened: list[tuple[Recipe, Source | None]] = []

    def read() -> None:
        config = read_run_recipe(RunFolder(run).opened().recipe, overrides or (), class_name)
        opened.append((config, _open_files(config)))

    decide_first(read)
    source = opened[0][1] if opened else None
    outcome = resume_run(run, launch, overrides=overrides or (), model=class_name, source=source, quiet=output.quiet)
    if opened:
        _report(run, opened[0][0], outcome, launch, output, source)


def _open_files(recipe: Recipe) -> Source | None:
    """Open the files of a recipe; None for generated data."""
    from framecast.data import MOVING_MNIST
    from framecast.data.sources.multi_file_source import open_source

    return None if recipe.data.source == MOVING_MNIST else open_source(recipe.data)


def _report(
    run: Path,
    recipe: Recipe,
    outcome: TrainingOutcome,
    launch: Launch,
    output: OutputOptions,
    source: Source | None,
) -> None:
    """Write the page of a run, in the first process, and print the commands that may come next."""
    if launch.rank:
        return
    from framecast.recipe.foreign import foreign_name
    from framecast.report import write_report
    from framecast.runs.next_commands import write_next_commands

    page, fault, verdict = write_report(
        run, source=source, device=launch.device, model=foreign_name(recipe), quiet=output.quiet
    )
    _log_outcome(run, recipe, outcome, verdict, page)
    if output.as_json:
        options.print_json({"run": str(run), **outcome._asdict(), "verdict": verdict, "report": str(page)})
        return
    if output.quiet:
        if fault is not None:
            print(f"without scores: {fault}", file=sys.stderr)
        print(run)
        return
    best = "" if outcome.best is None else f", best validation score {outcome.best:.4g}"
    if verdict is not None:
        options.print_lines(verdict)
    print(f"{run}: step {outcome.step}, {outcome.reason}{best}")
    print(f"open {page}")
    if fault is not None:
        options.print_lines(f"without scores: {fault}")
    print(f"next: {'; '.join(write_next_commands(run, recipe))}")


def _log_outcome(run: Path, recipe: Recipe, outcome: TrainingOutcome, verdict: str | None, page: Path) -> None:
    """Tell the loggers of the recipe how the training ended."""
    from framecast.progress import Lines
    from framecast.runs.folder import RunFolder
    from framecast.training.log import log_outcome

    say = Lines("logging", 1).say
    log_outcome(RunFolder(run), recipe, outcome.step, verdict, page, say)
