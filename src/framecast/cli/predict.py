"""Commands predict and convert: forecasts of files, and models from published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from framecast.cli import options
from framecast.cli.calibrate import EnsembleOptions
from framecast.cli.option_groups import DataOptions, ModelOptions, OutputOptions, expand_groups
from framecast.errors import UsageError
from framecast.formatting import format_command

if TYPE_CHECKING:
    from framecast.data import DataConfig, FileSource
    from framecast.data.formats.base import StoredArray
    from framecast.forecast import Forecast
    from framecast.forecasting.filling.context_source import ContextSource
    from framecast.forecasting.forecaster import Forecaster
    from framecast.forecasting.memory_plan import MemoryLimits
    from framecast.forecasting.predictor import Predictor
    from framecast.recipe.recipe import Recipe

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="A run, a model (framecast models --trained), or persistence, mean, seasonal, extrapolation.",
    ),
]
Clip = Annotated[
    bool, typer.Option("--clip", help="Cut what is predicted to the model's value range (of --range, units or data).")
]
Outs = Annotated[
    list[Path],
    typer.Option(
        "--out",
        metavar="PATH",
        help="New .nc, .zarr, .npy, .npz, .gif, .mp4; a folder for .tif, .png; repeatable.",
    ),
]
Strip = Annotated[Path | None, typer.Option("--strip", metavar="PATH", help="Picture of one sequence, PNG.")]
Motion = Annotated[
    Path | None,
    typer.Option(
        "--motion",
        metavar="PATH",
        help="Write the motion of the newest frames, too: .nc, .npy ..., pixels per step; .png, arrows.",
    ),
]


MaxFilled = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Absent frames of the context that are filled by the model's own forecast, at most; what lies before more "
        "of them is left out. [default: 3]",
    ),
]


@expand_groups
def predict(
    runs: Runs,
    file: Annotated[Path, typer.Argument(help="Frames up to now: a file or a folder.")],
    out: Outs,
    *,
    horizon: options.Horizon = None,
    context: options.Context = None,
    clip: Clip = False,
    strip: Strip = None,
    sequence: options.Sequence = 0,
    batch_size: options.BatchSize = 8,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    covariates: options.Covariates = None,
    calibrate: options.Calibrate = None,
    max_filled: MaxFilled = None,
    motion: Motion = None,
    ensemble: EnsembleOptions,
    reading: DataOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Predict what follows the last frame of each sequence of a file. No frame of the future is needed."""
    from framecast import writers

    writers.check(out, None, strip, motion, ensemble.plume)
    calibration = ensemble.check(runs, calibrate)
    room = options.make_memory_limits(max_memory, tile, overlap)
    asked = _Asked(
        file, out, horizon, context, covariates, calibration, max_filled, batch_size, room, sequence, ensemble.place
    )
    made, notes = [], []
    for run in runs:
        predictor, result, about = _forecast(run, asked, reading, network, output)
        made.append(ensemble.dress(run, predictor, result.clipped() if clip else result))
        notes += [note for note in about if note not in notes]
    result = ensemble.join(made)
    written = writers.write_all(out, result, strip=strip, sequence=sequence)
    written |= _write_motion(motion, result, sequence) | ensemble.draw_plume(result, sequence)
    _print_result(result, written, notes, output)


class _Asked(NamedTuple):
    """Options of a forecast, the same for all runs."""

    file: Path
    out: list[Path]
    horizon: int | str | None
    context: int | str | None
    covariates: Path | None
    calibration: str | None
    max_filled: int | None
    batch_size: int
    room: MemoryLimits
    sequence: int
    place: tuple[int, int] | None


def _forecast(
    run: str, asked: _Asked, reading: DataOptions, network: ModelOptions, output: OutputOptions
) -> tuple[Predictor, Forecast, list[str]]:
    """Forecast a file by one run: what forecast, the forecast, and notes on how the file was read."""
    from framecast.devices import resolve_device
    from framecast.forecasting.baselines import make_baseline
    from framecast.forecasting.predict import forecast_source
    from framecast.plotting.plume import check_place
    from framecast.progress import show_progress
    from framecast.recipe.data_as_trained import open_as_trained

    device = resolve_device(network.device)
    forecaster, recipe = _load(run, network)
    trained = None if forecaster is None else forecaster.spec
    config, stored = open_as_trained(recipe, reading.fields(str(asked.file)), trained)
    future = None if asked.covariates is None else config.model_copy(update={"source": str(asked.covariates)})
    keywords: dict[str, Any] = {"batch_size": asked.batch_size, "device": device, "room": asked.room}
    source = _open_context(forecaster or run, config, stored, asked.context, asked.out)
    forecaster, notes = _adapt(forecaster, source, config, asked.calibration)
    predictor: Predictor = forecaster or make_baseline(run, source.spec)
    _check_sequence(asked.sequence, count := len(source.latest))
    check_place(asked.place, source.spec)
    filled, used, gaps = _fill(predictor, source, asked.context, asked.max_filled, keywords)
    keywords |= {"covariates": future, "context": used}
    notes = [*source.notes, *notes, *gaps]
    if notes and not output.silent:
        options.print_lines(*notes)
    with show_progress("predicting", count, quiet=output.quiet) as show:
        result = forecast_source(predictor, filled, asked.horizon or recipe.horizon_, progress=show.update, **keywords)
    return predictor, result, notes


