"""Commands report, compare and race: pages of one run and of several."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import options
from framecast.cli.calibrate import Members, ScoredEnsembleOptions, Seed
from framecast.cli.option_groups import OutputOptions, ScoreOptions, SourceOptions, TrainingOptions, expand_groups

if TYPE_CHECKING:
    from framecast.evaluation.comparison import Comparison


@expand_groups
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="The page. [default: RUN/report.html, made anew]")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures", metavar="DIR", help="New folder for the frames at full size: N/gt1.png, N/pd11.png."
        ),
    ] = None,
    scores: ScoreOptions,
    ensemble: ScoredEnsembleOptions,
    class_name: options.Class = None,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """One page of a run, to open in a browser: recipe, curves, scores by lead time, frames, studies."""
    from framecast.report import write_report

    page, fault, verdict = write_report(
        run,
        out=out,
        pictures=pictures,
        options=scores.evaluation(**ensemble.given()),
        device=device,
        model=class_name,
        quiet=output.quiet,
    )
    if output.as_json:
        options.print_json({"page": str(page), "verdict": verdict, "bytes": page.stat().st_size})
    elif output.quiet:
        print(page)
    else:
        options.print_lines(*([verdict] if verdict else []), f"open {page}")
    if fault is not None:  # as evaluate says it, once the page has the rest
        raise fault
    if pictures is not None and not output.silent:
        print(
            f"frames in {pictures}: a folder for each sequence of the page, by its number; gt the truth, pd the forecast"
        )


@expand_groups
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the others are compared with the first.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New folder. [default: runs/compare-N]")
    ] = None,
    scores: ScoreOptions,
    members: Members = None,
    seed: Seed = 0,
    class_name: options.Classes = None,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """Runs side by side on the same windows: budget, cost, scores, paired differences, frames; a page and JSON."""
    from framecast import files
    from framecast.evaluation.comparison import compare_runs
    from framecast.report.comparison_page import PAGE, write_comparison
    from framecast.runs.folder import write_folder

    if out is not None:  # before the scores, so that a folder that exists is refused at once
        files.check_new(out)
    evaluation = scores.evaluation(members=members, seed=seed)
    comparison = compare_runs(runs, evaluation, device=device, models=class_name or (), quiet=output.quiet)
    folder = write_folder(partial(write_comparison, comparison), out, Path("runs"), "compare")
    _print_comparison(comparison, folder / PAGE, output)


@expand_groups
def race(
    models: Annotated[
        str, typer.Option("--models", metavar="A,B", help="Networks, small, or recipes: mim,predrnn. Or all.")
    ],
    *,
    budget: Annotated[
        str, typer.Option("--budget", metavar="TIME", help="Of each training: 90s, 10min, or 2000steps.")
    ] = "10min",
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Trainings of each, seeds 0 to N-1.", min=1)] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="New folder, or that of this race, to go on. [default: runs/race-N]"),
    ] = None,
    training: TrainingOptions,
    class_name: options.Classes = None,
    source: SourceOptions,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """Train networks on the same data with the same budget each, and compare them."""
    from framecast.commands.race import RaceOptions
    from framecast.commands.race import race as run_race
    from framecast.training.budget import read_budget

    values = training.values() | {f"data.{key}": value for key, value in source.given().items()}
    names, own = tuple(options.parse_words(models)), tuple(class_name or ())
    race_options = RaceOptions(
        names, read_budget(budget), seeds, tuple(training.overrides or ()), tuple(values.items()), own
    )
    with options.choose_folder(out, "race") as folder:
        comparison, page = run_race(race_options, folder, device=device, quiet=output.quiet)
    _print_comparison(comparison, page, output)


def _print_comparison(comparison: Comparison, page: Path, output: OutputOptions) -> None:
    if output.as_json:
        options.print_json({"page": str(page), **comparison.as_dict()})
        return
    comparison.print(options.make_console())
    print(page if output.quiet else f"open {page}")
