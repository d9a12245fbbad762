import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.errors import BurnishError
from burnish.runtime.events import (
    Event,
    EventLog,
    GateChecked,
    Metrics,
    Noted,
    Progress,
    RunFinished,
    RunStarted,
    StageCached,
    StageFailed,
    StageSealed,
    StageStarted,
    StageWaiting,
    Warned,
    read_events,
)

ONE_OF_EACH: tuple[Event, ...] = (
    RunStarted("20260101-000000-abcd", "recipes/a.yaml", {"seed": 1, "train": {"lr": 0.1}}, "burnish run"),
    StageStarted("room.stage", "d" * 64, "base"),
    StageCached("room.stage", "d" * 64, "base"),
    StageWaiting("base", "d" * 64),
    StageSealed("room.stage", "d" * 64, "base", "model", 1.5, 1024, {"loss_nats": 0.5}),
    StageFailed("room.stage", "d" * 64, "ValueError: no"),
    Progress("base", "steps", 3, 10, "steps", "loss 2.1"),
    Metrics("base", 3, {"loss": 2.1}),
    GateChecked("loss_nats", 0.5, "at most 1", is_passed=True),
    Noted("candidate 3 of 9: within the limits 没错"),
    Warned("mind the gap"),
    RunFinished("ok", 3.2),
)


def test_every_kind_of_event_is_read_as_it_was_written(tmp_path: Path) -> None:
    heard: list[Event] = []
    log = EventLog(tmp_path / "events.jsonl", (heard.append,))
    for event in ONE_OF_EACH:
        log.emit(event)
    assert {type(event) for event in ONE_OF_EACH} == set(Event.__args__)
    assert tuple(event for _, event in read_events(log.path)) == ONE_OF_EACH
    assert tuple(heard) == ONE_OF_EACH


@given(st.lists(st.text(), min_size=1))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    log = EventLog(tmp_path_factory.mktemp("log") / "events.jsonl")
    for text in texts:
        log.emit(Warned(text))
    assert [event for _, event in read_events(log.path)] == [Warned(text) for text in texts]


@pytest.mark.parametrize("text", ["line\u2028separator", "next\u0085line", "a\x0bb\x0cc\x1cd", "file \udcff"])
def test_text_that_looks_like_a_line_end_or_is_no_utf8_survives(tmp_path: Path, text: str) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit(Warned(text))
    log.emit(Warned("after"))
    assert [event for _, event in read_events(log.path)] == [Warned(text), Warned("after")]


@pytest.mark.parametrize("num_bytes", range(1, 60, 7))
def test_a_torn_last_line_ends_the_reading(tmp_path: Path, num_bytes: int) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit(Warned("whole"))
    whole = log.path.stat().st_size
    log.emit(Warned("törn" * 10))
    body = log.path.read_bytes()
    log.path.write_bytes(body[: whole + num_bytes])
    assert [event for _, event in read_events(log.path)] == [Warned("whole")]


def test_a_line_torn_inside_a_character_ends_the_reading(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit(Warned("whole"))
    with log.path.open("ab") as file:
        file.write('{"message": "é'.encode()[:-1])
    assert [event for _, event in read_events(log.path)] == [Warned("whole")]


@pytest.mark.parametrize("line", ["{", '{"event": "Unknown", "time_unix_s": 1}', "[]", '{"event": "Warned"}'])
def test_a_line_before_the_last_that_is_no_event_is_refused(tmp_path: Path, line: str) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit(Warned("first"))
    with log.path.open("a") as file:
        file.write(line + "\n")
    log.emit(Warned("last"))
    with pytest.raises(BurnishError, match=r"events.jsonl, line 2: not an event"):
        list(read_events(log.path))


def test_no_events_is_said(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match=r"no events at .*give a run's folder or its id"):
        list(read_events(tmp_path / "events.jsonl"))


def test_progress_reaches_readers_at_once_and_the_file_once_a_second(tmp_path: Path) -> None:
    heard: list[Event] = []
    log = EventLog(tmp_path / "events.jsonl", (heard.append,))
    for done in range(1001):
        log.emit(Progress("stage", "task", done, 1000, "steps"))
    assert len(heard) == 1001
    written = [event for _, event in read_events(log.path) if isinstance(event, Progress)]
    assert 2 <= len(written) <= 10
    assert (written[0].done, written[-1].done) == (0, 1000)


def test_two_tasks_do_not_hide_each_other(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for task in ("a", "b"):
        log.emit(Progress("stage", task, 1, None, "steps"))
    assert len(list(read_events(log.path))) == 2


def test_each_line_is_json_with_its_time(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit(Warned("x"))
    row = json.loads(log.path.read_text())
    assert row["event"] == "Warned"
    assert row["time_unix_s"] > 1.7e9


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "gone" / "events.jsonl")
    with pytest.raises(BurnishError, match=r"cannot write in .*gone"):
        log.emit(Warned("x"))
