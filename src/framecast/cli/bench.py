"""Command bench: speed and memory of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from framecast.cli import options
from framecast.cli.option_groups import OutputOptions, expand_groups
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.bench.tables import Sheet

FORMS: tuple[str, ...] = ("direct", "fast", "low")
"""Precision and memory of framecast's own implementations."""
WHAT: tuple[Literal["time", "memory"], ...] = ("time", "memory")
Word = TypeVar("Word", bound=str)
Opponent = Annotated[
    list[str] | None,
    typer.Option("--opponent", metavar="FUNC", help="package.module:function, somebody else's form of the networks."),
]
BatchSizes = Annotated[
    str | None,
    typer.Option("--batch-sizes", metavar="A,B", help="Sequences at a time, e.g. 1,8. [default: the setting's]"),
]
Forms = Annotated[
    str | None,
    typer.Option(help="direct, fast, low: precision and memory of framecast. [default: all; --growth: fast]"),
]


@dataclass(frozen=True)
class FormatOptions:
    """Options of a comparison of the forms of one model."""

    formats: Annotated[
        bool,
        typer.Option("--formats", help="Instead: accuracy and speed of one model, fast, direct, and by onnxruntime."),
    ] = False
    run: Annotated[str, typer.Option("--run", help="Run or model of --formats.")] = "digits"
    sizes: Annotated[str, typer.Option("--sizes", help="Rows, and as many columns, of --formats.")] = "64,128"

    def compare(self, rounds: int, output: OutputOptions) -> None:
        """Compare the forms, on one thread."""
        from framecast.bench.formats import measure_formats, tabulate_formats
        from framecast.forecasting.model_folder import load

        sizes = [int(size) for size in options.parse_numbers(self.sizes, "--sizes")]
        results = [measure_formats(load(self.run), size, rounds=rounds) for size in sizes]
        if output.as_json:
            options.print_json({"model": self.run, "sizes": results})
        else:
            tabulate_formats(self.run, results).print(options.make_console())


@expand_groups
def bench(
    *,
    setting: Annotated[str, typer.Option(help="standard, radar (35x35 maps), kernel3 or quick.")] = "standard",
    models: Annotated[
        str | None, typer.Option(help="Networks, e.g. predrnn,mim. [default: all that were published]")
    ] = None,
    tasks: Annotated[str, typer.Option(help="train, inference or both.")] = "train,inference",
    batch_sizes: BatchSizes = None,
    forms: Forms = None,
    opponent: Opponent = None,
    what: Annotated[str, typer.Option(help="time, memory or both.")] = "time,memory",
    threads: Annotated[int, typer.Option(help="Of torch.", min=1)] = 2,
    pairs: Annotated[int, typer.Option(help="Pairs that must count for each form.", min=1)] = 5,
    minutes: Annotated[
        float | None, typer.Option(help="Begin nothing new after so long; the same command again goes on.")
    ] = None,
    growth: Annotated[bool, typer.Option("--growth", help="How cost grows with batch, map, frames, layers.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes, two pairs, one process: does it work?")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure also what was measured with this code.")] = False,
    out: Annotated[Path, typer.Option("--out", help="JSON; what is there is kept and added to.")] = Path("bench.json"),
    page: Annotated[Path | None, typer.Option("--page", help="Page whose tables and pictures are brought up.")] = None,
    forms_of_model: FormatOptions,
    output: OutputOptions,
) -> None:
    """Time and memory of the networks: interleaved, calibrated, gated by their numbers, targets beside."""
    if forms_of_model.formats:
        forms_of_model.compare(2 if quick else pairs, output)
        return
    from framecast.bench.markdown_page import write_page
    from framecast.bench.peak_memory import PROCESSES
    from framecast.bench.run import BenchOptions, make_sheets, run_bench, run_scaling
    from framecast.bench.settings import BENCHED, SETTINGS, TASKS, find_setting

    implementations = _parse_choices(forms, FORMS, "--forms") if forms else FORMS[1:2] if growth else FORMS
    bench_options = BenchOptions(
        setting=[find_setting(setting), SETTINGS["quick"]][quick],
        models=_parse_choices(models, BENCHED, "--models") if models else BENCHED,
        tasks=_parse_choices(tasks, TASKS, "--tasks"),
        batches=[int(size) for size in options.parse_numbers(batch_sizes, "--batch-sizes")] if batch_sizes else None,
        contenders=[*(opponent or ()), *implementations],
        out=out,
        what=_parse_choices(what, WHAT, "--what"),
        threads=threads,
        pairs=2 if quick else pairs,
        minutes=minutes,
        again=again,
        quiet=output.quiet,
        processes=1 if quick else PROCESSES,
    )
    results, left = run_scaling(bench_options, quick=quick) if growth else run_bench(bench_options)
    if page is not None:
        write_page(page, results)
    if output.as_json:
        options.print_json({"out": str(out), "left": left, "results": results.model_dump(mode="json")})
        return
    _print_lines(make_sheets(results, bench_options, growth=growth), left, out)


def _print_lines(sheets: Sequence[Sheet], left: Sequence[str], out: Path) -> None:
    """Print tables, titles of what there was no time for, and where the numbers are."""
    console = options.make_console()
    for sheet in sheets:
        sheet.print(console)
    for title in left:
        console.print(f"no time left for: {title}", markup=False)
    console.print(f"written: {out}", soft_wrap=True, markup=False)


def _parse_choices(text: str, known: Sequence[Word], option: str) -> list[Word]:
    """Parse comma-separated words, each one of the known; repeated ones count once."""
    by_name = {str(word): word for word in known}
    words = options.parse_words(text)
    for word in words:
        if word not in by_name:
            raise UsageError.unknown(option, word, known)
    return [by_name[word] for word in dict.fromkeys(words)]
