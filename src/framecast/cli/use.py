"""predict, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.data import ArraySource, DataConfig
    from framecast.types import Forecast, FrameSpec

Clip = Annotated[
    bool, typer.Option("--clip", help="Cut what is predicted to the model's value range (of --range, units or data).")
]


def predict(
    run: Annotated[Path, typer.Argument(help="A run or a model's folder.")],
    file: Annotated[Path, typer.Argument(help="Frames up to now, in any form that train takes.")],
    out: options.Outs,
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
    model: options.Model = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Predict what follows the last frame of each sequence of a file. No frame of the future is needed."""
    from framecast import kernels, writers
    from framecast.alike import seen_alike
    from framecast.contest import recipe_of
    from framecast.model_folder import load
    from framecast.place import resolve_device
    from framecast.predict import clipped, forecast, provenance
    from framecast.progress import progress

    writers.check(out, gif, strip)
    place, kind = resolve_device(device), options.imported(model)
    forecaster, recipe = load(run, model=kind), recipe_of(run, kind)
    kernels.set_precision(precision or recipe.train.precision)
    fields = options.data_fields(
        str(file), dims, variable, value_range, missing, units, times, step_minutes, grey, shrink, frames
    )
    config = options.data_config(seen_alike(recipe, fields, forecaster.spec))
    beside = None if covariates is None else config.model_copy(update={"source": str(covariates)})
    source, room = _opened(config, forecaster.spec, out), options.room(max_memory, tile, overlap)
    _check_sequence(sequence, count := len(source.latest))
    for note in () if as_json else source.notes:
        print(note, flush=True)
    said: dict[str, Any] = {"context": context, "batch_size": batch_size, "device": place, "covariates": beside}
    with progress("predicting", count, quiet=quiet or as_json) as show:
        result = forecast(forecaster, source, horizon or recipe.horizon_, room=room, progress=show.update, **said)
    result = clipped(result) if clip else result
    written = writers.write_all(out, result, about := provenance(run, result), gif=gif, strip=strip, sequence=sequence)
    _tell(result, written, source.notes, about, as_json=as_json)


def _opened(config: DataConfig, model: FrameSpec, out: list[Path]) -> ArraySource:
    """The frames; what makes a forecast of them impossible is said before it is computed."""
    from framecast import writers
    from framecast.data import ArraySource
    from framecast.predict import check_step

    source = ArraySource(config)
    check_step(model, source.spec, config.step_minutes)
    writers.check_grid(out, source.grid)
    return source


def _tell(result: Forecast, written: dict[str, str], notes: list[str], about: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        facts = {
            "context": result.context.shape[1],
            "shape": result.frames.shape,
            "notes": [*notes, *result.notes],
            **(result.computed or {}),
        }
        options.say_json({"out": written, **facts, **about})
        return
    print(*result.notes, result.told, *(f"{path}: {words}" for path, words in written.items()), sep="\n")


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
    from framecast import atomic
    from framecast.model_folder import save_forecaster
    from framecast.published import load_published

    atomic.new(out)
    limits = None if value_range is None else options.interval(value_range)
    forecaster = load_published(
        checkpoint,
        source=source,
        model=model,
        patch=patch,
        size=options.size(size) if size else None,
        context=context,
        value_range=limits,
        units=units,
    )
    save_forecaster(out, forecaster, {"converted_from": checkpoint.name, "source": source})
    about = {"out": str(out), "model": forecaster.config.model_dump(mode="json"), "spec": forecaster.spec.model_dump()}
    if as_json:
        options.say_json(about)
        return
    print(f"{out}: {forecaster.config}")
    print(f"next: framecast predict {out} FILE --horizon 10 --out FUTURE.npy")


def _check_sequence(number: int, count: int) -> None:
    if not number < count:
        raise UsageError("--sequence", got=number, expected=f"0 to {count - 1}")
