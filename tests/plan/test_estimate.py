import importlib.util
import json
from importlib import resources
from pathlib import Path

import pytest

from burnish.plan import estimate as module
from burnish.plan.estimate import Estimate, estimate, measured, probe_gflops_per_s
from burnish.runtime.events import EventLog, StageSealed
from burnish.runtime.run import Step

UNKNOWN = Estimate(None, None, "unknown")


def sealed_run(runs: Path, name: str, profile: str, seconds: float, label: str = "tuned") -> None:
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps({"profile": profile}))
    log = EventLog(folder / "events.jsonl")
    log.emit(StageSealed("room.fit", "d" * 64, label, "model", seconds, 1000, {}))


def step(label: str = "tuned", stage: str = "room.fit", *, is_cached: bool = False) -> Step:
    return Step(stage, label, "e" * 64, is_cached)


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reference machine of known figures in place of the shipped one."""
    figures = {
        "measured_on": "test",
        "probe_gflops_per_s": 50.0,
        "profiles": {"tiny": {"tuned": {"seconds": 10.0, "peak_memory_bytes": 2000}}},
    }
    (tmp_path / "reference.json").write_text(json.dumps(figures))
    monkeypatch.setattr(resources, "files", lambda _package: tmp_path)
    return tmp_path / "reference.json"


def test_the_newest_run_of_the_same_profile_and_label_counts(tmp_path: Path) -> None:
    sealed_run(tmp_path, "20260101-000000-aaaa", "tiny", 1.0)
    sealed_run(tmp_path, "20260102-000000-aaaa", "tiny", 2.0)
    sealed_run(tmp_path, "20260103-000000-aaaa", "default", 99.0)
    sealed_run(tmp_path, "20260104-000000-aaaa", "tiny", 5.0, label="base")
    assert estimate([step()], runs=tmp_path, profile="tiny") == (Estimate(2.0, 1000, "measured here"),)


def test_other_labels_and_other_stages_do_not_count(tmp_path: Path) -> None:
    sealed_run(tmp_path, "20260101-000000-aaaa", "tiny", 1.0)
    steps = [step("base"), step(stage="room.other")]
    assert estimate(steps, runs=tmp_path, profile="tiny") == (UNKNOWN, UNKNOWN)


def test_runs_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    sealed_run(tmp_path, "20260101-000000-aaaa", "tiny", 1.0)
    for number, body in enumerate(("", "{", '{"profile": "tiny"}')):
        (tmp_path / f"2027010{number}-000000-aaaa").mkdir()
        (tmp_path / f"2027010{number}-000000-aaaa" / "recipe.json").write_text(body)
    assert measured(tmp_path, profile="tiny") == {("room.fit", "tuned"): Estimate(1.0, 1000, "measured here")}


def test_the_reference_is_scaled_by_what_this_machine_multiplies(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "probe_gflops_per_s", lambda: 25.0)
    found = estimate([step(), step("base")], runs=tmp_path, profile="tiny")
    assert found == (Estimate(20.0, 2000, "reference machine × 2.00"), UNKNOWN)


def test_without_numpy_the_reference_is_taken_as_it_is(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert estimate([step()], runs=tmp_path, profile="tiny") == (Estimate(10.0, 2000, "reference machine"),)


def test_what_was_measured_here_goes_before_the_reference(tmp_path: Path, reference: Path) -> None:
    sealed_run(tmp_path, "20260101-000000-aaaa", "tiny", 1.0)
    assert estimate([step()], runs=tmp_path, profile="tiny")[0].how == "measured here"


def test_nothing_is_probed_where_nothing_is_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe_gflops_per_s", lambda: pytest.fail("probed"))
    assert estimate([step(is_cached=True), step("nowhere")], runs=tmp_path, profile="none") == (UNKNOWN, UNKNOWN)


def test_the_shipped_reference_has_the_form_that_is_read() -> None:
    body = json.loads(resources.files("burnish.plan").joinpath("reference.json").read_text())
    for labels in body["profiles"].values():
        for figures in labels.values():
            assert figures["seconds"] >= 0
            assert figures["peak_memory_bytes"] > 0
    assert body["probe_gflops_per_s"] is None or body["probe_gflops_per_s"] > 0


def test_the_probe_measures_a_processor() -> None:
    assert 0.1 < probe_gflops_per_s() < 5000
