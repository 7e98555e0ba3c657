"""Commands predict and convert: forecasts of files, and models from published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.option_groups import DataOptions, ModelOptions, OutputOptions, expand_groups
from framecast.errors import UsageError
from framecast.formatting import format_command

if TYPE_CHECKING:
    from framecast.data import DataConfig, FileSource
    from framecast.data.formats.base import StoredArray
    from framecast.forecast import Forecast
    from framecast.forecasting.baselines import Baseline
    from framecast.forecasting.forecaster import Forecaster
    from framecast.forecasting.predictor import Predictor
    from framecast.recipe.recipe import Recipe

Run = Annotated[
    str,
    typer.Argument(
        help="A run, a model's folder, a trained model of the package (framecast models --trained), or a baseline: "
        "persistence, mean, blank, diurnal (the day before), extrapolation of the motion. A baseline is given 10 frames, "
        "diurnal a day, unless --context says how many."
    ),
]
Clip = Annotated[
    bool, typer.Option("--clip", help="Cut what is predicted to the model's value range (of --range, units or data).")
]


@expand_groups
def predict(
    run: Run,
    file: Annotated[Path, typer.Argument(help="Frames up to now, in any form that train takes.")],
    out: options.Outs,
    *,
    horizon: options.Horizon = None,
    context: options.Context = None,
    clip: Clip = False,
    gif: options.GIF = None,
    strip: options.Strip = None,
    sequence: options.Sequence = 0,
    batch_size: Annotated[int, typer.Option(help="Sequences at a time.", min=1)] = 8,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    covariates: options.Covariates = None,
    calibrate: options.Calibrate = None,
    motion: Annotated[
        Path | None,
        typer.Option("--motion", help="Write the motion of the newest frames, too, pixels per step: .nc, .npy ..."),
    ] = None,
    reading: DataOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Predict what follows the last frame of each sequence of a file. No frame of the future is needed."""
    from framecast import writers
    from framecast.devices import resolve_device
    from framecast.forecasting.baselines import BASELINES
    from framecast.forecasting.motion_output import estimate_forecast_motion
    from framecast.forecasting.predict import forecast_source
    from framecast.progress import show_progress
    from framecast.recipe.data_as_trained import open_as_trained

    writers.check([*out, *([] if motion is None else [motion])], gif, strip)
    device = resolve_device(network.device)
    forecaster, recipe = _load(run, network)
    trained = None if forecaster is None else forecaster.spec
    config, stored = open_as_trained(recipe, reading.fields(str(file)), trained)
    future = None if covariates is None else config.model_copy(update={"source": str(covariates)})
    keywords: dict[str, Any] = {"context": context, "batch_size": batch_size, "device": device, "covariates": future}
    keywords["room"] = options.make_memory_limits(max_memory, tile, overlap)
    source = _open_context(forecaster or BASELINES[run], config, stored, context, out)
    forecaster, notes = _adapt(forecaster, source, config, options.parse_calibration(calibrate))
    predictor: Predictor = forecaster or BASELINES[run](source.spec)
    _check_sequence(sequence, count := len(source.latest))
    notes = [*source.notes, *notes]
    if notes and not output.as_json:
        options.print_lines(*notes)
    with show_progress("predicting", count, quiet=output.silent) as show:
        result = forecast_source(predictor, source, horizon or recipe.horizon_, progress=show.update, **keywords)
    result = result.clipped() if clip else result
    written = writers.write_all(out, result, gif=gif, strip=strip, sequence=sequence)
    if motion is not None:
        written |= writers.write_all([motion], estimate_forecast_motion(result))
    _print_result(result, written, notes, as_json=output.as_json)


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
    model: Forecaster | type[Baseline],
    config: DataConfig,
    stored: StoredArray | None,
    context: int | str | None,
    out: list[Path],
) -> FileSource:
    """Open the frames up to now; what makes their forecast impossible is an error before it is computed."""
    from framecast import writers
    from framecast.forecasting.context import open_baseline_context, open_context

    if isinstance(model, type):
        source = open_baseline_context(model, config, stored, context=context)
    else:
        source = open_context(model, config, stored, context=context)
    writers.check_grid(out, source.grid)
    return source


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


def _print_result(result: Forecast, written: dict[str, str], notes: list[str], *, as_json: bool) -> None:
    if as_json:
        facts = {
            "context": result.context.shape[1],
            "shape": result.frames.shape if result.members > 1 else result.frames[:, 0].shape,
            "notes": [*notes, *result.notes],
            **result.computation,
        }
        options.print_json({"out": written, **facts, **result.provenance.as_dict()})
        return
    computation = [result.computation_text] if result.computation_text else []
    options.print_lines(*result.notes, *computation, *(f"{path}: {words}" for path, words in written.items()))


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of the published code.")],
    source: Annotated[str, typer.Option(help="predrnn-pytorch or openstl.")],
    model: Annotated[str, typer.Option(help="The network's name here, see framecast models.")],
    patch: Annotated[int, typer.Option(help="Patch size of the training; the weights do not tell.", min=1)],
    out: Annotated[Path, typer.Option("--out", help="New folder.")],
    size: Annotated[str | None, typer.Option(help="HxW of a frame, where the weights do not tell.")] = None,
    context: Annotated[int | None, typer.Option(help="Frames that it was trained to see.", min=1)] = None,
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
        save_forecaster(temporary, forecaster, {"converted_from": checkpoint.name, "source": source})
    about = {"out": str(out), "model": forecaster.config.model_dump(mode="json"), "spec": forecaster.spec.model_dump()}
    if as_json:
        options.print_json(about)
        return
    print(f"{out}: {forecaster.config}")
    print("next:", format_command("framecast", "predict", out, "FILE", "--horizon", 10, "--out", "FUTURE.npy"))


def _check_sequence(number: int, count: int) -> None:
    if not number < count:
        raise UsageError("--sequence", got=number, expected=f"0 to {count - 1}")
