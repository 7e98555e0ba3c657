"""Commands export and push: a model as a file for other programs, as a page, and on a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.option_groups import expand_groups
from framecast.errors import UsageError
from framecast.formatting import format_command

if TYPE_CHECKING:
    from framecast.forecasting.forecaster import Forecaster

FORMS = ("onnx", "html", "onnx-step")
Run = Annotated[
    str, typer.Argument(help="A run, a model's folder, or a trained model of the package (framecast models --trained).")
]


@expand_groups
def export(
    run: Run,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="onnx: whole forecasts, for framecast.runtime and other programs; html: a page that forecasts in a "
            "browser; onnx-step: one step, for programs that keep the state.",
        ),
    ],
    *,
    out: Annotated[Path | None, typer.Option("--out", help="New file. [default: named for the model]")] = None,
    example: Annotated[
        Path | None,
        typer.Option("--example", help="Frames that the page begins with, .npy, time first, raw units. [--to html]"),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            "--runtime", help="Folder of onnxruntime-web (package/dist), for who is offline. [default: fetched once]"
        ),
    ] = None,
    network: options.Class = None,
    as_json: options.Json = False,
) -> None:
    """Export a model: it then forecasts without framecast, without torch, or in a browser."""
    from framecast.export.html_file import export_html
    from framecast.export.onnx_file import export_onnx

    if to not in FORMS:
        raise UsageError.unknown("--to", to, FORMS)
    if to != "html" and (example or runtime):
        raise UsageError("--example, --runtime", got=f"--to {to}", expected="--to html", fix="leave them out")
    forecaster, name = _load(run, network)
    suffix = {"onnx": ".onnx", "html": ".html", "onnx-step": "-step.onnx"}[to]
    path = out or Path(f"{name}{suffix}")
    if to == "html":
        export_html(forecaster, path, example=_read_example(example), runtime=runtime)
    else:
        export_onnx(forecaster, path, form="forecast" if to == "onnx" else "step")
    size = path.stat().st_size
    if as_json:
        options.print_json({"out": str(path), "form": to, "bytes": size, "model": forecaster.name})
        return
    options.print_lines(f"{path}: {size / 1e6:.1f} MB", *_list_next(path, to))


@expand_groups
def push(
    run: Run,
    name: Annotated[str, typer.Argument(help="Repository on the hub, as in me/rain-model.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="Seen by you alone, where it is new.")] = False,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="Of the weights, as in cc-by-4.0. [default: that of a trained model]"),
    ] = None,
    card_only: Annotated[bool, typer.Option("--card-only", help="Print the model card; nothing is sent.")] = False,
    network: options.Class = None,
    as_json: options.Json = False,
) -> None:
    """Send a model to the Hugging Face hub, with a card made from its run; others load it as hf://NAME."""
    from framecast.export.card import make_card
    from framecast.export.hub import push_model

    folder = _find_folder(run)
    if card_only:
        print(make_card(folder, licence=licence, repository=name), end="")
        return
    address = push_model(folder, name, private=private, licence=licence, model=options.import_model(network))
    if as_json:
        options.print_json({"name": name, "address": address})
        return
    command = format_command("framecast", "predict", f"hf://{name}", "FILE", "--horizon", 10, "--out", "FUTURE.nc")
    options.print_lines(address, f"next: {command}")


def _find_folder(run: str) -> Path:
    """Find the folder of a run or a model; a baseline has none."""
    from framecast.forecasting.context import is_baseline
    from framecast.trained import find_model

    if is_baseline(run):
        expected, fix = "a model, which has a folder", "train one: framecast train --help"
        raise UsageError("run", got=f"{run}, a baseline", expected=expected, fix=fix)
    return Path(find_model(run))


def _load(run: str, network: str | None) -> tuple[Forecaster, str]:
    """Load a model, and name it."""
    from framecast.forecasting.model_folder import load

    folder = _find_folder(run)
    return load(folder, model=options.import_model(network)), folder.resolve().name


def _read_example(path: Path | None) -> Any:
    """Read frames for a page.

    Raises:
        UsageError: no array in the file.
    """
    import numpy as np

    if path is None:
        return None
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError("--example", got=f"{path}, which holds no array", expected="an .npy file") from error


def _list_next(path: Path, to: str) -> list[str]:
    if to == "html":
        return ["open it in a browser: it needs no server and no network"]
    if to == "onnx-step":
        return ["inputs: frame, known, then the state, zeros at first; outputs: forecast, then the next state"]
    return [f'next: python -c "import framecast.runtime; print(framecast.runtime.load({str(path)!r}))"']
