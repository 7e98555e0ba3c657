"""Command evaluate: scores of forecasts beside baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import options
from framecast.cli.option_groups import DataOptions, ModelOptions, OutputOptions, expand_groups

if TYPE_CHECKING:
    from framecast.evaluation.scoreboard import Scoreboard

Split = Annotated[
    str | None,
    typer.Option(help="train, val, test or all. [default: test, else val; all of other data without splits]"),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        help="What stands beside: persistence, mean, blank, diurnal (the day before), extrapolation (of the "
        "motion); fitted to the training split linear (least squares) and calibrated (on the extrapolation); or none. "
        "[default: beside a model persistence, mean, blank where that is no rain or an empty picture, for rain "
        "extrapolation and calibrated, else linear; beside a baseline none]"
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        help="Metrics or a protocol: framecast, grid, predrnn-pytorch, openstl, mim. "
        "[default: grid where there are physical units, else framecast]"
    ),
]
Thresholds = Annotated[str | None, typer.Option(help="Of events (csi, fss, ...), raw units, e.g. 15,25,35.")]
Scales = Annotated[str, typer.Option(help="Of fss: sides of its windows, pixels.")]
Scale = Annotated[
    str | None, typer.Option(help="dBZ: turn mm/h into reflectivity (Z = 200 R^1.6) before anything is scored.")
]
ByChannel = Annotated[
    bool,
    typer.Option("--by-channel", help="Score each channel alone, as is always done with channels of different units."),
]
Whole = Annotated[bool, typer.Option("--whole", help="Score whole frames, also where training cut crops.")]
ByLead = Annotated[bool, typer.Option("--by-lead", help="A table by lead time for each metric, too.")]


@expand_groups
def evaluate(
    run: Annotated[str, typer.Argument(help="A run, a model's folder, a trained model of the package, or a baseline.")],
    *,
    data: Annotated[str | None, typer.Option("--data", help="By default the run's own.")] = None,
    split: Split = None,
    baseline: Baseline = None,
    metrics: Metrics = None,
    thresholds: Thresholds = None,
    scales: Scales = "4,16",
    scale: Scale = None,
    context: options.Context = None,
    horizon: options.Horizon = None,
    limit: Annotated[int | None, typer.Option(help="Score at most so many windows.", min=1)] = None,
    batch_size: Annotated[int, typer.Option(help="Sequences at a time.", min=1)] = 8,
    block: options.Block = "auto",
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    by_lead: ByLead = False,
    by_channel: ByChannel = False,
    whole: Whole = False,
    calibrate: options.Calibrate = None,
    out: Annotated[Path | None, typer.Option("--out", help="New folder. [default: RUN/evaluations/SPLIT-N]")] = None,
    reading: DataOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Score forecasts beside baselines: means with intervals, skill, by lead time; tables, JSON and pictures."""
    from framecast.evaluation.prepare import EvaluationOptions, evaluate_run

    evaluation = EvaluationOptions(
        split,
        options.parse_words(metrics) if metrics else None,
        options.parse_numbers(thresholds, "--thresholds") if thresholds else None,
        options.parse_length(context),
        options.parse_length(horizon),
        baselines=None if baseline is None else [] if baseline == "none" else options.parse_words(baseline),
        scales=options.parse_integers(scales, "--scales"),
        in_dbz=options.is_dbz(scale),
        block=options.parse_block(block),
        room=options.make_memory_limits(None, tile, overlap),
        limit=limit,
        batch_size=batch_size,
        calibrate=options.parse_calibration(calibrate),
        by_channel=by_channel,
        whole=whole,
    )
    board, folder = evaluate_run(
        run, reading.fields(data), evaluation, out, network.device, network.precision, network.kind, quiet=output.silent
    )
    _print_scores(board, folder, by_lead=by_lead, as_json=output.as_json)


def _print_scores(board: Scoreboard, folder: Path, *, by_lead: bool, as_json: bool) -> None:
    if as_json:
        options.print_json({**board.as_dict(), "folder": str(folder), "notes": board.dataset.notes})
        return
    console = options.make_console()
    for note in board.dataset.notes:
        console.print(note, style="dim", markup=False)
    board.print(console, by_lead=by_lead)
    console.print(f"written: {folder}", soft_wrap=True, markup=False)
