"""Run: the folder of a training as an object, with its recipe, its model and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import load
from framecast.formatting import describe_object, format_number, make_html
from framecast.recipe.foreign import foreign
from framecast.recipe.recipe import Recipe, read_run_recipe
from framecast.runs.folder import RunFolder
from framecast.runs.record import describe_network, read_record
from framecast.types import FrameSpec

if TYPE_CHECKING:
    from framecast.evaluation.scoreboard import Scoreboard


class Run(PathLike[str]):
    """Training in a folder: its recipe, its model, scores and page. Wherever a path of a run is asked for, it will do.

    Args:
        path: the folder.
        model: `package.module:Class` of a network outside framecast that the user trusts.

    Raises:
        UsageError: no run is there, or its network is not among the trusted.

    Example:
        >>> import framecast
        >>> run = framecast.train("convlstm", "moving-mnist", "runs/small", steps=2, hidden=[4], patch=8, batch_size=2,
        ...     moving_mnist={"size": 32}, sequences=2, quiet=True)
        >>> framecast.Run("runs/small").load().config.hidden
        (4,)
    """

    def __init__(self, path: str | PathLike[str], *, model: str | None = None) -> None:
        self.path = Path(fspath(path)).absolute()
        self.trusted = model
        RunFolder(self.path).opened()

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def recipe(self) -> Recipe:
        """Recipe of the training, with what the data decided."""
        return read_run_recipe(RunFolder(self.path).recipe, model=self.trusted)

    def load(self) -> Forecaster:
        """Load its best model so far.

        Raises:
            CheckpointError: none was saved yet, or a damaged one.
        """
        return load(self, model=foreign(self.recipe))

    def predict(self, frames: Any, horizon: int | str | None = None, **options: Any) -> Any:
        """Predict what follows frames of any kind, as `Forecaster.predict`; by default the horizon of the training."""
        return self.load().predict(frames, self.recipe.horizon if horizon is None else horizon, **options)

    def evaluate(self, data: Any = None, **options: Any) -> Scoreboard:
        """Score it beside the baselines, as `framecast.evaluate`; by default on its own data."""
        from framecast.api.scoring import evaluate

        return evaluate(self, data, **options)

    def report(self, *, device: str = "auto", quiet: bool = False) -> Path:
        """Write its page, report.html in the folder, anew: scores, frames, curves, recipe.

        Args:
            device: where to compute the scores.
            quiet: whether to show no progress.

        Returns:
            the path of the page.

        Raises:
            InputError, CheckpointError: the page has no scores, as the data or the model cannot be read.
        """
        from framecast.report import write_report

        page, fault, _ = write_report(self.path, device=device, model=self.trusted, quiet=quiet)
        if fault is not None:
            raise fault
        return page

    def __repr__(self) -> str:
        return describe_object("Run", [("in", str(self.path)), *self._list_facts()])

    def _repr_html_(self) -> str:
        return make_html(f"Run: {self.path}", self._list_facts())

    def _list_facts(self) -> Sequence[tuple[str, str]]:
        """List network, parameters, frames, units, context, horizon, iterations, score and data, each with its name."""
        record = read_record(self.path, self.trusted)
        spec, recipe = FrameSpec.model_validate(record.data["spec"]), record.recipe
        metric = recipe.validate_.metric
        scores = [event[metric] for event in record.validations if event.get(metric) is not None]
        return [
            ("network", describe_network(record)),
            ("parameters", f"{record.cost().parameters:,}"),
            ("frames", f"{spec.channels} x {spec.height} x {spec.width}"),
            *([] if spec.units == "1" else [("units", spec.units)]),
            ("context", str(recipe.context)),
            ("horizon", str(recipe.horizon)),
            ("iterations", str(record.iterations)),
            *([(f"last {metric}", format_number(scores[-1]))] if scores else []),
            ("data", record.source),
        ]
