"""Loss scaling: halved by an overflow, doubled after 2,000 good steps, and 1 where it is off."""

from burnish.learn.precision import LossScale


def test_an_overflow_halves_it_and_good_steps_in_a_row_double_it() -> None:
    scale = LossScale(is_on=True)
    start = scale.value
    scale.update(is_finite=False)
    assert scale.value == start / 2
    for _ in range(1999):
        scale.update(is_finite=True)
    assert scale.value == start / 2
    scale.update(is_finite=False)
    for _ in range(1999):
        scale.update(is_finite=True)
    assert scale.value == start / 4
    scale.update(is_finite=True)
    assert scale.value == start / 2


def test_it_grows_to_a_limit_that_float16_can_hold_and_is_one_where_off() -> None:
    scale, off = LossScale(is_on=True), LossScale(is_on=False)
    for _ in range(2000 * 20):
        scale.update(is_finite=True)
        off.update(is_finite=True)
    off.update(is_finite=False)
    assert scale.value == 2.0**24
    assert off.value == 1.0
