"""M2: the reading follows from the trainings' logs; the whole claim runs in `burnish claims M2`."""

import json
from typing import Any

import pytest

from burnish.artifacts import Draft, Measurement, ModelArtifact
from burnish.claims.claim import READING, Verdict, judge
from burnish.claims.m2_methods import CLAIM, MethodsConfig, compare_methods
from burnish.errors import BurnishError
from burnish.runtime import Run, Workdir

FALL = [4.0, 3.0, 2.0, 1.0]


def trained(out: Workdir, *, config: dict[str, Any]) -> Draft[ModelArtifact]:
    """Stand for a training: its log, with losses of batches between the validations, and the share that trained."""
    rows: list[dict[str, float]] = []
    for step, loss in enumerate(config["losses"], start=1):
        rows += [{"step": step * config["every"], "loss_nats": 9.0}]
        rows += [{"step": step * config["every"], "validation_loss_nats": loss}]
    (out / "training_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Draft(ModelArtifact, (Measurement("trained_frac", config["trained_frac"], "1", 1),), "")


def trainings(run: Run, prefix_every: int, prefix: list[float]) -> list[ModelArtifact]:
    given = ((1.0, 12, FALL), (0.035, 6, FALL), (0.001, prefix_every, prefix))
    configs = [{"trained_frac": share, "every": every, "losses": losses} for share, every, losses in given]
    return [run(trained, config=config) for config in configs]


@pytest.mark.parametrize(("prefix_every", "verdict"), [(4, Verdict.HOLDS), (6, Verdict.FALLS_SHORT)])
def test_the_reading_is_the_shares_and_the_steps_to_the_same_loss(
    run: Run, prefix_every: int, verdict: Verdict
) -> None:
    found = run(compare_methods, *trainings(run, prefix_every, FALL), config=MethodsConfig())
    measured = {m.name: m for m in found.evidence}
    assert measured["trained_lora_frac"].value == 0.035
    assert measured["trained_full_frac"].value == 1
    assert measured["convergence_lora_ratio"].value == pytest.approx(2)
    assert measured["convergence_prefix_ratio"].value == pytest.approx(12 / prefix_every)
    verdicts = {figure.name: judge(figure, measured[figure.name])[0] for figure in CLAIM.figures}
    assert verdicts == {"trained_lora_frac": Verdict.NOT_COMPARABLE, "convergence_prefix_ratio": verdict}
    reading = found.read_json(READING)
    assert reading["claim"] == "M2"
    assert reading["curves"]["prefix"][0] == [prefix_every, 4.0]


def test_a_method_that_learnt_nothing_is_no_reading(run: Run) -> None:
    with pytest.raises(BurnishError, match="does not fall below"):
        run(compare_methods, *trainings(run, 6, [5.0, 5.5, 6.0]), config=MethodsConfig())
    with pytest.raises(BurnishError, match="has no curve of finite validation losses"):
        run(compare_methods, *trainings(run, 6, [5.0]), config=MethodsConfig())
