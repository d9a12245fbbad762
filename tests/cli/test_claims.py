"""`burnish claims`: list, measure, and say what the store holds."""

import json
import os
import signal
from pathlib import Path

import click
import pytest

from burnish import claims as registry
from burnish.artifacts import Draft, Measurement, ReportArtifact, Store
from burnish.claims import page
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.cli.main import burnish, exit_code
from burnish.errors import RecipeError
from burnish.runtime import Run, Workdir
from burnish.runtime.events import RunFinished, RunStarted, StageCached, read_events

CALLS: list[int] = []
MISHAP = "CLAIMS_TEST_MISHAP"


def reading(out: Workdir, *, config: int) -> Draft[ReportArtifact]:
    """Measure half of what the guides print, or what the test's mishap makes of it."""
    CALLS.append(config)
    match os.environ.get(MISHAP):
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        case "refuse":
            raise RecipeError("there are too few texts; collect more")
    with out.progress("measure", total=1, unit="texts") as bar:
        bar.advance()
    write_reading(out, "T1", f"on a small set, seed {config}", ["the set is small"])
    return Draft(ReportArtifact, (Measurement("share_frac", 0.46, "1", 200, 0.4, 0.5, "by hand"),), "A reading.")


def other(out: Workdir, *, config: int) -> Draft[ReportArtifact]:
    """Measure a claim that holds."""
    write_reading(out, "T2", f"on another set, seed {config}", [])
    return Draft(ReportArtifact, (Measurement("speed", 2.5, "1", 5, 2.1, 2.9, "by hand"),), "A reading.")


def measure_t1(run: Run, seed: int) -> ReportArtifact:
    return run(reading, config=seed, label="T1")


def measure_t2(run: Run, seed: int) -> ReportArtifact:
    return run(other, config=seed, label="T2")


CLAIMS = (
    Claim("T1", "a thing", "share 92 %", "how", (Figure("share_frac", "share", 0.92, "share"),), reading, measure_t1),
    Claim("T2", "a faster thing", "2× faster", "how", (Figure("speed", "speed", 2.0, "times"),), other, measure_t2),
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (registry, page):
        monkeypatch.setattr(module, "all_claims", lambda: CLAIMS)
    monkeypatch.setenv("BURNISH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "100")
    CALLS.clear()
    return tmp_path / "store"


def type_command(*arguments: str) -> int:
    return exit_code(lambda: burnish.main(["claims", *arguments], prog_name="burnish", standalone_mode=False))


def test_the_list_needs_no_store_and_makes_none(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command() == 0
    shown = capsys.readouterr().out
    assert "92 %" in shown
    assert shown.count("not measured yet") == 2
    assert "burnish claims T1 T2 measures what is missing" in shown
    assert not store.exists()


def test_measuring_prints_published_beside_ours_and_writes_the_ledger(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_command("t1", "T2", "--seed", "3") == 0
    shown = capsys.readouterr().out
    assert CALLS == [3]
    for part in (
        "46.0 %",
        "40.0 to 50.0 %",
        "✗ falls short",
        "2.50×",
        "✓ holds",
        "on a small set, seed 3",
        "the set is small",
    ):
        assert part in shown
    (ledger,) = [artifact for artifact in Store(store).all() if artifact.stage.endswith("write_ledger")]
    assert str(ledger.payload / "index.html") in "".join(shown.splitlines())
    assert [row["id"] for row in ledger.read_json("ledger.json")["claims"]] == ["T1", "T2"]
    (folder,) = (store / "runs").iterdir()
    events = [event for _, event in read_events(folder / "events.jsonl")]
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert (events[0].values, events[-1].status) == ({"seed": 3}, "ok")


def test_a_second_time_nothing_is_measured_and_the_ledger_keeps_the_others(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_command("--all") == 0
    assert type_command("T2") == 0
    assert CALLS == [0]
    newest = max((store / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
    cached = [e.label for _, e in read_events(newest / "events.jsonl") if isinstance(e, StageCached)]
    assert cached == ["T2", "ledger"]  # T1's reading is current, so the ledger is the same
    capsys.readouterr()
    assert type_command() == 0
    shown = capsys.readouterr().out
    assert "T1 measured on " in shown
    assert "measures what is missing" not in shown


def test_a_reading_by_other_code_is_shown_as_such(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert type_command("T1") == 0
    monkeypatch.setattr("burnish.claims.ledger.code_digest", lambda stage: "another")
    capsys.readouterr()
    assert type_command() == 0
    assert "by code that has changed since" in " ".join(capsys.readouterr().out.split())


def test_json_is_all_that_stands_on_standard_output(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("T1", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["claims"]
    assert row["figures"][0]["ours"]["low"] == 0.4
    assert row["figures"][0]["verdict"] == "falls short"
    assert row["setting"] == "on a small set, seed 0"
    assert row["is_current"] is True
    assert type_command("--json") == 0
    assert [row["measured"] is None for row in json.loads(capsys.readouterr().out)["claims"]] == [False, True]


def test_the_latest_run_stays_the_last_recipes(store: Path) -> None:
    assert type_command("T1") == 0
    assert not (store / "runs" / "latest").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Q7",), "no claim 'Q7' is measured; there are: T1, T2"),
        (("T1", "--all"), "--all measures every claim; leave out T1"),
        (("--seed", "1"), "--seed and --plain are for measuring"),
        (("--plain",), "--seed and --plain are for measuring"),
        (("T1", "--seed", "-1"), "-1 is not in the range"),
    ],
)
def test_a_wrong_command_line_ends_with_2(
    store: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_command(*arguments) == 2
    assert message in capsys.readouterr().err
    assert CALLS == []


def test_ctrl_c_stops_with_130_and_is_recorded(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MISHAP, "interrupt")
    assert type_command("T1", "--plain") == 130
    assert "Give the same command again" in capsys.readouterr().err
    (folder,) = (store / "runs").iterdir()
    *_, (_, last) = read_events(folder / "events.jsonl")
    assert isinstance(last, RunFinished)
    assert last.status == "interrupted"
    monkeypatch.delenv(MISHAP)
    assert type_command("T1") == 0


def test_a_stage_that_refuses_is_one_sentence(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MISHAP, "refuse")
    assert type_command("T1") == 2
    assert "error: there are too few texts; collect more" in click.unstyle(capsys.readouterr().err)
