"""Linear and warm-up-stable-decay schedules, value by value."""

import math

import pytest

from burnish.errors import RecipeError
from burnish.learn.schedules import WarmupLinear, WarmupStableDecay


def test_linear_rises_and_falls_by_equal_amounts() -> None:
    schedule = WarmupLinear(warmup_frac=0.2, final_frac=0.1)
    factors = [schedule.factor(step, 10) for step in range(10)]
    fall = 0.9 / 7
    assert factors == pytest.approx([0.5, 1.0, *(1 - fall * k for k in range(8))])
    assert {WarmupLinear(0.0, 1.0).factor(step, 7) for step in range(7)} == {1.0}
    assert WarmupLinear(0.0, 0.0).factor(0, 1) == 1.0


def test_stable_stays_at_the_peak_and_falls_at_the_end_as_a_root() -> None:
    schedule = WarmupStableDecay(warmup_frac=0.1, decay_frac=0.2, final_frac=0.05)
    factors = [schedule.factor(step, 20) for step in range(20)]
    decay = [0.05 + 0.95 * (1 - math.sqrt(k / 4)) for k in (1, 2, 3, 4)]
    assert factors == pytest.approx([0.5, *[1.0] * 15, *decay])
    assert factors[-1] == pytest.approx(0.05)
    longer = [schedule.factor(step, 40) for step in range(4, 16)]
    assert longer == [1.0] * 12  # what was trained at the peak is the beginning of a longer run


def test_a_decay_that_leaves_no_room_for_the_warm_up_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"decay_frac is 0\.95; it must lie above 0 and leave room"):
        WarmupStableDecay(warmup_frac=0.1, decay_frac=0.95)
