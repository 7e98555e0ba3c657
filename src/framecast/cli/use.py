"""evaluate, predict, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framecast.cli import options
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.models import ModelConfig

Model = Annotated[
    str | None,
    typer.Option("--model", metavar="package.module:Class", help="Class of a network that is not framecast's own."),
]


def evaluate(
    run: Annotated[str, typer.Argument(help="A run, a model's folder, or persistence, mean or blank.")],
    data: Annotated[str | None, typer.Option("--data", help="By default the run's own.")] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, val, test or all. [default: test, else val; all of other data without splits]"),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Metrics or a protocol: framecast, predrnn-pytorch, openstl, mim.")
    ] = "framecast",
    thresholds: Annotated[str | None, typer.Option(help="For csi, pod, far, hss, in raw units, e.g. 15,25,35.")] = None,
    context: Annotated[int | None, typer.Option(help="Frames in. [default: as trained]", min=1)] = None,
    horizon: Annotated[int | None, typer.Option(help="Frames out. [default: as trained]", min=1)] = None,
    limit: Annotated[int | None, typer.Option(help="Score at most so many windows.", min=1)] = None,
    batch_size: Annotated[int, typer.Option(help="Sequences at a time.", min=1)] = 8,
    out: Annotated[Path | None, typer.Option("--out", help="New folder. [default: RUN/evaluations/SPLIT-N]")] = None,
    dims: options.Dims = None,
    variable: options.Variable = None,
    value_range: options.Range = None,
    missing: options.Missing = None,
    units: options.Units = None,
    times: options.Times = None,
    step_minutes: options.Step = None,
    grey: options.Grey = False,
    shrink: options.Shrink = None,
    model: Model = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score forecasts by lead time beside the baselines: tables, JSON and pictures."""
    from framecast.contest import Question, contest

    fields = options.data_fields(data, dims, variable, value_range, missing, units, times, step_minutes, grey, shrink)
    taus = options.numbers(thresholds, "--thresholds") if thresholds else None
    question = Question(split, [name.strip() for name in metrics.split(",")], taus, context, horizon, limit, batch_size)
    board, folder = contest(
        run, fields, question, out=out, device=device, model=_imported(model), quiet=quiet or as_json
    )
    if as_json:
        options.say_json({**board.as_dict(), "folder": str(folder), "notes": board.dataset.notes})
        return
    console = options.console()
    for note in board.dataset.notes:
        console.print(note, style="dim", markup=False)
    board.print(console)
    console.print(f"written: {folder}", soft_wrap=True, markup=False)


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
    dims: options.Dims = None,
    variable: options.Variable = None,
    value_range: options.Range = None,
    missing: options.Missing = None,
    units: options.Units = None,
    times: options.Times = None,
    step_minutes: options.Step = None,
    grey: options.Grey = False,
    shrink: options.Shrink = None,
    model: Model = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Predict what follows the last frame of each sequence of a file. No frame of the future is needed."""
    from framecast.contest import recipe_of, seen_alike
    from framecast.data import ArraySource
    from framecast.model_folder import load
    from framecast.place import resolve_device
    from framecast.predict import check_new, draw_forecast, forecast, write_forecast
    from framecast.progress import progress

    check_new(out, gif, strip)
    kind = _imported(model)
    forecaster = load(run, model=kind)
    fields = options.data_fields(
        str(file), dims, variable, value_range, missing, units, times, step_minutes, grey, shrink
    )
    source = ArraySource(options.data_config(seen_alike(recipe_of(run, kind), fields)))
    _check_sequence(sequence, len(source.latest))
    with progress("predicting", len(source.latest), quiet=quiet or as_json) as show:
        result = forecast(
            forecaster,
            source,
            horizon,
            context=context,
            batch_size=batch_size,
            device=resolve_device(device),
            progress=show.update,
        )
    axes, shape = write_forecast(out, result, forecaster.spec)
    draw_forecast(result, forecaster.spec, sequence, gif=gif, strip=strip)
    if as_json:
        options.say_json({"out": str(out), "dims": axes, "shape": shape, "notes": source.notes})
        return
    for note in source.notes:
        print(note)
    print(f"{out}: axes {axes}, shape {'x'.join(map(str, shape))}, {forecaster.spec.units}")


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


def _imported(name: str | None) -> type[ModelConfig] | None:
    if name is None:
        return None
    from framecast.recipe import imported

    return imported(name)
