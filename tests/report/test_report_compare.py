from pathlib import Path

import pytest
from sealed_chain import Chain, number, spread

from burnish.artifacts import Measurement
from burnish.report.compare import METRICS, Metric, Row, Verdict, compare

ACCURACY = next(metric for metric in METRICS if metric.name == "accuracy_frac")
SIZE = next(metric for metric in METRICS if metric.name == "size_bytes")


def row(metric: Metric, before: Measurement | None, after: Measurement | None) -> Row:
    return Row(metric, before, after)


def exact(value: float) -> Measurement:
    return number("size_bytes", value, "bytes")


def around(value: float, half: float) -> Measurement:
    return spread("accuracy_frac", value, half, "1", 100, "")


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (row(ACCURACY, around(0.5, 0.04), around(0.9, 0.03)), Verdict.BETTER),
        (row(ACCURACY, around(0.9, 0.03), around(0.5, 0.04)), Verdict.WORSE),
        (row(ACCURACY, around(0.50, 0.04), around(0.55, 0.04)), Verdict.NOISE),
        (row(SIZE, exact(10), exact(5)), Verdict.BETTER),
        (row(SIZE, exact(5), exact(10)), Verdict.WORSE),
        (row(SIZE, exact(5), exact(5)), Verdict.SAME),
        (row(SIZE, exact(5), spread("size_bytes", 6, 2, "bytes", 9, "")), Verdict.NOISE),
        (row(SIZE, exact(5), None), Verdict.ONE_SIDED),
    ],
)
def test_a_row_is_judged_by_its_intervals_and_its_direction(made: Row, verdict: Verdict) -> None:
    assert made.verdict is verdict
    better = {Verdict.BETTER: True, Verdict.WORSE: False}.get(verdict)
    assert made.as_json()["is_better"] is better


def test_a_side_that_was_not_measured_is_shown_as_a_dash_and_makes_no_claim() -> None:
    one_sided = row(SIZE, None, exact(5))
    assert one_sided.shown(one_sided.before) == "–"
    assert one_sided.change == ""
    assert one_sided.as_json()["change"] is None
    assert one_sided.as_json()["before"] is None


def test_cost_follows_from_price_and_throughput_and_its_interval_is_turned_round(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    slow = chain.seal("slow", "a.b", "report", (spread("throughput_tokens_per_s", 50, 10, "tokens/s", 9, ""),))
    fast = chain.seal("fast", "a.c", "report", (number("throughput_tokens_per_s", 200, "tokens/s"),))
    cost = compare((slow,), (fast,), price_per_hour=0.36, currency="EUR")[-1]
    assert cost.metric.unit == "EUR"
    assert cost.before is not None
    assert cost.before.value == pytest.approx(0.36 / (50 * 3600) * 1e6)
    assert (cost.before.low, cost.before.high) == pytest.approx((0.36 / (60 * 3600) * 1e6, 0.36 / (40 * 3600) * 1e6))
    assert cost.after is not None
    assert cost.after.value == pytest.approx(0.5)
    assert (cost.after.low, cost.after.high) == (None, None)
    assert cost.verdict is Verdict.BETTER


def test_only_what_was_measured_becomes_a_row(tmp_path: Path) -> None:
    sized = Chain(tmp_path).seal("sized", "a.b", "model", (exact(7),))
    rows = compare((None, sized), (None, None), price_per_hour=1.0, currency="USD")
    assert [made.metric.name for made in rows] == ["size_bytes"]
    assert compare((None,), (None,), price_per_hour=1.0, currency="USD") == ()
