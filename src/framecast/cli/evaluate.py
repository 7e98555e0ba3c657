"""Command evaluate: scores of forecasts beside baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.calibrate import AsEnsemble, ScoredEnsembleOptions, check_runs
from framecast.cli.option_groups import ModelOptions, OutputOptions, ScoreOptions, SourceOptions, expand_groups

if TYPE_CHECKING:
    from framecast.evaluation.scoreboard import Scoreboard

Scales = Annotated[str, typer.Option("--scales", metavar="A,B", help="Of fss: sides of its windows, pixels.")]
InDBZ = Annotated[
    bool, typer.Option("--in-dbz", help="Turn mm/h into reflectivity (Z = 200 R^1.6) before anything is scored.")
]
ByChannel = Annotated[
    bool,
    typer.Option("--by-channel", help="Score each channel alone, as is always done with channels of different units."),
]
Whole = Annotated[bool, typer.Option("--whole", help="Score whole frames, also where training cut crops.")]
KnownOnly = Annotated[
    bool,
    typer.Option("--known-only", help="Leave out pixels whose air flows in from beyond the frame, for all forecasts."),
]
ByLead = Annotated[bool, typer.Option("--by-lead", help="A table by lead time for each metric, too.")]


@expand_groups
def evaluate(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="A run, a model or a baseline.")],
    *,
    scores: ScoreOptions,
    scales: Scales = "4,16",
    in_dbz: InDBZ = False,
    context: options.Context = None,
    horizon: options.Horizon = None,
    batch_size: options.BatchSize = 8,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    by_lead: ByLead = False,
    by_channel: ByChannel = False,
    whole: Whole = False,
    known_only: KnownOnly = False,
    calibrate: options.Calibrate = None,
    ensemble: ScoredEnsembleOptions,
    as_ensemble: AsEnsemble = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New folder. [default: RUN/evaluations/SPLIT-N]")
    ] = None,
    source: SourceOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Score forecasts beside baselines: means with intervals, skill, by lead time; tables, JSON and pictures."""
    from framecast.evaluation.joined_runs import evaluate_joined
    from framecast.evaluation.prepare import evaluate_run

    check_runs(runs, ensemble.members, as_ensemble=as_ensemble)
    evaluation = scores.evaluation(
        context=options.parse_length(context),
        horizon=options.parse_length(horizon),
        scales=options.parse_integers(scales, "--scales"),
        in_dbz=in_dbz,
        room=options.make_memory_limits(max_memory, tile, overlap),
        batch_size=batch_size,
        calibrate=options.parse_calibration(calibrate),
        by_channel=by_channel,
        whole=whole,
        known_only=known_only,
        **ensemble.given(),
    )
    keywords: dict[str, Any] = {"device": network.device, "precision": network.precision, "model": network.kind}
    keywords |= {"out": out, "quiet": output.quiet}
    if as_ensemble:
        board, folder = evaluate_joined(runs, source.given(), evaluation, **keywords)
    else:
        board, folder = evaluate_run(runs[0], source.given(), evaluation, **keywords)
    _print_scores(board, folder, output, by_lead=by_lead)


def _print_scores(board: Scoreboard, folder: Path, output: OutputOptions, *, by_lead: bool) -> None:
    if output.as_json:
        options.print_json({**board.as_dict(), "folder": str(folder), "notes": board.dataset.notes})
        return
    console = options.make_console()
    if not output.quiet:
        for note in board.dataset.notes:
            console.print(note, style="dim", markup=False)
    board.print(console, by_lead=by_lead)
    if not output.quiet:
        console.print(f"written: {folder}", soft_wrap=True, markup=False)
