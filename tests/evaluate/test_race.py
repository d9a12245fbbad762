"""A race: the ratio of what two servers did in turn; other questions to each are refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import RecipeError
from burnish.evaluate import race as racing
from burnish.evaluate.closed_loop import Loaded, Timing
from burnish.evaluate.latency import LoadConfig
from burnish.evaluate.race import RaceConfig, race
from burnish.runtime import Run
from conftest import served_form

LOAD = LoadConfig(1, 2, 8)


@pytest.fixture
def served_tiny(run: Run, base: ModelArtifact) -> ModelArtifact:
    """The tiny model as it is served."""
    return served_form(run, base)


def test_the_ratio_is_the_median_of_rounds_in_turn(
    run: Run, served_tiny: ModelArtifact, headlines: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    seconds = iter((4.0, 2.0, 9.0, 3.0, 5.0, 2.0))  # 2, 3 and 2.5 times as fast

    def loaded(model: ModelArtifact, conversations: object, each: Callable[[], None], **ways: Any) -> Loaded:
        asked.append(ways)
        spent_s = next(seconds)
        return Loaded([Timing(0.1, [0.1], spent_s, 8)], [], spent_s)

    monkeypatch.setattr(racing, "load_model", loaded)
    second = replace(LOAD, threads=1)
    found = run(race, served_tiny, served_tiny, headlines, config=RaceConfig(LOAD, second))
    assert [ways["threads"] for ways in asked] == [None, 1] * 3
    speed = found.measurement("speed_ratio")
    assert (speed.value, speed.low, speed.high, speed.n) == (2.5, 2.0, 3.0, 3)
    assert found.measurement("latency_saved_frac").value == pytest.approx(0.6)
    assert found.measurement("cost_saved_frac").value == pytest.approx(0.6)
    assert found.measurement("size_ratio").value == 1
    assert len(found.read_json("loads.json")) == 3


def test_real_servers_run_in_turn(run: Run, served_tiny: ModelArtifact, headlines: DatasetArtifact) -> None:
    found = run(race, served_tiny, served_tiny, headlines, config=RaceConfig(LOAD, num_rounds=1))
    assert found.measurement("speed_ratio").value > 0
    ((first, second),) = found.read_json("loads.json")
    assert [len(each["timings"]) for each in (first, second)] == [2, 2]
    assert min(first["peak_bytes"], second["peak_bytes"]) > 50e6


@pytest.mark.parametrize("change", [{"concurrency": 2}, {"max_tokens": 9}, {"seed": 1}, {"max_prompt_characters": 5}])
def test_both_are_asked_the_same(change: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="ask both the same"):
        RaceConfig(LOAD, replace(LOAD, **change))
    with pytest.raises(RecipeError, match="num_rounds is 0"):
        RaceConfig(LOAD, num_rounds=0)
