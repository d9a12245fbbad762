"""MLflow as a reader of events: one MLflow run for each burnish run, however often its events are read."""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need
from burnish.runtime.events import Event, GateChecked, Metrics, RunFinished, RunStarted, StageCached, StageSealed

EXPERIMENT = "burnish"
RUN_TAG = "burnish.run_id"
_STATUS = {"ok": "FINISHED", "interrupted": "KILLED"}
_MAX_BATCH = 100  # parameters that MLflow takes at once
_MAX_VALUE = 6000  # characters of a parameter's value


class MlflowReader:
    """Write a run's recipe as parameters, its metrics and sealed evidence as metrics, its digests as tags.

    Args:
        uri: MLflow tracking store, such as `sqlite:////folder/mlflow.db`.
        files: folder where MLflow would keep files of its own.

    Raises:
        MissingExtra: mlflow-skinny or what it needs for sqlite is not installed.
        BurnishError: the store cannot be opened.
    """

    def __init__(self, uri: str, *, files: Path) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        for name in ("mlflow.store.db.utils", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)  # the first open tells of every migration
        need("sqlalchemy", extra="track")
        need("alembic", extra="track")
        self.place = uri
        self._mlflow: Any = need("mlflow", extra="track")
        self._entities: Any = need("mlflow.entities", extra="track")
        self._run = ""
        self._known: set[tuple[str, int]] = set()
        with self._reachable():
            self._client = self._mlflow.MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(EXPERIMENT)
            experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT, files.as_uri())
        self._experiment: str = experiment

    def __call__(self, event: Event, time_unix_s: float | None = None) -> None:
        """Read one event; `time_unix_s` says when it was, now where it is not given.

        Raises:
            BurnishError: the store cannot be written.
        """
        time_ms = round((time.time() if time_unix_s is None else time_unix_s) * 1000)
        with self._reachable():
            self._read(event, time_ms)

    def close(self) -> None:
        """End a run whose events end without saying how it ended: it was killed."""
        if self._run:
            with self._reachable():
                self._client.set_terminated(self._run, "KILLED")
            self._run = ""

    def _read(self, event: Event, time_ms: int) -> None:
        match event:
            case RunStarted():
                self._start(event, time_ms)
            case Metrics(stage=stage, step=step, values=values):
                self._log({f"{stage}/{name}": value for name, value in values.items()}, step, time_ms)
            case StageSealed(label=label, digest=digest, evidence=evidence):
                made = {"made_s": event.seconds, "made_peak_memory_bytes": float(event.peak_memory_bytes)}
                self._log({f"evidence/{label}/{name}": v for name, v in {**evidence, **made}.items()}, 0, time_ms)
                self._client.set_tag(self._run, f"digest.{label}", digest)
            case StageCached(label=label, digest=digest):
                self._client.set_tag(self._run, f"digest.{label}", digest)
            case GateChecked(name=name, value=value, bound=bound, is_passed=is_passed):
                outcome = f"{'passed' if is_passed else 'failed'}: {value:.6g}, required {bound}"
                self._client.set_tag(self._run, f"gate.{name}", outcome)
            case RunFinished(status=status, message=message):
                if message:
                    self._client.set_tag(self._run, "burnish.message", message)
                self._client.set_terminated(self._run, _STATUS.get(status, "FAILED"), end_time=time_ms)
                self._run = ""

    def _start(self, event: RunStarted, time_ms: int) -> None:
        found = self._client.search_runs([self._experiment], f"tags.`{RUN_TAG}` = '{event.run_id}'", max_results=1)
        if found:
            self._run = found[0].info.run_id
            histories = (self._client.get_metric_history(self._run, key) for key in found[0].data.metrics)
            self._known = {(metric.key, metric.step) for history in histories for metric in history}
        else:
            tags = {RUN_TAG: event.run_id, "burnish.recipe": event.recipe, "burnish.command": event.command}
            created = self._client.create_run(self._experiment, time_ms, tags, event.run_id)
            self._run, self._known = created.info.run_id, set()
        params = [self._entities.Param(key, text[:_MAX_VALUE]) for key, text in flattened(event.values)]
        for start in range(0, len(params), _MAX_BATCH):
            self._client.log_batch(self._run, params=params[start : start + _MAX_BATCH])

    def _log(self, values: Mapping[str, float], step: int, time_ms: int) -> None:
        fresh = [(key, value) for key, value in values.items() if (key, step) not in self._known]
        self._known.update((key, step) for key, _ in fresh)
        self._client.log_batch(
            self._run, metrics=[self._entities.Metric(key, value, time_ms, step) for key, value in fresh]
        )

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        import sqlalchemy

        try:
            yield
        except (self._mlflow.MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BurnishError(f"MLflow at {self.place} cannot be written ({reason}).") from error


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name each value of a recipe by its dotted key, as overrides do; a list is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
