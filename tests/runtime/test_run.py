import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tiny_stages import DIARY, Make, Tell, Walk, chain, make, new_run, tell, walk

from burnish.artifacts import DatasetArtifact, Draft, Store
from burnish.errors import ArtifactError, BurnishError, GateFailed
from burnish.runtime import Run, Workdir
from burnish.runtime.events import Event, EventLog, GateChecked, StageCached, StageFailed, StageSealed, Warned


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "diary.txt"
    path.touch()
    monkeypatch.setenv(DIARY, str(path))
    return path


def listening(store: Path) -> tuple[Run, list[Event]]:
    heard: list[Event] = []
    return Run(Store(store), EventLog(store / "runs" / "test.jsonl", (heard.append,))), heard


def test_a_second_run_finds_everything_sealed(tmp_path: Path, diary: Path) -> None:
    first = chain(new_run(tmp_path / "store"))
    made = diary.read_text()
    run, heard = listening(tmp_path / "store")
    assert chain(run).digest == first.digest
    assert diary.read_text() == made
    assert [type(event) for event in heard] == [StageCached] * 3
    assert all(step.is_cached for step in run.steps)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run(make, config=Make(num_lines=6)),
        lambda run: run(make, config=Make(seed=1)),
        lambda run: run(tell, run(make, config=Make()), run(make, config=Make()), config=Tell()),
    ],
)
def test_another_argument_or_stage_is_another_artifact(tmp_path: Path, change: object) -> None:
    assert callable(change)
    run = new_run(tmp_path / "store", is_dry=True)
    assert change(run).digest != run(make, config=Make()).digest


def test_every_parent_and_their_order_matter(tmp_path: Path) -> None:
    run = new_run(tmp_path / "store", is_dry=True)
    first, second = run(make, config=Make()), run(make, config=Make(seed=1))
    digests = {
        run(walk, first, config=Walk()).digest,
        run(walk, second, config=Walk()).digest,
        run(walk, first, second, config=Walk()).digest,
        run(walk, second, first, config=Walk()).digest,
    }
    assert len(digests) == 4


