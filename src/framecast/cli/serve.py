"""Command serve: forecasts over HTTP, and a map of what the loop issues."""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framecast.cli import options
from framecast.cli.option_groups import ModelOptions, OutputOptions, ReadingOptions, expand_groups
from framecast.cli.watch import DressingOptions, LoopOptions, describe_error, load_watched
from framecast.errors import InputError, UsageError

if TYPE_CHECKING:
    from framecast.live.watcher import Look, Watcher
    from framecast.serving.limits import ServiceLimits
    from framecast.serving.model import ServedModel

TOKEN = "FRAMECAST_TOKEN"
"""Variable of the environment that holds the token."""
LEAST_TOKEN = 8
"""Letters of a token."""


@dataclass(frozen=True)
class AddressOptions:
    """Options of the address, and of who may ask."""

    host: Annotated[
        str,
        typer.Option("--host", metavar="HOST", help="Address. Else 127.0.0.1; 0.0.0.0 for all.", show_default=False),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", help="Port. Else 8000; 0 for a free one.", min=0, max=65535, show_default=False
        ),
    ] = 8000
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help=f"The token of clients; else ${TOKEN}."),
    ] = None
    open_map: Annotated[bool, typer.Option("--open-map", help="The map needs no token.")] = False
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Listen at a public address without a token, as behind a proxy.")
    ] = False

    def read_token(self) -> str | None:
        """Read the token; None for none.

        Raises:
            UsageError: a token that is no good, or none at a public address.
        """
        token = os.environ.get(TOKEN)
        if self.token_file is not None:
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise UsageError("--token-file", got=str(error), expected="a file that can be read") from error
        if token is not None and not (len(token) >= LEAST_TOKEN and token.isascii() and token.isprintable()):
            expected = f"{LEAST_TOKEN} or more printable ASCII letters"
            raise UsageError(
                "token", got=f"{len(token)} letters", expected=expected, fix="openssl rand -hex 16 makes one"
            )
        if token is None and not self.no_token and not _is_loopback(self.host):
            fix = f"give one in ${TOKEN} or --token-file, or say --no-token"
            raise UsageError(
                "--host", got=f"{self.host} without a token", expected="a token at a public address", fix=fix
            )
        return token or None


@dataclass(frozen=True)
class ServiceOptions:
    """Options of the limits of the service."""

    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="TIME", help="Age of a forecast that is stale. [default: 4 steps]"),
    ] = None
    max_body: Annotated[str, typer.Option("--max-body", metavar="SIZE", help="Largest body of a request.")] = "32MB"
    max_horizon: Annotated[int, typer.Option("--max-horizon", metavar="N", help="Frames of a request.", min=1)] = 120
    queue: Annotated[
        int, typer.Option("--queue", metavar="N", help="Requests that may wait; with more, 503.", min=1)
    ] = 32
    max_batch: Annotated[
        int, typer.Option("--max-batch", metavar="N", help="Sequences that are computed together.", min=1)
    ] = 16

    max_held: Annotated[
        str,
        typer.Option("--max-held", metavar="SIZE", help="Memory of all requests together, and of one computation."),
    ] = "1GiB"

    def parse(self) -> ServiceLimits:
        """Parse the limits."""
        from framecast.serving.limits import ServiceLimits

        memory = options.parse_bytes(self.max_held, "--max-held")
        body = options.parse_bytes(self.max_body, "--max-body")
        return ServiceLimits(body=body, horizon=self.max_horizon, queue=self.queue, batch=self.max_batch, memory=memory)


