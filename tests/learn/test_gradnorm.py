"""Combining tasks: weights against a hand's and autograd's arithmetic, and two tasks that pull apart."""

import math
from typing import Any

import pytest
import torch

from burnish.errors import RecipeError
from burnish.learn.combination import Combination, EqualWeights, FixedWeights, GradNorm, NormalisedTrunk
from burnish.learn.gradnorm import StepGradients, open_combiner
from burnish.learn.optimizer import AdamW

CLASSES = {"a": 2, "b": 2}


def test_one_step_of_gradnorm_by_hand() -> None:
    """Norms 3 and 1 at first losses: both ratios are 1, both targets 2, the slopes in log w 3/2 and -1/2."""
    combiner = open_combiner(GradNorm(alpha=1.5, rate=0.1), CLASSES)
    combiner.learn({"a": 5.0, "b": 0.2}, {"a": 3.0, "b": 1.0})
    a, b = math.exp(-0.15), math.exp(0.05)
    assert combiner.weights({"a": 1, "b": 1}, {}) == pytest.approx({"a": 2 * a / (a + b), "b": 2 * b / (a + b)})
    # a's loss halves, b's stays: ratios 0.5 and 1 over their mean 0.75, so that b's gradient should be the longer one
    before = combiner.weights({"a": 1, "b": 1}, {})
    norms = {"a": 1 / before["a"], "b": 1 / before["b"]}
    combiner.learn({"a": 2.5, "b": 0.2}, norms)  # weighted norms are 1 and 1; targets (2/3)^1.5 < 1 < (4/3)^1.5
    after = combiner.weights({"a": 1, "b": 1}, {})
    moved = {"a": before["a"] * math.exp(-0.1), "b": before["b"] * math.exp(0.1)}
    assert after == pytest.approx({name: 2 * weight / sum(moved.values()) for name, weight in moved.items()})


def test_one_step_of_gradnorm_against_autograd_on_the_published_loss() -> None:
    """Build equations 1 and 2 as they stand, differentiate them by w, and compare."""
    torch.manual_seed(0)
    x, trunk, heads, targets = _problem(width=3)
    config = GradNorm(alpha=1.5, rate=0.05)
    combiner = open_combiner(config, dict.fromkeys(heads, 2))
    combiner.restore({"weights": {"small": 0.7, "large": 1.3}, "first_losses": {"small": 2.0, "large": 0.9}})

    w = {name: torch.tensor(value, requires_grad=True) for name, value in (("small", 0.7), ("large", 1.3))}
    losses = {name: ((heads[name](trunk(x))[:, 0] - targets[name]) ** 2).mean() for name in heads}
    norms = {
        name: torch.autograd.grad(w[name] * losses[name], trunk[0].weight, create_graph=True)[0].norm()
        for name in heads
    }
    mean = sum(norms.values()) / 2
    ratios = {name: losses[name].item() / first for name, first in (("small", 2.0), ("large", 0.9))}
    mean_ratio = sum(ratios.values()) / 2
    loss = sum((norms[n] - mean.detach() * (ratios[n] / mean_ratio) ** 1.5).abs() for n in heads)
    slopes = dict(zip(w, torch.autograd.grad(loss / mean.detach(), list(w.values())), strict=True))
    moved = {n: w[n].item() * math.exp(-0.05 * w[n].item() * float(slopes[n])) for n in heads}  # a step in log w

    step = _step(combiner, trunk, heads)
    step.add(trunk(x), lambda h: _losses(heads, targets, h, {"small": 1.0, "large": 1.0}))
    measured = step.finish()
    assert measured["weight_small"] == pytest.approx(0.7)  # this step still has the old weights
    found = combiner.weights(dict.fromkeys(heads, 1.0), {})
    assert found == pytest.approx({n: 2 * weight / sum(moved.values()) for n, weight in moved.items()}, rel=1e-5)
    plain = 0.7 * losses["small"] + 1.3 * losses["large"]
    expected = torch.autograd.grad(plain, trunk[0].weight)[0]
    torch.testing.assert_close(trunk[0].weight.grad, expected)


@pytest.mark.parametrize(
    ("combination", "learns_both"),
    [(EqualWeights(), False), (GradNorm(rate=0.1), True), (NormalisedTrunk(), True)],
)
def test_two_tasks_that_pull_apart_at_scales_1_and_4e7(combination: Combination, learns_both: bool) -> None:
    torch.manual_seed(0)
    x, trunk, heads, targets = _problem(width=2)
    scales = {"small": 1.0, "large": 4e7}
    named = dict(trunk.named_parameters()) | {f"{n}.{k}": p for n, h in heads.items() for k, p in h.named_parameters()}
    optimizer = AdamW(named, weight_decay=0.0)
    combiner = open_combiner(combination, dict.fromkeys(heads, 2))
    losses, cosines = {}, []
    for number in range(400):
        step = _step(combiner, trunk, heads, is_compared=True)
        step.add(trunk(x), lambda h: _losses(heads, targets, h, scales))
        measured = step.finish()
        losses = {name: measured[f"loss_nats_{name}"] / scales[name] for name in heads}
        cosines.append(measured["grad_cosine_large_small"])
        norm = float(torch.nn.utils.get_total_norm([p.grad for p in named.values() if p.grad is not None]))
        optimizer.step(0.02 if number < 250 else 0.004, min(1.0, 1.0 / (norm + 1e-6)))  # clipped, as the loop does
    assert cosines[0] < 0
    assert losses["large"] < 0.01
    assert (losses["small"] < 0.01) == learns_both
    if not learns_both:
        assert losses["small"] > 0.1


