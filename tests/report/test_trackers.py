"""MLflow on sqlite and Weights & Biases offline, the real ones, as readers of a real run's events."""

import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burnish.errors import BurnishError
from burnish.report.trackers.mlflow import MlflowReader, flattened
from burnish.report.trackers.wandb import WandbReader
from burnish.runtime.events import (
    Event,
    GateChecked,
    Metrics,
    RunFinished,
    RunStarted,
    StageCached,
    StageSealed,
    Warned,
)

RUN_ID = "20260131-101500-3fa2"
EVENTS: tuple[Event, ...] = (
    RunStarted(RUN_ID, "recipes/line.yaml", {"seed": 3, "fit": {"lr": 0.1, "method": {"kind": "lora"}}}, "burnish run"),
    StageCached("room.collect", "c" * 64, "collect"),
    Metrics("tuned", 1, {"loss": 2.0, "lr": 0.1}),
    Warned("something"),
    Metrics("tuned", 2, {"loss": 1.5, "lr": 0.05}),
    StageSealed("room.fit", "d" * 64, "tuned", "model", 3.5, 4096, {"accuracy_frac": 0.75, "loss": 1.5}),
    GateChecked("accuracy_frac", 0.75, "at least 0.7", is_passed=True),
    RunFinished("ok", 4.0),
)
START_S = 1_800_000_000.0


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Let nobody connect to another machine; give the addresses that were tried."""
    tried: list[object] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            tried.append(address)
            raise OSError("no network in this test")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield tried
    assert tried == []


def read(reader: MlflowReader | WandbReader, events: tuple[Event, ...] = EVENTS) -> None:
    for number, event in enumerate(events):
        reader(event, START_S + number)


def test_values_are_named_by_their_dotted_keys() -> None:
    values = {"seed": 3, "a": {"b": {"c": "text"}, "empty": {}}, "many": [1, "x"], "none": None, "on": True}
    assert dict(flattened(values)) == {"seed": "3", "a.b.c": "text", "many": '[1, "x"]', "none": "null", "on": "true"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sqlite file for the module: the first opening runs all of MLflow's migrations."""
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


def open_mlflow(database: Path) -> MlflowReader:
    return MlflowReader(f"sqlite:///{database}", files=database.parent / "mlruns")


# MLflow's own code still calls what SQLAlchemy has deprecated
quiet = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@quiet
@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_mlflow_holds_parameters_metrics_evidence_and_digests_once(database: Path) -> None:
    reader = open_mlflow(database)
    for _ in range(2):  # a second reading changes nothing
        read(reader)
        client = reader._client
        (run,) = client.search_runs([reader._experiment], f"tags.`burnish.run_id` = '{RUN_ID}'")
        assert run.data.params == {"seed": "3", "fit.lr": "0.1", "fit.method.kind": "lora"}
        assert run.data.metrics == {
            "tuned/loss": 1.5,
            "tuned/lr": 0.05,
            "evidence/tuned/accuracy_frac": 0.75,
            "evidence/tuned/loss": 1.5,
            "evidence/tuned/made_s": 3.5,
            "evidence/tuned/made_peak_memory_bytes": 4096.0,
        }
        history = client.get_metric_history(run.info.run_id, "tuned/loss")
        assert [(point.step, point.value, point.timestamp) for point in history] == [
            (1, 2.0, round((START_S + 2) * 1000)),
            (2, 1.5, round((START_S + 4) * 1000)),
        ]
        assert run.data.tags["digest.tuned"] == "d" * 64
        assert run.data.tags["digest.collect"] == "c" * 64
        assert run.data.tags["gate.accuracy_frac"] == "passed: 0.75, required at least 0.7"
        assert run.info.run_name == RUN_ID
        assert run.info.status == "FINISHED"
        assert run.info.start_time == round(START_S * 1000)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