@expand_groups
def serve(
    run: Annotated[
        str,
        typer.Argument(help="A run, a model's folder or name, or a baseline."),
    ],
    *,
    watch: Annotated[
        str | None,
        typer.Option("--watch", metavar="DIR", help="Forecast what comes to a folder or address."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the forecasts, of this loop or another."),
    ] = None,
    horizon: options.Horizon = None,
    calibrate: options.Calibrate = None,
    address: AddressOptions,
    service: ServiceOptions,
    loop: LoopOptions,
    dressing: DressingOptions,
    reading: ReadingOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> None:
    """Serve forecasts over HTTP; with --watch, a map of the newest one too."""
    from framecast.data.durations import MINUTES, in_frames
    from framecast.optional_imports import require

    for package in ("fastapi", "uvicorn", "prometheus_client"):
        require(package, "serve", "the service")
    token, limits = address.read_token(), service.parse()
    max_age = None if service.max_age is None else float(in_frames(service.max_age, MINUTES["s"], "--max-age"))
    if watch is not None and out is None:
        raise UsageError("--out", got="none beside --watch", expected="a folder for the forecasts")
    calibration = options.parse_calibration(calibrate)
    load = partial(_load, run, network, calibration, horizon)
    from framecast.serving.app import make_app
    from framecast.serving.server import open_socket
    from framecast.serving.server import serve as run_server
    from framecast.serving.service import Service

    listening = open_socket(address.host, address.port)
    say = partial(_say_line, quiet=output.quiet)
    served = load()
    with _watching(watch, out, served, loop, dressing.parse(run, calibration), reading, network, output) as watcher:
        swap = partial(_swap, watcher, served)
        made = Service(load, out, limits, max_age=max_age, on_swap=swap)
        port = listening.getsockname()[1]
        name = f"[{address.host}]" if ":" in address.host else address.host
        options.print_lines(f"serving {served.name} at http://{name}:{port}/")
        run_server(made, make_app(made, token, is_map_open=address.open_map), listening, say)


def _load(run: str, network: ModelOptions, calibration: str | None, horizon: str | None) -> ServedModel:
    """Load what is served; a horizon that is given stands in for that of the training."""
    from framecast.devices import move_module, resolve_device
    from framecast.forecasting.forecaster import Forecaster
    from framecast.serving.model import ServedModel

    model, name, recipe = load_watched(run, network, calibration)
    if isinstance(model, Forecaster):
        model = move_module(model, resolve_device(network.device))
    asked = options.parse_length(horizon)
    return ServedModel(model, name, recipe, recipe.horizon_ if asked is None else asked)


@contextmanager
def _watching(
    place: str | None,
    out: Path | None,
    served: ServedModel,
    loop: LoopOptions,
    dressing: Any,
    reading: ReadingOptions,
    network: ModelOptions,
    output: OutputOptions,
) -> Iterator[Watcher | None]:
    """Run the loop in a thread beside the service; nothing where no place is watched."""
    from framecast.devices import resolve_device
    from framecast.live.loop import locked
    from framecast.live.loop import run as run_loop
    from framecast.live.start import WatchOptions, open_watcher

    if place is None or out is None:
        yield None
        return
    chosen = loop.parse()
    if not {"nc", "zarr"} & set(chosen["formats"]):
        raise UsageError("--write", got=loop.write, expected="nc or zarr among them, which the map reads")
    settings = WatchOptions(
        place,
        out,
        served.horizon,
        fields=reading.fields(None),
        **chosen,
        keywords={"device": resolve_device(network.device)},
        dressing=dressing,
    )
    pause = loop.parse_poll(place)
    with locked(out):
        watcher = open_watcher(served.model, served.name, served.recipe, settings)
        say = partial(_say_look, quiet=output.quiet, as_json=output.as_json)
        ending = threading.Event()
        looks = partial(run_loop, watcher, say, describe_error, poll=pause, settle=settings.settle, ending=ending)
        thread = threading.Thread(target=looks, name="framecast-watch", daemon=True)
        thread.start()
        try:
            yield watcher
        finally:
            ending.set()
            thread.join()  # a thread that computes while the interpreter ends would abort the process


def _swap(watcher: Watcher | None, before: ServedModel, served: ServedModel) -> None:
    """Let the loop forecast by a model that was loaded again.

    Raises:
        InputError: it takes other frames than the loop reads.
    """
    if watcher is None:
        return
    old, new = ([getattr(each.model, "spec", None)] for each in (before, served))
    if [(one.channels, one.units) for one in old if one] != [(one.channels, one.units) for one in new if one]:
        raise InputError(served.name, got="a model of other frames", expected="those of before", fix="start it again")
    watcher.swap(served.model)


def _say_look(look: Look, *, quiet: bool, as_json: bool) -> None:
    """Print what a look brought."""
    if as_json and look.published is not None:
        options.print_json(look.published)
    elif look.lines and not as_json and not quiet:
        options.print_lines(*look.lines)


def _say_line(text: str, *, quiet: bool) -> None:
    if not quiet:
        options.print_lines(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
