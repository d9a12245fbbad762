from itertools import pairwise
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from burnish.report.charts import Curve, Point, bar_pair, loss_chart, thin, ticks

finite = st.floats(-1e6, 1e6)


def classes(drawn: str, name: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(drawn).iter() if element.get("class") == name]


@given(finite, finite, st.integers(1, 9))
def test_ticks_are_few_evenly_spaced_and_span_the_data(one: float, other: float, wanted: int) -> None:
    low, high = sorted((one, other))
    marks = ticks(low, high, wanted)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
    assert 2 <= len(marks) <= wanted + 3
    gaps = [after - before for before, after in pairwise(marks)]
    assert max(gaps) - min(gaps) < slack


@given(st.lists(finite, max_size=700))
def test_thinning_keeps_the_mean_and_the_limit(losses: list[float]) -> None:
    points = tuple(Point(step, loss) for step, loss in enumerate(losses))
    kept, size = thin(points, 50)
    assert len(kept) <= 50
    if losses:
        full = kept[:-1] if len(losses) % size else kept
        assert abs(sum(point.loss_nats * size for point in full) - sum(losses[: len(full) * size])) < 1.0


def test_the_curve_shows_training_validation_and_rate() -> None:
    training = tuple(Point(step, 3 - step / 50, 1e-3) for step in range(1, 101))
    drawn = loss_chart(Curve(training, (Point(50, 2.2), Point(100, 1.4))), 640.0)
    assert len(classes(drawn, "dot")) == 2
    assert len(classes(drawn, "pointer")) == 100
    assert len(classes(drawn, "rate")) == 1
    titles = [title.text for title in ET.fromstring(drawn).iter("title")]
    assert "step 50: 2.00 nats, learning rate 0.001" in titles
    assert "validation at step 100: 1.40 nats" in titles
    label = ET.fromstring(drawn).get("aria-label") or ""
    assert "training loss from 2.98 at step 1 to 1.00 nats at step 100" in label


def test_a_higher_loss_is_drawn_higher() -> None:
    drawn = loss_chart(Curve((), (Point(1, 2.0), Point(2, 1.0))), 640.0)
    first, last = (float(dot.get("cy", "")) for dot in classes(drawn, "dot"))
    assert first < last


def test_a_log_of_one_step_and_a_flat_one_can_be_drawn() -> None:
    for points in ((Point(0, 0.5),), tuple(Point(step, 0.5) for step in range(9))):
        assert classes(loss_chart(Curve(points, ()), 327.0), "loss-mean")


def test_bars_start_at_zero_and_share_a_scale() -> None:
    drawn = bar_pair(2.0, 1.0, ((1.5, 2.5), None))
    (before,), (after,) = classes(drawn, "bar-before"), classes(drawn, "bar-after")
    assert float(before.get("x", "")) == float(after.get("x", "")) == 0
    assert abs(float(before.get("width", "")) / float(after.get("width", "")) - 2) < 0.01
    assert len(classes(drawn, "whisker")) == 3
    assert classes(bar_pair(None, 0.0, (None, None)), "bar-after")
