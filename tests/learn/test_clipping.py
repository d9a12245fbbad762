"""Clipping: each rule against a plain reading of it, nothing learnt from a broken norm, and state that goes on."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from burnish.errors import RecipeError
from burnish.learn.clipping import (
    Clipping,
    DecayingNorm,
    FixedNorm,
    MeanNorm,
    NoClipping,
    PercentileNorm,
    open_clipper,
)
from burnish.learn.loop import LoopConfig
from burnish.runtime.recipes import fill

RULES: tuple[Clipping, ...] = (
    FixedNorm(0.7),
    NoClipping(),
    DecayingNorm(2.0, 0.9, 0.5),
    MeanNorm(1.0, 0.8),
    PercentileNorm(40, window_steps=6, warmup_steps=3),
)
NORMS = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20)


def bounds(rule: Clipping, norms: list[float]) -> list[float]:
    """Work out each step's bound from all the norms, with no state."""
    found = []
    for t in range(len(norms)):
        match rule:
            case FixedNorm(max_norm=bound):
                pass
            case NoClipping():
                bound = math.inf
            case DecayingNorm(start_norm=start, decay=decay, min_norm=least):
                bound = max(start * decay**t, least)
            case MeanNorm(start_norm=start, decay=decay):
                bound = start * decay**t + sum((1 - decay) * decay ** (t - 1 - i) * norms[i] for i in range(t))
            case PercentileNorm(percentile=share, window_steps=window, warmup_steps=warmup, start_norm=start):
                seen = norms[: t + 1][-window:]
                bound = start if t < warmup else float(np.percentile(seen, share))
        found.append(bound)
    return found


@pytest.mark.parametrize("rule", RULES)
@given(norms=NORMS)
def test_a_rule_clips_to_the_bound_worked_out_from_all_norms(rule: Clipping, norms: list[float]) -> None:
    clipper = open_clipper(rule)
    for norm, bound in zip(norms, bounds(rule, norms), strict=True):
        factor = clipper.factor(norm)
        assert factor == pytest.approx(min(1.0, bound / norm), rel=1e-2 if norm < 1e-2 else 1e-3)
        assert 0 < factor <= 1


@pytest.mark.parametrize("rule", RULES)
@given(norms=NORMS, cut=st.integers(0, 20))
def test_state_in_a_file_goes_on_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, rule: Clipping, norms: list[float], cut: int
) -> None:
    whole, first, second = (open_clipper(rule) for _ in range(3))
    expected = [whole.factor(norm) for norm in norms]
    before = [first.factor(norm) for norm in norms[:cut]]
    path = tmp_path_factory.getbasetemp() / "state.pt"
    torch.save(first.state(), path)
    second.restore(torch.load(path, weights_only=True))
    assert before + [second.factor(norm) for norm in norms[cut:]] == expected


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_teaches_nothing(rule: Clipping, broken: float) -> None:
    clipper, control = open_clipper(rule), open_clipper(rule)
    for norm in (0.5, 3.0, 0.1, 8.0, 2.0):
        assert clipper.factor(broken) == 0.0
        assert clipper.factor(norm) == control.factor(norm)
    assert clipper.state() == control.state()


def test_a_wild_norm_moves_the_mean_and_not_the_percentile() -> None:
    mean, percentile = open_clipper(MeanNorm()), open_clipper(PercentileNorm(90))
    for _ in range(200):
        mean.factor(1.0)
        percentile.factor(1.0)
    assert percentile.factor(1e6) * 1e6 == pytest.approx(1.0, rel=1e-3)
    assert percentile.factor(5.0) * 5.0 == pytest.approx(1.0, rel=1e-3)
    assert mean.factor(1e6) * 1e6 == pytest.approx(1.0, rel=1e-3)
    assert mean.factor(5.0) == 1.0


def test_rules_are_chosen_by_name_and_a_recipe_may_give_values_alone() -> None:
    assert fill(LoopConfig, {"clipping": "no_clipping"}).clipping == NoClipping()
    assert fill(LoopConfig, {"clipping": {"max_norm": 2}}).clipping == FixedNorm(2.0)
    decaying = fill(LoopConfig, {"clipping": {"kind": "decaying_norm", "min_norm": 0.2}}).clipping
    assert decaying == DecayingNorm(1.0, 0.99, 0.2)
    assert fill(LoopConfig, {"clipping": {"kind": "percentile_norm", "percentile": 90}}).clipping == PercentileNorm(90)


@pytest.mark.parametrize(
    ("rule", "values", "words"),
    [
        (FixedNorm, {"max_norm": 0.0}, "max_norm is 0.0"),
        (DecayingNorm, {"decay": 1.5}, "decay 1.5"),
        (DecayingNorm, {"min_norm": 2.0}, "min_norm 2.0"),
        (MeanNorm, {"decay": 1.0}, "decay 1.0"),
        (PercentileNorm, {"percentile": 0.0}, "percentile is 0.0"),
        (PercentileNorm, {"warmup_steps": 2000}, "warmup_steps 2000"),
    ],
)
def test_values_that_make_no_sense_are_refused(rule: type[Any], values: dict[str, float], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        rule(**values)
