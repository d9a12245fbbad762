"""T1: the ratios are those of the steps that were measured, pair by pair, in this process here."""

from collections.abc import Iterator

import pytest

from burnish.artifacts import ModelArtifact
from burnish.claims import t1_precision
from burnish.claims.claim import READING, Verdict, judge
from burnish.claims.step_cost import Cost, CostConfig, cost_here
from burnish.claims.t1_precision import CLAIM, PrecisionConfig, measure_precision
from burnish.errors import RecipeError
from burnish.runtime import Run

ROUNDS = 3


def test_each_pair_is_a_ratio_and_the_median_is_the_reading(
    run: Run, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: Iterator[float] = iter((2.0, 1.0, 6.0, 2.0, 4.8, 2.0))  # 2, 3 and 2.4 times as fast
    asked: list[CostConfig] = []

    def measured(config: CostConfig) -> Cost:
        asked.append(config)
        return Cost(next(seconds), {"fp32": 1000, "bf16": 550}[config.precision])

    monkeypatch.setattr(t1_precision, "measure_cost", measured)
    found = run(measure_precision, base, config=PrecisionConfig(64, 2, ROUNDS))
    assert [config.precision for config in asked] == ["fp32", "bf16"] * ROUNDS
    assert {(config.num_tokens, config.num_steps) for config in asked} == {(64, 2)}
    speed, saved = (found.measurement(figure.name) for figure in CLAIM.figures)
    assert speed.value == pytest.approx(2.4)
    assert (speed.low, speed.high, speed.n) == (2.0, 3.0, ROUNDS)
    assert saved.value == pytest.approx(0.45)
    assert [judge(figure, m)[0] for figure, m in zip(CLAIM.figures, (speed, saved), strict=True)] == [
        Verdict.UNDECIDED,
        Verdict.HOLDS,
    ]
    assert found.read_json(READING)["claim"] == "T1"


def test_the_claim_runs_on_a_real_model(run: Run, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t1_precision, "measure_cost", cost_here)  # other processes are slow to start
    found = run(measure_precision, base, config=PrecisionConfig(16, 2, 1))
    speed = found.measurement("speed_up_ratio")
    assert speed.value > 0
    assert speed.low == speed.value == speed.high


@pytest.mark.parametrize("change", [{"num_tokens": 1}, {"num_steps": 1}, {"num_rounds": 0}])
def test_too_little_to_time_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=r"must be at least 2, the last at least 1"):
        PrecisionConfig(**change)
