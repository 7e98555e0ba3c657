"""Command calibrate, and the options of ensembles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from framecast.cli import options
from framecast.cli.option_groups import DataOptions, OutputOptions, expand_groups
from framecast.errors import UsageError

if TYPE_CHECKING:
    from framecast.ensembles.calibration.fit import Check
    from framecast.ensembles.product_names import ForecastProduct
    from framecast.forecast import Forecast
    from framecast.forecasting.predictor import Predictor

Members = Annotated[
    int | None,
    typer.Option(
        "--members", metavar="M", help="An ensemble of M members, by the errors that calibrate measured.", min=1
    ),
]
AsEnsemble = Annotated[
    bool,
    typer.Option("--as-ensemble", help="Several runs, as of other seeds, are the members of one ensemble."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the members' noise.", min=0)]
Errors = Annotated[
    Path | None,
    typer.Option("--errors", metavar="PATH", help="Error tables. [default: beside the model's weights]"),
]


@dataclass(frozen=True)
class ScoredEnsembleOptions:
    """Options of an ensemble that is scored."""

    members: Members = None
    seed: Seed = 0
    errors: Errors = None

    def given(self) -> dict[str, Any]:
        """Return them as fields of EvaluationOptions."""
        return {"members": self.members, "seed": self.seed, "errors": self.errors}


@dataclass(frozen=True)
class EnsembleOptions:
    """Options of an ensemble of a forecast."""

    members: Members = None
    as_ensemble: AsEnsemble = False
    seed: Seed = 0
    product: Annotated[
        str | None,
        typer.Option(
            "--product",
            metavar="A,B",
            help="Maps of members: mean, median, spread, min, max, pmm, p90, prob@25, prob@25/10km, lower80, sum60:p90.",
        ),
    ] = None
    errors: Errors = None
    plume: Annotated[
        Path | None,
        typer.Option("--plume", metavar="PATH", help="Picture of how the members go on at one place, PNG."),
    ] = None
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="ROW,COL", help="Place of --plume, pixels. [default: where most is forecast]"),
    ] = None

    @property
    def place(self) -> tuple[int, int] | None:
        """Row and column of the plume; None to choose them.

        Raises:
            UsageError: no two whole numbers, or no plume.
        """
        if self.at is None:
            return None
        if self.plume is None:
            raise UsageError("--at", got="no --plume", expected="a picture to draw", fix="--plume PLUME.png")
        numbers = options.parse_integers(self.at, "--at")
        if len(numbers) != 2:
            raise UsageError("--at", got=self.at, expected="a row and a column, as in 120,80")
        return numbers[0], numbers[1]

    @property
    def products(self) -> list[ForecastProduct]:
        """Products that are asked for.

        Raises:
            UsageError: no product has this name, or there are no members.
        """
        from framecast.ensembles.product_names import parse_product

        if self.product is None:
            return []
        if self.members is None and not self.as_ensemble:
            raise UsageError("--product", got="no --members", expected="a number of them", fix="--members 20")
        return [parse_product(name) for name in options.parse_words(self.product)]

    def check(self, runs: list[str], calibrate: str | None) -> Literal["raw", "matched"] | None:
        """Parse how a forecast is calibrated, and check it, the runs and the products before anything is computed.

        Raises:
            UsageError: products without members or of no such name, matching of what members are made of, or several
                runs that are no ensemble.
        """
        check_runs(runs, self.members, as_ensemble=self.as_ensemble)
        calibration = options.parse_calibration(calibrate)
        if self.members is not None and calibration == "matched":
            fix = "leave --calibrate out: each member is matched by itself"
            raise UsageError("--calibrate", got="matched, with --members", expected="one of them", fix=fix)
        _ = self.products, self.place
        if self.plume is not None and ((self.members is None and not self.as_ensemble) or self.product is not None):
            got = "--product" if self.product is not None else "no --members"
            raise UsageError("--plume", got=got, expected="members", fix="--members 20 without --product")
        return calibration

    def draw_plume(self, result: Forecast, sequence: int) -> dict[str, str]:
        """Draw the plume of a sequence, where one is asked for; describe what was written."""
        if self.plume is None:
            return {}
        from framecast.plotting.plume import draw_plume

        row, column = draw_plume(self.plume, result, self.place, sequence)
        return {str(self.plume): f"members at row {row}, column {column}"}

    def dress(self, run: str, predictor: Predictor, forecast: Forecast) -> Forecast:
        """Turn the forecast of a run into its members or products; without members it stays."""
        if self.members is None:
            return forecast
        from framecast.ensembles.predict import dress_forecast
        from framecast.trained import find_model

        errors = self.errors or Path(find_model(run))
        return dress_forecast(predictor, forecast, errors, members=self.members, seed=self.seed, products=self.products)

    def join(self, forecasts: list[Forecast]) -> Forecast:
        """Join the forecasts of several runs as members, or turn them into products; that of one run stays."""
        if not self.as_ensemble:
            return forecasts[0]
        from framecast.ensembles.predict import join_forecasts

        return join_forecasts(forecasts, self.products)


def check_runs(runs: list[str], members: int | None, *, as_ensemble: bool) -> None:
    """Check that there is one run, or that several are asked for as an ensemble.

    Raises:
        UsageError: several runs without, one run with --as-ensemble, or with --members, too.
    """
    if not as_ensemble and len(runs) > 1:
        fix = "--as-ensemble makes them members of one forecast"
        raise UsageError("RUN", got=f"{len(runs)} of them: {', '.join(runs)}", expected="one", fix=fix)
    if as_ensemble and len(runs) < 2:
        fix = "--members 20 makes an ensemble of one run"
        raise UsageError("--as-ensemble", got="one run", expected="two or more, as of other seeds", fix=fix)
    if as_ensemble and members is not None:
        raise UsageError("--members", got="with --as-ensemble", expected="one of them, as the runs are the members")


@expand_groups
def calibrate(
    run: Annotated[str, typer.Argument(help="A run, a model's folder, a trained model of the package, or a baseline.")],
    *,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", metavar="PATH", help="Frames that it did not learn from; repeatable. [default: its own]"
        ),
    ] = None,
    split: options.Split = None,
    context: options.Context = None,
    horizon: options.Horizon = None,
    limit: options.Limit = None,
    thresholds: Annotated[
        str | None,
        typer.Option("--thresholds", metavar="A,B", help="Of events whose probabilities are calibrated, or none."),
    ] = None,
    members: Annotated[int, typer.Option("--members", metavar="M", help="Of the ensemble.", min=2)] = 20,
    seed: Seed = 0,
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="SPLIT", help="Another split, to check probabilities and intervals on."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder. [default: that of the model's weights]")
    ] = None,
    reading: DataOptions,
    output: OutputOptions,
) -> None:
    """Measure how wrong forecasts are, by lead time and place, so that predict and evaluate can make ensembles."""
    from framecast.commands.calibrate import calibrate_run
    from framecast.evaluation.prepare import EvaluationOptions

    events = () if thresholds == "none" else options.parse_numbers(thresholds, "--thresholds") if thresholds else None
    evaluation = EvaluationOptions(
        split,
        thresholds=events,
        context=options.parse_length(context),
        horizon=options.parse_length(horizon),
        limit=limit,
        members=members,
        seed=seed,
    )
    made = calibrate_run(run, [reading.fields(one) for one in data or []], evaluation, out, check=check)
    written = [str(path) for path in made.paths]
    if output.as_json:
        facts = {"out": written, "windows": made.errors.windows, "step_minutes": made.errors.step_minutes}
        options.print_json({**facts, "check": None if made.check is None else made.check._asdict()})
        return
    options.print_lines(f"errors of {made.errors.windows} forecasts over {len(made.errors.sd)} lead times")
    options.print_lines(*_describe_check(made.check, check, made.errors.units), *written)


def _describe_check(made: Check | None, split: str | None, units: str) -> list[str]:
    """Describe how a calibration does on other windows."""
    if made is None:
        return []
    lines = [f"checked on {made.windows} forecasts of split {split}, means over lead times:"]
    for threshold, (raw, better) in made.brier.items():
        lines.append(f"Brier score of {threshold:g} or more: {raw:.4f} by shares of members, {better:.4f} calibrated")
    for level, share in made.coverage.items():
        width = f"{made.width[level]:.3g} {units}".removesuffix(" 1")
        lines.append(f"interval of {100 * level:g} %: holds {100 * share:.1f} %, mean width {width}")
    return lines
