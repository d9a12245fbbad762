import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from natural_set import collected

from burnish.claims.claim import Verdict, judge
from burnish.claims.clipping_trial import (
    ROUGH,
    Setting,
    Trial,
    TrialConfig,
    gains,
    read_trials,
    train_under_rules,
    with_noise,
)
from burnish.claims.convergence import ByteModelConfig, rows_of, train_byte_model
from burnish.claims.t6_clipping import CLAIM, ClippingClaimConfig, compare, measure_clipping
from burnish.errors import RecipeError
from burnish.learn.loop import LoopConfig
from burnish.runtime import Run

LOOP = LoopConfig(num_steps=20, row_tokens=64, rows_per_step=1, validate_every_steps=1, learning_rate=1e-2)


def trial(losses: list[float], rule: str = "fixed", seed: int = 0, *, slower: float = 1.0) -> Trial:
    return Trial(rule, "rough", seed, [(slower * step, loss) for step, loss in enumerate(losses)], [1.0], 0)


def falling(jump: float, *, lift: float = 0.0) -> list[float]:
    """Give a straight fall whose readings 10, 20 and 30 jump up."""
    return [4 - step / 20 + (jump if step in (10, 20, 30) else 0) + lift for step in range(41)]


def test_a_straight_fall_is_smooth_and_each_jump_counts() -> None:
    straight = trial(falling(0.0))
    assert straight.roughness_nats == pytest.approx(0, abs=1e-9)
    assert straight.num_spikes == 0
    assert trial(falling(0.5)).num_spikes == 3
    rough = trial([4.0] * 10 + [5.0] + [4.0] * 10)
    assert rough.roughness_nats == pytest.approx(math.sqrt(1 / 13))
    assert (rough.num_spikes, rough.has_diverged, rough.end_nats) == (1, False, 4.0)
    assert trial([4.0] * 5 + [4.2] * 15).has_diverged


@given(st.floats(0.2, 2.0), st.floats(1.1, 4.0))
def test_half_the_jumps_are_twice_as_steady_and_half_the_steps_twice_as_fast(jump: float, times: float) -> None:
    def flat(height: float, seed: int, rule: str) -> Trial:
        return trial([4.0] * 10 + [4.0 + height] + [4.0] * 10, rule, seed)

    pairs = [flat(jump * times, seed, "fixed") for seed in (0, 1)] + [flat(jump, seed, "mean") for seed in (0, 1)]
    assert gains(pairs, "mean", "rough", beside="fixed")["stability"] == pytest.approx([times, times])
    assert gains(pairs, "mean", "rough", beside="fixed")["speed"] == []  # nothing was learnt
    fast = [trial(falling(0.5), "fixed", slower=times), trial(falling(0.5), "mean")]
    assert gains(fast, "mean", "rough", beside="fixed")["speed"] == pytest.approx([times])


def test_the_figures_are_in_the_evidence_and_judged_by_their_interval() -> None:
    trials = [
        trial(falling(jump * (1 + seed / 10)), rule, seed)
        for seed in range(3)
        for rule, jump in (("fixed", 2.0), ("decaying", 1.0), ("mean", 2.0))
    ]
    measured = {m.name: m for m in compare(trials, 0.95)}
    figures = {figure.name: figure for figure in CLAIM.figures}
    assert set(figures) <= set(measured)
    assert judge(figures["stability_gain_decaying_rough_frac"], measured["stability_gain_decaying_rough_frac"])[0] is (
        Verdict.HOLDS
    )
    same = measured["stability_gain_mean_rough_frac"]
    assert same.value == pytest.approx(0, abs=1e-9)
    assert judge(figures[same.name], same)[0] is Verdict.FALLS_SHORT
    assert measured["spikes_fixed_rough"].value == 3
    assert measured["diverged_fixed_rough_frac"].value == 0


def test_noise_takes_whole_steps_the_same_for_every_rule() -> None:
    rows = list(rows_of(["plain words " * 4000], 64, 0))[:600]
    setting = replace(ROUGH, noise_frac=0.2)
    noisy = list(with_noise(rows, setting, 2, 3))
    changed = [one != other for one, other in zip(rows, noisy, strict=True)]
    assert changed[::2] == changed[1::2]
    assert 0.12 < sum(changed) / 600 < 0.28
    assert noisy == list(with_noise(rows, setting, 2, 3)) != list(with_noise(rows, setting, 2, 4))
    first = noisy[changed.index(True)]
    assert first.labels[:-1] == first.ids[1:]
    assert rows == list(with_noise(rows, replace(ROUGH, noise_frac=0.0), 2, 3))


def test_too_few_readings_for_a_trend_are_refused() -> None:
    with pytest.raises(RecipeError, match="takes 6 readings; 18 are needed"):
        TrialConfig(loop=replace(LOOP, num_steps=5))


def test_every_rule_starts_alike_and_a_seed_is_a_reading(run: Run) -> None:
    data = collected(run)
    start = run(train_byte_model, data, config=ByteModelConfig(32, 1, 2, LOOP))
    settings = (Setting("calm", 3e-3, 0.0), Setting("rough", 0.1, 0.5))
    config = TrialConfig(("fixed", "none", "decaying", "mean"), settings, LOOP, validation_rows=2)
    reports = [run(train_under_rules, start, data, config=replace(config, seed=seed)) for seed in (0, 1)]
    trials = read_trials(reports)
    assert len(trials) == 2 * 2 * 4
    assert len({each.curve[0][1] for each in trials}) == 1
    assert all([step for step, _ in each.curve] == list(range(21)) for each in trials)
    calm = [each.curve for each in trials if each.setting == "calm" and each.seed == 0]
    assert calm[0][-1] != calm[1][-1]
    reading = run(measure_clipping, *reports, config=ClippingClaimConfig())
    assert {figure.name for figure in CLAIM.figures if "stability" in figure.name} <= {m.name for m in reading.evidence}
    assert reading.read_json("reading.json")["claim"] == "T6"
