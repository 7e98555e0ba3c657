"""Command study: analyses of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.option_groups import DataOptions, ModelOptions, OutputOptions, expand_groups
from framecast.errors import UsageError

What = Annotated[
    str | None,
    typer.Option(
        help="saturation, gradients, decoupling, schedules, memory, differences, frequency, with commas between them. "
        "[default: all that suit the network]"
    ),
]
Split = Annotated[str | None, typer.Option(help="train, val, test or all. [default: test, else val]")]


@expand_groups
def study(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs or models' folders; lines are drawn together.")
    ],
    *,
    what: What = None,
    data: Annotated[str | None, typer.Option("--data", help="By default each run's own.")] = None,
    split: Split = None,
    context: options.Context = None,
    horizon: options.Horizon = None,
    sequences: Annotated[int, typer.Option(help="Windows to study, spread evenly over the split.", min=1)] = 16,
    sequence: Annotated[int, typer.Option(help="Which window's maps are drawn.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Sequences at a time.", min=1)] = 4,
    saturated: Annotated[
        str, typer.Option(metavar="LOW,HIGH", help="Gates below and above are saturated.")
    ] = "0.1,0.9",
    pictures: Annotated[int, typer.Option(help="Steps that t-SNE draws, evenly spaced.", min=1)] = 5,
    out: Annotated[Path | None, typer.Option("--out", help="Parent of the new folders. [default: RUN/study]")] = None,
    reading: DataOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """See why a network works: gates, gradients, memories, schedules, blur; arrays (.npz) and pictures."""
    from framecast.commands.study import StudyOptions, study_runs

    ends = options.parse_numbers(saturated, "--saturated")
    if len(ends) != 2:
        raise UsageError("--saturated", got=saturated, expected="LOW,HIGH, for example 0.1,0.9")
    study_options = StudyOptions(
        options.parse_words(what) if what else None,
        split,
        options.parse_length(context),
        options.parse_length(horizon),
        sequences,
        sequence,
        batch_size,
        (ends[0], ends[1]),
        pictures,
    )
    model: dict[str, Any] = {"device": network.device, "precision": network.precision, "model": network.kind}
    studies = study_runs(runs, reading.fields(data), study_options, out=out, quiet=output.silent, **model)
    if output.as_json:
        options.print_json(studies.as_dict())
        return
    studies.print(options.make_console())
