"""Schedules by their shape."""

from itertools import pairwise

import pytest

from burnish.errors import RecipeError
from burnish.learn.schedules import WarmupCosine


def test_cosine_rises_to_one_and_falls_to_its_end() -> None:
    schedule = WarmupCosine(warmup_frac=0.1, final_frac=0.2)
    factors = [schedule.factor(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[10] == 1.0
    assert factors[-1] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(factors[10:]))


@pytest.mark.parametrize("values", [{"warmup_frac": 1.0}, {"final_frac": -0.1}])
def test_schedule_refuses_what_is_no_share(values: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="must lie in"):
        WarmupCosine(**values)
