"""Logger to MLflow; its variables apply, as MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from framecast.loggers.logger import LoggedRun

ID_TAG = "framecast.id"
"""Tag by which a run that was resumed is found again."""
LONGEST = 5000
"""Letters of a value that every store of MLflow takes."""
MOST = 100
"""Parameters in one request, at most."""
DEFAULT_EXPERIMENT = "framecast"


class MlflowLogger:
    """Run of MLflow with the recipe as its parameters.

    Args:
        run: the run; where it was logged before, it goes on there.
    """

    def __init__(self, run: LoggedRun) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
        from mlflow.environment_variables import MLFLOW_EXPERIMENT_NAME

        self.client, self._metric = MlflowClient(), Metric
        experiment = self._find_experiment(run.project or MLFLOW_EXPERIMENT_NAME.get() or DEFAULT_EXPERIMENT)
        found = self.client.search_runs([experiment], f"tags.`{ID_TAG}` = '{run.id}'")
        if found:
            self.id = found[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
            return
        self.id = self.client.create_run(experiment, run_name=run.name, tags={ID_TAG: run.id}).info.run_id
        params = [Param(key, str(value)[:LONGEST]) for key, value in run.list_settings().items()]
        for first in range(0, len(params), MOST):
            self.client.log_batch(self.id, params=params[first : first + MOST])

    def _find_experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        return self.client.create_experiment(name) if found is None else found.experiment_id

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send a point of each curve."""
        now = int(1000 * time.time())
        self.client.log_batch(self.id, metrics=[self._metric(name, value, now, step) for name, value in values.items()])

    def log_text(self, name: str, text: str) -> None:
        """Set a tag."""
        self.client.set_tag(self.id, name, text[:LONGEST])

    def log_file(self, name: str, path: Path) -> None:
        """Send a file as an artifact, under its own name."""
        self.client.log_artifact(self.id, str(path))

    def close(self, *, complete: bool) -> None:
        """End the run."""
        self.client.set_terminated(self.id, "FINISHED" if complete else "KILLED")
