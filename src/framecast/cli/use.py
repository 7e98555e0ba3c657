"""predict, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.predict import Forecast


def predict(
    run: Annotated[Path, typer.Argument(help="A run or a model's folder.")],
    file: Annotated[Path, typer.Argument(help="Frames up to now, in any form that train takes.")],
    out: Annotated[Path, typer.Option("--out", help="New .npy, .npz or .zarr.")],
    horizon: Annotated[int, typer.Option(help="Frames to predict; any number.", min=1)] = 10,
    context: Annotated[
        int | None, typer.Option(help="How many of the last frames to use. [default: as trained]", min=1)
    ] = None,
    gif: Annotated[Path | None, typer.Option(help="Animation of one sequence.")] = None,
    strip: Annotated[Path | None, typer.Option(help="Picture of one sequence, PNG.")] = None,
    sequence: Annotated[int, typer.Option(help="Which sequence the pictures show.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Sequences at a time.", min=1)] = 8,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    dims: options.Dims = None,
    variable: options.Variable = None,
    value_range: options.Range = None,
    missing: options.Missing = None,
    units: options.Units = None,
    times: options.Times = None,
    step_minutes: options.Step = None,
    grey: options.Grey = False,
    shrink: options.Shrink = None,
    model: options.Model = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Predict what follows the last frame of each sequence of a file. No frame of the future is needed."""
    from framecast import kernels
    from framecast.contest import recipe_of, seen_alike
    from framecast.data import ArraySource
    from framecast.model_folder import load
    from framecast.place import resolve_device
    from framecast.predict import check_new, draw_forecast, forecast, write_forecast
    from framecast.progress import progress

    check_new(out, gif, strip)
    place = resolve_device(device)
    kernels.set_precision(precision or "auto")
    kind = options.imported(model)
    forecaster = load(run, model=kind)
    fields = options.data_fields(
        str(file), dims, variable, value_range, missing, units, times, step_minutes, grey, shrink
    )
    source = ArraySource(options.data_config(seen_alike(recipe_of(run, kind), fields)))
    _check_sequence(sequence, len(source.latest))
    with progress("predicting", len(source.latest), quiet=quiet or as_json) as show:
        steps: dict[str, Any] = {"context": context, "batch_size": batch_size, "device": place, "progress": show.update}
        result = forecast(forecaster, source, horizon, room=options.room(max_memory, tile, overlap), **steps)
    axes, shape = write_forecast(out, result, forecaster.spec)
    draw_forecast(result, forecaster.spec, sequence, gif=gif, strip=strip)
    _tell({"out": str(out), "dims": axes, "shape": shape}, result, source.notes, forecaster.spec.units, as_json=as_json)


def _tell(about: dict[str, Any], result: Forecast, notes: list[str], units: str, *, as_json: bool) -> None:
    if as_json:
        options.say_json({**about, "notes": notes, **result.computed()})
        return
    for note in [*notes, result.told(units)]:
        print(note)
    print(f"{about['out']}: axes {about['dims']}, shape {'x'.join(map(str, about['shape']))}, {units}")


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