def _load(run: str, network: ModelOptions) -> tuple[Forecaster | None, Recipe]:
    """Load the model of a run, None for a baseline, and its recipe; set the precision of this process."""
    from framecast import kernels
    from framecast.forecasting.context import is_baseline
    from framecast.forecasting.model_folder import load
    from framecast.recipe.recipe import Recipe, recipe_of_run
    from framecast.trained import find_model

    run, kind = find_model(run), network.kind
    forecaster, recipe = (None, Recipe()) if is_baseline(run) else (load(run, model=kind), recipe_of_run(run, kind))
    kernels.set_precision(network.precision or recipe.train.precision)
    return forecaster, recipe


def _open_context(
    model: Forecaster | str,
    config: DataConfig,
    stored: StoredArray | None,
    context: int | str | None,
    out: list[Path],
) -> FileSource:
    """Open the frames up to now; what makes their forecast impossible is an error before it is computed."""
    from framecast import writers
    from framecast.forecasting.context import open_baseline_context, open_context

    if isinstance(model, str):
        source = open_baseline_context(model, config, stored, context=context)
    else:
        source = open_context(model, config, stored, context=context)
    writers.check_grid(out, source.grid)
    return source


def _fill(
    predictor: Predictor,
    source: FileSource,
    context: int | str | None,
    max_filled: int | None,
    keywords: dict[str, Any],
) -> tuple[ContextSource, int | str | None, tuple[str, ...]]:
    """Fill the gaps of the context; return the frames, how many of them to use, and notes on what was filled."""
    from framecast.forecasting.filling.fill import MAX_FILLED, fill_absent

    limit = MAX_FILLED if max_filled is None else max_filled
    whole = fill_absent(predictor, source, max_filled=limit, context=context, **keywords)
    is_cut = whole.source is not source and context is not None
    return whole.source, min(whole.source.lengths) if is_cut else context, whole.notes


def _adapt(
    forecaster: Forecaster | None, source: FileSource, config: DataConfig, calibrate: str | None
) -> tuple[Forecaster | None, list[str]]:
    """Let a model forecast at the step of the data, raw or matched; notes on it. None for a baseline."""
    from framecast.forecasting.data_checks import adapt_to_step

    if calibrate == "matched" and (forecaster is None or forecaster.base is None):
        fix = "leave --calibrate out"
        raise UsageError(
            "--calibrate", got="matched", expected="raw: there is no base whose values it could take", fix=fix
        )
    if forecaster is None:
        return None, []
    forecaster, notes = adapt_to_step(forecaster, source.spec, config.step_minutes)
    return forecaster.with_matching(calibrate == "matched"), notes


def _write_motion(path: Path | None, result: Forecast, sequence: int) -> dict[str, str]:
    """Write the motion behind a forecast where a path is given; describe what was written."""
    from framecast import writers
    from framecast.forecasting.motion_output import estimate_forecast_motion

    if path is None:
        return {}
    return {str(path): writers.write_motion(path, estimate_forecast_motion(result), result, sequence=sequence)}


def _print_result(result: Forecast, written: dict[str, str], notes: list[str], output: OutputOptions) -> None:
    if output.as_json:
        facts = {
            "context": result.context.shape[1],
            "shape": result.frames.shape if result.members > 1 else result.frames[:, 0].shape,
            "notes": [*notes, *result.notes],
            **result.computation,
        }
        options.print_json({"out": written, **facts, **result.provenance.as_dict()})
        return
    if output.quiet:
        options.print_lines(*written)
        return
    computation = [result.computation_text] if result.computation_text else []
    options.print_lines(*result.notes, *computation, *(f"{path}: {words}" for path, words in written.items()))


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of the published code.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder.")],
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="predrnn-pytorch or openstl; else by the weights.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Name of the network; else found by the weights.")
    ] = None,
    patch: Annotated[
        int | None, typer.Option("--patch", metavar="P", help="Side of patches; else by the channels.", min=1)
    ] = None,
    size: options.Size = None,
    context: Annotated[
        int | None, typer.Option("--context", metavar="N", help="Frames that it was trained to see.", min=1)
    ] = None,
    value_range: options.Range = None,
    units: options.Units = None,
    as_json: options.Json = False,
) -> None:
    """Turn a checkpoint of predrnn-pytorch or OpenSTL into a model of framecast.

    The published classes take values in [0, 1]. With --range 0,255 the model takes, and gives, values in that range.
    """
    from framecast import files
    from framecast.forecasting.model_folder import save_forecaster
    from framecast.forecasting.published_weights import load_published

    files.check_new(out)
    limits = None if value_range is None else options.parse_interval(value_range)
    forecaster = load_published(
        checkpoint,
        source=source,
        model=model,
        patch=patch,
        size=options.parse_size(size) if size else None,
        context=context,
        value_range=limits,
        units=units,
    )
    with files.staged(out, folder=True) as temporary:
        save_forecaster(
            temporary, forecaster, {"converted_from": checkpoint.name, "source": source or "by its weights"}
        )
    about = {"out": str(out), "model": forecaster.config.model_dump(mode="json"), "spec": forecaster.spec.model_dump()}
    if as_json:
        options.print_json(about)
        return
    print(f"{out}: {forecaster.config}, patch {forecaster.patch}, {forecaster.spec.channels} channel(s)")
    print("next:", format_command("framecast", "predict", out, "FILE", "--horizon", 10, "--out", "FUTURE.npy"))


def _check_sequence(number: int, count: int) -> None:
    if not number < count:
        raise UsageError("--sequence", got=number, expected=f"0 to {count - 1}")
