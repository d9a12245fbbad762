from pathlib import Path

import pytest

from burnish.runtime.events import Event, EventLog, Metrics, Progress, Warned
from burnish.runtime.workdir import fresh


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
def log(tmp_path: Path, heard: list[Event]) -> EventLog:
    return EventLog(tmp_path / "events.jsonl", (heard.append,))


def test_a_path_in_the_payload_has_its_folder(tmp_path: Path, log: EventLog) -> None:
    out = fresh(tmp_path / "work", "stage", log)
    (out / "a/b/c.txt").write_text("x")
    assert (out.payload / "a/b/c.txt").read_text() == "x"


def test_a_second_attempt_starts_with_an_empty_payload_and_its_snapshots(tmp_path: Path, log: EventLog) -> None:
    out = fresh(tmp_path / "work", "stage", log)
    (out / "half.txt").write_text("x")
    (out.snapshots / "state").write_text("y")
    again = fresh(tmp_path / "work", "stage", log)
    assert list(again.payload.iterdir()) == []
    assert (again.snapshots / "state").read_text() == "y"
    assert not again.snapshots.is_relative_to(again.root)  # what is sealed is the root


def test_progress_tells_start_and_end(tmp_path: Path, log: EventLog, heard: list[Event]) -> None:
    out = fresh(tmp_path / "work", "stage", log)
    with out.progress("steps", total=3, unit="steps") as bar:
        for _ in range(3):
            bar.advance(note="now")
    told = [event for event in heard if isinstance(event, Progress)]
    assert (told[0].done, told[0].total) == (0, 3)
    assert (told[-1].done, told[-1].total) == (3, 3)


def test_progress_in_a_fast_loop_is_thinned(tmp_path: Path, log: EventLog, heard: list[Event]) -> None:
    out = fresh(tmp_path / "work", "stage", log)
    with out.progress("steps", total=None, unit="steps") as bar:
        for _ in range(10_000):
            bar.advance()
    assert len(heard) < 100
    assert heard[-1] == Progress("stage", "steps", 10_000, 10_000, "steps")


def test_metrics_and_warnings_carry_the_stage(tmp_path: Path, log: EventLog, heard: list[Event]) -> None:
    out = fresh(tmp_path / "work", "tuned", log)
    out.metrics(3, loss=0.5)
    out.warn("careful")
    assert heard == [Metrics("tuned", 3, {"loss": 0.5}), Warned("careful")]