def test_the_name_of_the_configurations_type_matters(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Other:
        num_lines: int = 5
        seed: int = 0

    run = new_run(tmp_path / "store", is_dry=True)
    assert run(make, config=Other()).digest != run(make, config=Make()).digest


def test_a_label_names_a_call_and_does_not_enter_the_lineage(tmp_path: Path) -> None:
    run, heard = listening(tmp_path / "store")
    assert run(make, config=Make(), label="base").digest == run(make, config=Make(), label="tuned").digest
    assert [event.label for event in heard if isinstance(event, StageSealed | StageCached)] == ["base", "tuned"]


def test_a_dry_run_promises_the_digests_of_the_real_one_and_makes_nothing(tmp_path: Path, diary: Path) -> None:
    dry = new_run(tmp_path / "store", is_dry=True)
    promised = chain(dry)
    assert not promised.is_sealed
    assert promised.kind == "report"
    assert diary.read_text() == ""
    assert list((tmp_path / "store" / "work").iterdir()) == []
    real = new_run(tmp_path / "store")
    assert chain(real).digest == promised.digest
    assert [step.digest for step in real.steps] == [step.digest for step in dry.steps]
    again = new_run(tmp_path / "store", is_dry=True)
    chain(again)
    assert all(step.is_cached for step in again.steps)


def test_an_altered_artifact_is_set_aside_and_made_again(tmp_path: Path, diary: Path) -> None:
    first = chain(new_run(tmp_path / "store"))
    data = next((tmp_path / "store" / "dataset").iterdir())
    (data / "payload/data/0.txt").write_text("altered")
    run, heard = listening(tmp_path / "store")
    assert chain(run).digest == first.digest
    assert diary.read_text().splitlines() == ["make 0", "walk from 0", "tell", "make 0"]
    warnings = [event.message for event in heard if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert "data/0.txt was altered" in warnings[0]
    kept = next((tmp_path / "store" / "corrupt").iterdir())
    assert (kept / "payload/data/0.txt").read_text() == "altered"


def test_an_artifact_that_lost_its_manifest_is_made_again(tmp_path: Path) -> None:
    first = chain(new_run(tmp_path / "store"))
    assert first.path is not None
    (first.path / "manifest.json").unlink()
    assert chain(new_run(tmp_path / "store")).manifest.digest == first.digest


def test_a_dry_run_leaves_an_altered_artifact_where_it_is(tmp_path: Path) -> None:
    sealed = chain(new_run(tmp_path / "store"))
    (sealed.payload / "report.txt").write_text("altered")
    dry = new_run(tmp_path / "store", is_dry=True)
    chain(dry)
    assert [step.is_cached for step in dry.steps] == [True, True, False]
    assert (sealed.payload / "report.txt").read_text() == "altered"


def broken(out: Workdir, *, config: Make) -> Draft[DatasetArtifact]:
    (out / "half.txt").write_text("half")
    (out.snapshots / "state").write_text("kept")
    raise ZeroDivisionError("in the middle")


def test_a_stage_that_fails_leaves_no_artifact_and_keeps_its_snapshots(tmp_path: Path) -> None:
    run, heard = listening(tmp_path / "store")
    with pytest.raises(ZeroDivisionError):
        run(broken, config=Make())
    assert list((tmp_path / "store" / "dataset").iterdir()) == []
    assert list((tmp_path / "store" / "work").glob("*/payload")) == []
    assert [path.read_text() for path in (tmp_path / "store" / "work").glob("*.snapshots/state")] == ["kept"]
    assert isinstance(heard[-1], StageFailed)
    assert heard[-1].error == "ZeroDivisionError: in the middle"


def test_snapshots_are_dropped_with_the_seal_and_not_sealed(tmp_path: Path) -> None:
    chain(new_run(tmp_path / "store"))
    assert list((tmp_path / "store" / "work").iterdir()) == []
    model = next((tmp_path / "store" / "model").iterdir())
    assert {path.name for path in model.iterdir()} == {"payload", "manifest.json", "evidence.json", "card.md"}


def test_the_manifest_says_what_where_and_how_long(tmp_path: Path) -> None:
    report = chain(new_run(tmp_path / "store"))
    manifest = report.manifest
    assert manifest.stage == "tiny_stages.tell"
    assert manifest.arguments == {"config": {"type": "Tell", "title": "told"}}
    assert [parent.kind for parent in manifest.parents] == ["dataset", "model"]
    assert manifest.peak_memory_bytes > 1_000_000
    assert manifest.environment["hardware"]["num_cores"] >= 1


def test_a_path_in_the_configuration_is_recorded_for_people(tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text("text")

    @dataclass(frozen=True)
    class Read:
        path: Path
        num_lines: int = 1
        seed: int = 0

    sealed = new_run(tmp_path / "store")(make, config=Read(tmp_path / "raw.txt"))
    assert list(sealed.manifest.inputs.values()) == [str(tmp_path / "raw.txt")]


def test_a_gate_lets_pass_or_stops_and_tells_either(tmp_path: Path) -> None:
    run, heard = listening(tmp_path / "store")
    data = run(make, config=Make())
    run.require(data, "num_lines", at_least=5)
    with pytest.raises(GateFailed, match=r"gate num_lines: measured 5 .* required at least 6"):
        run.require(data, "num_lines", at_least=6)
    checked = [event for event in heard if isinstance(event, GateChecked)]
    assert [(event.value, event.is_passed) for event in checked] == [(5.0, True), (5.0, False)]


def test_a_gate_on_a_planned_artifact_waits(tmp_path: Path) -> None:
    run = new_run(tmp_path / "store", is_dry=True)
    run.require(run(make, config=Make()), "num_lines", at_least=99)


def test_a_store_that_became_read_only_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path / "store")
    (tmp_path / "store" / "locks").rmdir()
    (tmp_path / "store" / "locks").write_text("")
    with pytest.raises(BurnishError, match=r"cannot write in .*store.*nothing sealed was touched"):
        chain(run)


def test_reading_a_planned_artifact_says_that_it_is_planned(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is only planned"):
        _ = new_run(tmp_path / "store", is_dry=True)(make, config=Make()).evidence


def test_the_same_seed_gives_the_same_bytes_in_another_store(tmp_path: Path) -> None:
    first, second = chain(new_run(tmp_path / "a")), chain(new_run(tmp_path / "b"))
    assert first.manifest.payload_digest == second.manifest.payload_digest
    other = new_run(tmp_path / "a")(make, config=replace(Make(), seed=5))
    assert json.dumps(other.manifest.files) != json.dumps(new_run(tmp_path / "b")(make, config=Make()).manifest.files)
