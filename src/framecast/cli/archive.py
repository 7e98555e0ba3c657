"""Commands hindcast and verify: forecasts of an archive, and scores of forecasts that were made before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import calibrate as ensembles
from framecast.cli import options
from framecast.cli.option_groups import (
    DataOptions,
    ModelOptions,
    OutputOptions,
    ScoreOptions,
    expand_groups,
)
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.archives.hindcast import HindcastOptions
    from framecast.evaluation.suite import EvaluationOptions


@dataclass(frozen=True)
class WorkOptions:
    """Options of an archive: which forecasts, and who makes them."""

    every: Annotated[
        str | None,
        typer.Option("--every", metavar="TIME", help="Forecast once in so long. [default: always]"),
    ] = None
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="WHERE", help="Workers of Dask: local:2, or an address."),
    ] = None
    task: Annotated[
        str | None, typer.Option("--task", metavar="I/N", help="Only each N-th task, from the I-th on: 3/20.")
    ] = None
    task_size: Annotated[int, typer.Option("--task-size", metavar="N", help="Forecasts of a task.", min=1)] = 16
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Say where Dask shows its work.")] = False
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Compare all that was stored before with its digests, too.")
    ] = False

    def work(self) -> HindcastOptions:
        """Return the options of a hindcast.

        Raises:
            UsageError: no time, or no share of the tasks.
        """
        from framecast.archives.hindcast import HindcastOptions

        every = None if self.every is None else options.parse_seconds(self.every, "--every") / 60
        return HindcastOptions(every, self.task_size, _parse_share(self.task), self.dask, self.dashboard, self.recheck)


@dataclass(frozen=True)
class VerifyOptions:
    """Options of the scores of given forecasts."""

    baselines: Annotated[
        str | None,
        typer.Option("--baselines", metavar="A,B", help="persistence, mean, blank, extrapolation, ...; none."),
    ] = None
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B", help="mse,ssim,csi,...; or framecast, grid, ensemble, ...")
    ] = None
    thresholds: Annotated[
        str | None, typer.Option("--thresholds", metavar="A,B", help="Of csi, fss, ..., raw units, e.g. 15,25,35.")
    ] = None
    scales: Annotated[str, typer.Option("--scales", metavar="A,B", help="Of fss: sides of its windows, pixels.")] = (
        "4,16"
    )

    def evaluation(self) -> EvaluationOptions:
        """Return the options of an evaluation.

        Raises:
            UsageError: a list that is none.
        """
        given = ScoreOptions(baselines=self.baselines, metrics=self.metrics, thresholds=self.thresholds)
        return given.evaluation(scales=options.parse_integers(self.scales, "--scales"))


@expand_groups
def hindcast(
    run: Annotated[str, typer.Argument(help="A run, a model or a baseline.")],
    archive: Annotated[str, typer.Argument(help="Frames with times: a file, a folder, a Zarr store.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="Store of the forecasts, NAME.zarr.")],
    scores: ScoreOptions,
    context: options.Context = None,
    horizon: options.Horizon = None,
    batch_size: options.BatchSize = 8,
    calibrate: options.Calibrate = None,
    members: ensembles.Members = None,
    seed: ensembles.Seed = 0,
    errors: ensembles.Errors = None,
    by_lead: Annotated[bool, typer.Option("--by-lead", help="A table by lead time for each metric, too.")] = False,
    archives: WorkOptions,
    reading: DataOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Forecast an archive into one Zarr store, with its scores; run again, it goes on."""
    from framecast.archives.hindcast import hindcast as forecast_archive

    evaluation = scores.evaluation(
        context=options.parse_length(context),
        horizon=options.parse_length(horizon),
        batch_size=batch_size,
        calibrate=options.parse_calibration(calibrate),
        members=members,
        seed=seed,
        errors=errors,
    )
    given = (run, reading.fields(archive), out, evaluation, archives.work(), network.device, network.precision)
    made = forecast_archive(*given, network.kind, quiet=output.silent)
    counts = {"done": made.done, "skipped": made.skipped, "missing": made.missing}
    if output.as_json:
        board = {} if made.scores is None else made.scores.as_dict()
        options.print_json({"store": str(made.store), "tasks": counts, **board})
        return
    if made.scores is not None:
        made.scores.print(options.make_console(), by_lead=by_lead)
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    options.print_lines(f"tasks: {text}", *([] if output.quiet else [f"written: {made.store}, {made.folder}"]))


@expand_groups
def verify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FORECASTS... TRUTH", help="Files, Zarr stores or folders of forecasts; last the truth."
        ),
    ],
    *,
    scores: VerifyOptions,
    groups: Annotated[
        str | None, typer.Option("--groups", metavar="A,B", help="Scores by month, hour of the reference time, too.")
    ] = None,
    region: Annotated[
        Path | None,
        typer.Option("--region", metavar="FILE", help="Count the pixels that are above 0 in its first frame only."),
    ] = None,
    by_lead: Annotated[bool, typer.Option("--by-lead", help="A table by lead time for each metric, too.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="New file of the scores, JSON.")] = None,
    reading: DataOptions,
    output: OutputOptions,
) -> None:
    """Score forecasts that anybody made, beside baselines: NetCDF or Zarr by the CF conventions, or of pysteps."""
    import json

    from framecast import files
    from framecast.archives.verify import verify as verify_forecasts
    from framecast.json_files import json_safe

    if len(paths) < 2:
        raise UsageError("verify", got=f"{len(paths)} path", expected="forecasts, and last the truth")
    if out is not None:
        files.check_new(out)
    *forecasts, truth = paths
    kinds = options.parse_words(groups) if groups else []
    places = [Path(path) for path in forecasts]
    made = verify_forecasts(
        places, reading.fields(truth), scores.evaluation(), by=kinds, region=region, quiet=output.silent
    )
    content = {**made.scores.as_dict(), "notes": made.notes}
    content |= {
        "by": {kind: {name: one.as_dict() for name, one in parts.items()} for kind, parts in made.by_group.items()}
    }
    if out is not None:
        files.write_text(out, json.dumps(json_safe(content), indent=2, allow_nan=False) + "\n")
    if output.as_json:
        options.print_json(content)
        return
    console = options.make_console()
    for note in () if output.quiet else made.notes:
        console.print(note, style="dim", markup=False)
    made.scores.print(console, by_lead=by_lead)
    for kind, parts in made.by_group.items():
        for name, part in parts.items():
            console.print(f"{kind} {name}", style="bold", markup=False)
            part.print(console)


def _parse_share(text: str | None) -> tuple[int, int] | None:
    """Parse I/N."""
    if text is None:
        return None
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise UsageError("--task", got=text, expected="I/N with 1 <= I <= N, as in 3/20")
    return int(first), int(count)