def test_normalised_gradients_have_length_one_and_rows_count_by_their_share() -> None:
    combiner = open_combiner(NormalisedTrunk(), CLASSES)
    assert combiner.weights({"a": 4.0, "b": 0.0}, {"a": 0.25, "b": 1.0}) == {"a": 0.25 / 4, "b": 0.0}


def test_what_is_absent_from_a_step_keeps_its_weight() -> None:
    combiner = open_combiner(GradNorm(), {"a": 2, "b": 2, "c": 2})
    combiner.learn({"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0})
    found = combiner.weights(dict.fromkeys("abc", 1.0), {})
    assert found["c"] == 1.0
    assert found["a"] + found["b"] == pytest.approx(2.0)
    assert found["a"] < 1 < found["b"]
    combiner.learn({"c": 1.0}, {"c": 9.0})
    assert combiner.weights(dict.fromkeys("abc", 1.0), {}) == found


def test_progress_can_be_measured_from_chance() -> None:
    combiner = open_combiner(GradNorm(initial_loss="log_classes"), {"a": 2, "b": 8})
    combiner.learn({"a": math.log(2), "b": math.log(8)}, {"a": 1.0, "b": 1.0})  # no progress, alike: nothing moves
    assert combiner.weights({"a": 1, "b": 1}, {}) == pytest.approx({"a": 1.0, "b": 1.0})


def test_a_broken_loss_teaches_nothing() -> None:
    torch.manual_seed(0)
    x, trunk, heads, targets = _problem(width=2)
    combiner = open_combiner(GradNorm(), dict.fromkeys(heads, 2))
    before = combiner.state()
    step = _step(combiner, trunk, heads)
    step.add(trunk(x), lambda h: _losses(heads, targets, h, {"small": math.nan, "large": 1.0}))
    assert math.isnan(step.finish()["loss_nats"])
    assert combiner.state() == before


def test_a_loss_scale_changes_the_gradient_alone() -> None:
    found = []
    for scale in (1.0, 1024.0):
        torch.manual_seed(0)
        x, trunk, heads, targets = _problem(width=2)
        for config in (GradNorm(), NormalisedTrunk()):
            combiner = open_combiner(config, dict.fromkeys(heads, 2))
            trunk[0].weight.grad = None
            step = StepGradients(combiner, [trunk[0].weight], _parameters(heads), scale=scale)
            step.add(trunk(x), lambda h: _losses(heads, targets, h, {"small": 1.0, "large": 1.0}))  # noqa: B023
            measured = step.finish()
            found.append((measured, combiner.state(), trunk[0].weight.grad / scale))
    for one, other in zip(found[:2], found[2:], strict=True):
        assert one[0] == pytest.approx(other[0], rel=1e-4)
        assert one[1].get("weights", {}) == pytest.approx(other[1].get("weights", {}))
        torch.testing.assert_close(one[2], other[2])


def test_values_that_cannot_be_are_refused() -> None:
    for make in (lambda: GradNorm(alpha=-1), lambda: GradNorm(rate=0), lambda: FixedWeights({"a": 0.0})):
        with pytest.raises(RecipeError):
            make()


def _problem(width: int) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Two smooth targets that want nearly opposite directions of six, through a trunk of `width` units."""
    x = torch.randn(128, 6)
    a = torch.nn.functional.normalize(torch.randn(6), dim=0)
    c = torch.randn(6)
    c = torch.nn.functional.normalize(c - (c @ a) * a, dim=0)
    targets = {"small": torch.tanh(2 * x @ a), "large": torch.tanh(2 * x @ (0.6 * c - 0.8 * a))}
    trunk = torch.nn.Sequential(torch.nn.Linear(6, width), torch.nn.Tanh())
    return x, trunk, {name: torch.nn.Linear(width, 1) for name in targets}, targets


def _parameters(heads: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: list(head.parameters()) for name, head in heads.items()}


def _step(combiner: Any, trunk: Any, heads: dict[str, Any], *, is_compared: bool = False) -> StepGradients:
    return StepGradients(combiner, [trunk[0].weight], _parameters(heads), is_compared=is_compared)


def _losses(heads: dict[str, Any], targets: dict[str, Any], hidden: Any, scales: dict[str, float]) -> dict[str, Any]:
    return {n: scales[n] * ((head(hidden)[:, 0] - targets[n]) ** 2).mean() for n, head in heads.items()}
