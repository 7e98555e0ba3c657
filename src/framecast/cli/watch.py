"""Command watch: forecasts from frames that keep coming."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.calibrate import Errors, Members, Seed
from framecast.cli.failures import describe_failure
from framecast.cli.option_groups import ModelOptions, OutputOptions, ReadingOptions, expand_groups
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.forecasting.forecaster import Forecaster
    from framecast.live.ladder import Dressing
    from framecast.live.watcher import Look
    from framecast.recipe.recipe import Recipe


@dataclass(frozen=True)
class LoopOptions:
    """Options of the loop: how it looks, what it takes for a forecast, what it writes and keeps."""

    context: options.Context = None
    covariates: options.Covariates = None
    poll: Annotated[
        str | None,
        typer.Option("--poll", metavar="TIME", help="Time between looks. [default: 1s of a folder, 5s of an address]"),
    ] = None
    settle: Annotated[
        str, typer.Option("--settle", metavar="TIME", help="Time for which a file must not change before it is read.")
    ] = "2s"
    retry: Annotated[
        str,
        typer.Option(
            "--retry", metavar="TIME", help="Time for which a file that cannot be read is tried again; then it is left."
        ),
    ] = "2min"
    max_filled: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Absent frames of the window with which the model forecasts, at most; with more, extrapolation and "
            "persistence stand in. [default: 3]",
        ),
    ] = None
    write: Annotated[
        str,
        typer.Option(
            "--write",
            help="Of each forecast: nc, zarr, tif, png, npy, npz, gif, mp4; strip, a picture of all frames.",
        ),
    ] = "nc,strip"
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="TIME", help="Remove forecasts so much older than the newest, e.g. 2d."),
    ] = None
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Score forecasts when their truth arrives, in skill.json.")
    ] = True
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", min=0, max=0.49, help="Share of a step by which a frame may be early or late."),
    ] = 0.4
    match: Annotated[
        str,
        typer.Option("--match", metavar="REGEX", help="Names of the files in a remote folder, from their beginning."),
    ] = ""
    storage: Annotated[
        list[str] | None,
        typer.Option("--storage", metavar="KEY=VALUE", help="Option of fsspec, as anon=true; repeatable."),
    ] = None

    def parse_poll(self, place: str) -> float:
        """Parse the seconds between looks at a place; a folder costs nothing to look at, another host is spared."""
        return options.parse_seconds(self.poll or ("1s" if Path(place).is_dir() else "5s"), "--poll")

    def parse(self) -> dict[str, Any]:
        """Parse the texts to the fields of WatchOptions, but for those of the loop itself."""
        return {
            "context": options.parse_length(self.context),
            "covariates": self.covariates,
            **({} if self.max_filled is None else {"max_filled": self.max_filled}),
            "formats": options.parse_words(self.write),
            "keep": self.keep,
            "settle": options.parse_seconds(self.settle, "--settle"),
            "retry": options.parse_seconds(self.retry, "--retry"),
            "tolerance": self.tolerance,
            "match": self.match,
            "verify": self.verify,
            "storage": _parse_storage(self.storage or []),
        }


@dataclass(frozen=True)
class DressingOptions:
    """Options of members of each forecast."""

    members: Members = None
    seed: Seed = 0
    errors: Errors = None

    def parse(self, run: str, calibrate: str | None) -> Dressing | None:
        """Return how members are made; None for single forecasts.

        Args:
            run: whose error tables are taken where no others are named.
            calibrate: how forecasts are calibrated, as parsed.

        Raises:
            UsageError: matching of what members are made of.
        """
        from framecast.live.ladder import Dressing
        from framecast.trained import find_model

        if self.members is None:
            return None
        if calibrate == "matched":
            fix = "leave --calibrate out: each member is matched by itself"
            raise UsageError("--calibrate", got="matched, with --members", expected="one of them", fix=fix)
        return Dressing(self.members, self.errors or Path(find_model(run)), self.seed)


@expand_groups
def watch(
    run: Annotated[
        str,
        typer.Argument(help="A run, a model's folder, a trained model of the package, or a baseline: extrapolation."),
    ],
    place: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="A folder that files come into; an address, as s3://bucket/folder, or with the time in it, as "
            "https://host/%Y%m%d%H%M.h5; or a preset: opera, mrms, dwd, fmi, dmi.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the forecasts, latest.json and skill.json.")],
    *,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, for cron.")] = False,
    horizon: options.Horizon = None,
    calibrate: options.Calibrate = None,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = None,
    overlap: options.Overlap = None,
    loop: LoopOptions,
    dressing: DressingOptions,
    reading: ReadingOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Watch a folder or an address, and forecast from its newest frames each time that one arrives."""
    from framecast.devices import resolve_device
    from framecast.live.loop import locked
    from framecast.live.loop import run as run_loop
    from framecast.live.start import WatchOptions, open_watcher

    calibration = options.parse_calibration(calibrate)
    model, name, recipe = load_watched(run, network, calibration)
    keywords = {"device": resolve_device(network.device), "room": options.make_memory_limits(max_memory, tile, overlap)}
    settings = WatchOptions(
        place,
        out,
        horizon or recipe.horizon_,
        fields=reading.fields(None),
        **loop.parse(),
        keywords=keywords,
        dressing=dressing.parse(run, calibration),
    )
    pause = loop.parse_poll(place)
    with locked(out):
        watcher = open_watcher(model, name, recipe, settings)
        say = partial(_say, quiet=output.quiet, as_json=output.as_json)
        run_loop(watcher, say, describe_error, poll=pause, settle=settings.settle, once=once)


def _say(look: Look, *, quiet: bool, as_json: bool) -> None:
    """Print what a look brought: lines, or one JSON object for each forecast."""
    if as_json:
        if look.published is not None:
            options.print_json(look.published)
    elif look.lines and not quiet:
        options.print_lines(*look.lines)


def describe_error(error: BaseException) -> str:
    """Describe an error in one line."""
    failure = describe_failure(error)
    return f"{type(error).__name__}: {error}" if failure is None else failure.text


def load_watched(run: str, network: ModelOptions, calibrate: str | None) -> tuple[Forecaster | str, str, Recipe]:
    """Load the model of a run, or the name of a baseline; its name for people; its recipe."""
    from framecast import kernels
    from framecast.forecasting.context import is_baseline
    from framecast.forecasting.model_folder import load
    from framecast.recipe.recipe import Recipe, recipe_of_run
    from framecast.trained import find_model

    folder, kind = find_model(run), network.kind
    if is_baseline(folder):
        if calibrate == "matched":
            raise UsageError("--calibrate", got="matched", expected="raw: a baseline has no base", fix="leave it out")
        return run, run, Recipe()
    recipe = recipe_of_run(folder, kind)
    kernels.set_precision(network.precision or recipe.train.precision)
    model = load(folder, model=kind).eval()
    name = run if folder != run else f"{Path(folder).resolve().name} ({model.name})"
    return model.with_matching(calibrate == "matched"), name, recipe


def _parse_storage(texts: list[str]) -> dict[str, Any]:
    """Parse KEY=VALUE, values as JSON where they are, else as texts."""
    import json

    values: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not (key and sign):
            raise UsageError("--storage", got=text, expected="KEY=VALUE, as anon=true")
        try:
            values[key] = json.loads(value)
        except ValueError:
            values[key] = value
    return values
