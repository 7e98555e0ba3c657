"""Command protocol: scores by a published protocol, beside the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framecast.cli import options
from framecast.cli.option_groups import ModelOptions, OutputOptions, expand_groups
from framecast.errors import UsageError


@expand_groups
def protocol(
    name: Annotated[str | None, typer.Argument(help="A protocol; all of them are listed if left out.")] = None,
    run: Annotated[
        str | None, typer.Argument(help="A run, a model or a baseline; without, the published scores are shown.")
    ] = None,
    *,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DIR", help="Folder of the published files; nothing is downloaded.")
    ] = None,
    baselines: Annotated[
        str | None, typer.Option("--baselines", metavar="A,B", help="Beside it. [default: persistence,mean]")
    ] = None,
    limit: options.Limit = None,
    batch_size: options.BatchSize = 8,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="New folder. [default: RUN/evaluations/protocol-NAME-N]"),
    ] = None,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Score a model by a published protocol: its test windows, sizes and metrics, beside the published scores."""
    from framecast.commands.protocol import print_protocol, print_protocols, score_protocol
    from framecast.protocols import find_protocol, list_protocols

    if name is None:
        if output.as_json:
            options.print_json({key: each.title for key, each in list_protocols().items()})
        else:
            print_protocols(options.make_console())
        return
    found = find_protocol(name)
    if run is None:
        options.print_json(found.model_dump(mode="json")) if output.as_json else print_protocol(
            found, options.make_console()
        )
        return
    if data is None:
        origin = "; ".join(f"{file.path} from {file.origin}" for file in found.files)
        raise UsageError("--data", got="nothing", expected=f"the folder with {origin}")
    names = None if baselines is None else [] if baselines == "none" else options.parse_words(baselines)
    scores, folder = score_protocol(
        name,
        run,
        data,
        baselines=names,
        limit=limit,
        batch_size=batch_size,
        out=out,
        device=network.device,
        precision=network.precision,
        model=network.kind,
        quiet=output.quiet,
    )
    if output.as_json:
        options.print_json({**scores.as_dict(), "folder": str(folder)})
        return
    scores.print(options.make_console(), quiet=output.quiet)
    if not output.quiet:
        print(f"written: {folder}")