@quiet
@pytest.mark.slow
@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("last", "status"),
    [
        (RunFinished("gate", 1.0, "gate x: measured"), "FAILED"),
        (RunFinished("failed", 1.0, "ValueError: x"), "FAILED"),
        (RunFinished("interrupted", 1.0), "KILLED"),
        (None, "KILLED"),
    ],
)
def test_mlflow_knows_how_a_run_ended(database: Path, last: RunFinished | None, status: str) -> None:
    run_id = f"run-{last.status if last else 'killed'}"
    reader = open_mlflow(database)
    read(reader, (RunStarted(run_id, "r", {}, ""), *EVENTS[1:3], *([last] if last else [])))
    reader.close()
    (run,) = reader._client.search_runs([reader._experiment], f"tags.`burnish.run_id` = '{run_id}'")
    assert run.info.status == status
    assert run.data.tags.get("burnish.message", "") == (last.message if last else "")


@quiet
@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_long_recipe_fits_into_mlflows_limits(database: Path) -> None:
    values = {f"key_{number}": number for number in range(250)} | {"long": "x" * 10_000}
    reader = open_mlflow(database)
    read(reader, (RunStarted("run-long", "r", values, ""), RunFinished("ok", 1.0)))
    (run,) = reader._client.search_runs([reader._experiment], "tags.`burnish.run_id` = 'run-long'")
    assert len(run.data.params) == 251
    assert len(run.data.params["long"]) == 6000


@quiet
@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_mlflow_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, it is a text of some length" * 10)
    with pytest.raises(BurnishError, match=r"^MLflow at sqlite:.* cannot be written \(.*\)\.$"):
        open_mlflow(tmp_path / "mlflow.db")


def records(path: Path) -> list[Any]:
    """Read a W&B run file: a log of blocks of 32 KiB with protocol buffers in it, behind a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    body, found, record, offset = path.read_bytes(), [], b"", 7
    while offset + 7 <= len(body):
        if 32768 - offset % 32768 < 7:
            offset += 32768 - offset % 32768
            continue
        _, length, kind = struct.unpack("<IHB", body[offset : offset + 7])
        record += body[offset + 7 : offset + 7 + length]
        offset += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            message = wandb_internal_pb2.Record()
            message.ParseFromString(record)
            found.append(message)
            record = b""
    return found


def contents(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Give config, history and summary of the one offline run in a folder."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    config: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    for record in records(path):
        match record.WhichOneof("record_type"):
            case "run":
                config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            case "history":
                rows = record.history.item
                history.append({(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in rows})
            case "summary":
                rows = record.summary.update
                summary |= {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in rows}
    return config, history, summary


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_wandb_offline_holds_config_history_evidence_and_digests_once(tmp_path: Path) -> None:
    for _ in range(2):  # a second reading replaces the first
        read(WandbReader(tmp_path))
        config, history, summary = contents(tmp_path)
        assert config["seed"] == 3
        assert config["fit"] == {"lr": 0.1, "method": {"kind": "lora"}}
        losses = [(row["tuned/step"], row["tuned/loss"]) for row in history]
        assert losses == [(1, 2.0), (2, 1.5)]
        assert summary["evidence/tuned/accuracy_frac"] == 0.75
        assert summary["evidence/tuned/made_s"] == 3.5
        assert summary["digest/tuned"] == "d" * 64
        assert summary["gate/accuracy_frac"] == "passed: 0.75, required at least 0.7"
        assert summary["status"] == "ok"


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_wandb_keeps_a_run_that_was_killed(tmp_path: Path) -> None:
    reader = WandbReader(tmp_path)
    read(reader, EVENTS[:3])
    reader.close()
    _, history, _ = contents(tmp_path)
    assert [row["tuned/loss"] for row in history] == [2.0]


def test_the_mode_that_the_user_has_set_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    reader = WandbReader(tmp_path)
    read(reader)
    assert list(tmp_path.glob("wandb/offline-run-*")) == []


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_says_what_to_type(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    extra = {"mlflow": "track", "wandb": "wandb"}[name]
    with pytest.raises(BurnishError, match=rf"pip install 'burnish\[{extra}\]'"):
        WandbReader(tmp_path) if name == "wandb" else open_mlflow(tmp_path / "mlflow.db")
