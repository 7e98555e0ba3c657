"""Commands report, compare and race: pages of one run and of several."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import options
from framecast.cli.option_groups import OutputOptions, ReadingOptions, expand_groups

if TYPE_CHECKING:
    from framecast.evaluation.comparison import Comparison
    from framecast.evaluation.suite import EvaluationOptions

Split = Annotated[str | None, typer.Option(help="train, val or test. [default: test, else val]")]
Baseline = Annotated[str | None, typer.Option(help="What stands beside, as for evaluate; or none.")]
Metrics = Annotated[str | None, typer.Option(help="Metrics or a protocol, as for evaluate.")]
Thresholds = Annotated[str | None, typer.Option(help="Of events (csi, fss, ...), raw units, e.g. 15,25,35.")]
Limit = Annotated[int | None, typer.Option(help="Windows to score. [default: as many as a validation]", min=1)]


@expand_groups
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", help="The page. [default: RUN/report.html, made anew]")] = None,
    frames: Annotated[
        Path | None, typer.Option(help="New folder for the page's frames at full size: N/gt1.png, N/pd11.png, ...")
    ] = None,
    split: Split = None,
    baseline: Baseline = None,
    metrics: Metrics = None,
    thresholds: Thresholds = None,
    limit: Limit = None,
    block: options.Block = "auto",
    model: options.Model = None,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """One page of a run, to open in a browser: recipe, curves, scores by lead time, frames, studies."""
    from framecast.report import write_report

    evaluation = _parse_evaluation(split, baseline, metrics, thresholds, limit, block)
    page, fault, verdict = write_report(
        run, out=out, pictures=frames, options=evaluation, device=device, model=model, quiet=output.silent
    )
    if output.as_json:
        options.print_json({"page": str(page), "verdict": verdict, "bytes": page.stat().st_size})
    else:
        options.print_lines(*([verdict] if verdict else []), f"open {page}")
    if fault is not None:  # as evaluate says it, once the page has the rest
        raise fault
    if frames is not None and not output.as_json:
        print(
            f"frames in {frames}: a folder for each sequence of the page, by its number; gt is the truth, pd the forecast"
        )


@expand_groups
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the others are compared with the first.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="New folder for page and numbers. [default: runs/compare-N]")
    ] = None,
    split: Split = None,
    baseline: Baseline = None,
    metrics: Metrics = None,
    thresholds: Thresholds = None,
    limit: Annotated[int | None, typer.Option(help="Windows to score. [default: all]", min=1)] = None,
    block: options.Block = "auto",
    model: options.Models = None,
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
    evaluation = _parse_evaluation(split, baseline, metrics, thresholds, limit, block)
    comparison = compare_runs(runs, evaluation, device=device, models=model or (), quiet=output.silent)
    folder = write_folder(partial(write_comparison, comparison), out, Path("runs"), "compare")
    _print_comparison(comparison, folder / PAGE, as_json=output.as_json)


@expand_groups
def race(
    models: Annotated[str, typer.Option(help="Networks or recipes, with commas: convlstm,predrnn,mim.")],
    *,
    budget: Annotated[
        str, typer.Option(help="Of each training: 90s, 10min, 2h of iterations, or 2000steps.")
    ] = "10min",
    seeds: Annotated[int, typer.Option(help="Trainings of each network.", min=1)] = 1,
    data: Annotated[str | None, typer.Option("--data", help="As for train.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="New folder, or that of this race, to go on. [default: runs/race-N]")
    ] = None,
    overrides: options.Set = None,
    model: options.Models = None,
    reading: ReadingOptions,
    device: options.Device = "auto",
    output: OutputOptions,
) -> None:
    """Train networks on the same data with the same budget each, and compare them."""
    from framecast.commands.race import RaceOptions
    from framecast.commands.race import race as run_race
    from framecast.training.budget import read_budget

    values = tuple((f"data.{key}", value) for key, value in reading.fields(data).items())
    names = tuple(options.parse_words(models))
    race_options = RaceOptions(names, read_budget(budget), seeds, tuple(overrides or ()), values, tuple(model or ()))
    with options.choose_folder(out, "race") as folder:
        comparison, page = run_race(race_options, folder, device=device, quiet=output.silent)
    _print_comparison(comparison, page, as_json=output.as_json)


def _parse_evaluation(
    split: str | None,
    baseline: str | None,
    metrics: str | None,
    thresholds: str | None,
    limit: int | None,
    block: str,
) -> EvaluationOptions:
    from framecast.evaluation.suite import EvaluationOptions

    return EvaluationOptions(
        split,
        options.parse_words(metrics) if metrics else None,
        options.parse_numbers(thresholds, "--thresholds") if thresholds else None,
        limit=limit,
        baselines=None if baseline is None else [] if baseline == "none" else options.parse_words(baseline),
        block=options.parse_block(block),
    )


def _print_comparison(comparison: Comparison, page: Path, *, as_json: bool) -> None:
    if as_json:
        options.print_json({"page": str(page), **comparison.as_dict()})
        return
    comparison.print(options.make_console())
    print(f"open {page}")
