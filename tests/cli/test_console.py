"""What people see: lines in a file, bars on a terminal."""

import io
import re

import pytest
from rich.console import Console

from burnish.cli import plain
from burnish.cli.console import LiveConsole
from burnish.cli.plain import PlainConsole
from burnish.cli.units import in_amount, in_bytes, in_time
from burnish.cli.wording import Wording
from burnish.runtime.events import (
    Event,
    GateChecked,
    Metrics,
    Progress,
    RunFinished,
    RunStarted,
    StageCached,
    StageFailed,
    StageSealed,
    StageStarted,
    StageWaiting,
    Warned,
)

DIGEST = "0123456789ab" + "c" * 52
SEALED = StageSealed("room.fit", DIGEST, "tuned", "model", 3.2, 120 << 20, {})


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (RunStarted("id", "recipes/a.yaml", {}, ""), "▶ recipes/a.yaml · run id"),
        (StageStarted("room.fit", DIGEST, "tuned"), "● tuned          making"),
        (StageCached("room.fit", DIGEST, "tuned"), "↺ tuned          cached · 0123456789ab"),
        (SEALED, "✓ tuned          sealed in 3.2 s · peak 120 MiB · 0123456789ab"),
        (StageWaiting("tuned", DIGEST), "… tuned          another process is making it; waiting for that one"),
        (
            GateChecked("f1_frac", 0.81234, "at least 0.8", is_passed=True),
            "✓ gate passed    f1_frac 0.8123, required at",
        ),
        (
            GateChecked("f1_frac", 0.7, "at least 0.8", is_passed=False),
            "✗ gate failed    f1_frac 0.7, required at",
        ),
        (Warned("mind [this]"), "! mind [this]"),
    ],
)
def test_events_in_words(event: Event, line: str) -> None:
    assert str(Wording()(event)).startswith(line)


def test_a_failure_is_told_by_the_stages_label_and_a_stop_is_no_failure() -> None:
    words = Wording()
    words(StageStarted("room.fit", DIGEST, "tuned"))
    assert str(words(StageFailed("room.fit", DIGEST, "ValueError: x"))) == "✗ tuned          failed"
    assert str(words(StageFailed("room.fit", DIGEST, "KeyboardInterrupt: "))) == "✗ tuned          stopped"


def test_the_end_counts_what_was_made_and_what_was_cached() -> None:
    words = Wording()
    for event in (SEALED, SEALED, StageCached("room.fit", DIGEST, "tuned")):
        words(event)
    assert str(words(RunFinished("ok", 185.0))) == "■ done in 3 min 05 s: 2 made, 1 cached"


@pytest.mark.parametrize("event", [Metrics("tuned", 1, {"loss": 1.0}), RunFinished("failed", 1.0, "x")])
def test_what_is_told_elsewhere_is_not_told_twice(event: Event) -> None:
    assert Wording()(event) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.005, "5 ms"),
        (0.3, "0.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_times(seconds: float, words: str) -> None:
    assert in_time(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (120 << 20, "120 MiB"),
        (2480000000, "2.31 GiB"),
        (999 << 20, "999 MiB"),
        (5 << 40, "5 TiB"),
    ],
)
def test_sizes(count: float, words: str) -> None:
    assert in_bytes(count) == words


def test_amounts() -> None:
    assert in_amount(12000, 28614, "records") == "12,000/28,614 records"
    assert in_amount(12000, None, "records") == "12,000 records"
    assert in_amount(1.5 * 2**20, 88 << 20, "bytes") == "1.5 MiB/88 MiB"


class Clock:
    """A clock that tests turn."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(plain, "time", clock)
    return clock


def test_progress_without_a_terminal_is_told_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    console = PlainConsole()
    for step in range(601):
        console(Progress("tuned", "steps", step, 600, "steps", f"loss {step}"))
        clock.now_s += 0.1
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 5 or len(told) == 6
    assert re.fullmatch(r"  tuned: steps 10\d/600 steps \(17%\) · ETA 50 s · loss 10\d", told[0])


def test_progress_of_unknown_length_has_no_eta(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole()
    console(Progress("collect", "pages", 0, None, "pages"))
    clock.now_s += 11
    console(Progress("collect", "pages", 40, None, "pages"))
    assert capsys.readouterr().out == "  collect: pages 40 pages\n"


def test_progress_on_from_a_snapshot_is_no_division_by_zero(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole()
    console(Progress("tuned", "steps", 0, 10, "steps"))
    clock.now_s += 11
    console(Progress("tuned", "steps", 0, 10, "steps"))
    assert capsys.readouterr().out == "  tuned: steps 0/10 steps\n"


def drawn(*events: Event, width: int = 100) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, legacy_windows=False)
    live = LiveConsole(console)
    with live:
        for event in events:
            live(event)
        live._progress.refresh()
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()


def test_a_terminal_shows_a_bar_with_amount_eta_and_note() -> None:
    shown = drawn(
        StageStarted("room.fit", DIGEST, "tuned"),
        Progress("tuned", "steps", 0, 30, "steps"),
        Progress("tuned", "steps", 12, 30, "steps", "loss 2.31"),
    )
    last = shown.rpartition("tuned")[2]
    assert "━" in last
    assert "12/30 steps" in last
    assert "ETA" in last
    assert "loss 2.31" in last


def test_a_sealed_stage_leaves_one_line_and_no_bar() -> None:
    shown = drawn(
        StageStarted("room.fit", DIGEST, "tuned"),
        Progress("tuned", "steps", 30, 30, "steps"),
        SEALED,
    )
    last = shown.rpartition("✓ tuned")[2]
    assert "sealed in 3.2 s" in last
    assert "━" not in last


def test_square_brackets_in_a_warning_are_not_markup() -> None:
    assert "mind [bold]this[/bold]" in drawn(Warned("mind [bold]this[/bold]"))


def test_a_narrow_terminal_is_not_overrun() -> None:
    shown = drawn(
        StageStarted("room.fit", DIGEST, "tuned"),
        Progress("tuned", "steps", 12, 30, "steps", "a very long note " * 9),
        width=40,
    )
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= 40
