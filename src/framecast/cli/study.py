"""Command study: analyses of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.option_groups import ModelOptions, OutputOptions, SourceOptions, expand_groups
from framecast.errors import UsageError

What = Annotated[
    str | None,
    typer.Option(
        "--what",
        metavar="A,B",
        help="saturation, gradients, decoupling, schedules, memory, differences, frequency, attention, motion, moments. "
        "[default: all that suit the network]",
    ),
]


@expand_groups
def study(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs or models' folders; lines are drawn together.")
    ],
    *,
    what: What = None,
    split: options.Split = None,
    context: options.Context = None,
    horizon: options.Horizon = None,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", help="At most so many windows, spread evenly over the split.", min=1),
    ] = 16,
    sequence: options.Sequence = 0,
    batch_size: options.BatchSize = 4,
    saturated: Annotated[
        str, typer.Option("--saturated", metavar="LOW,HIGH", help="Gates below and above are saturated.")
    ] = "0.1,0.9",
    tsne_steps: Annotated[
        int, typer.Option("--tsne-steps", metavar="N", help="Steps that t-SNE draws, evenly spaced.", min=1)
    ] = 5,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Parent of the new folders. [default: RUN/study]")
    ] = None,
    source: SourceOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """See why a network works: gates, gradients, memories, schedules, blur; arrays (.npz) and pictures."""
    from framecast.commands.study import study_runs
    from framecast.commands.study_kinds import StudyOptions

    ends = options.parse_numbers(saturated, "--saturated")
    if len(ends) != 2:
        raise UsageError("--saturated", got=saturated, expected="LOW,HIGH, for example 0.1,0.9")
    study_options = StudyOptions(
        options.parse_words(what) if what else None,
        split,
        options.parse_length(context),
        options.parse_length(horizon),
        limit,
        sequence,
        batch_size,
        (ends[0], ends[1]),
        tsne_steps,
    )
    model: dict[str, Any] = {"device": network.device, "precision": network.precision, "model": network.kind}
    studies = study_runs(runs, source.given(), study_options, out=out, quiet=output.quiet, **model)
    if output.as_json:
        options.print_json(studies.as_dict())
        return
    studies.print(options.make_console())
