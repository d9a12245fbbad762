"""Ledger: the first rule broken is the reason, what is not measured passes, and every column is where it belongs."""

import math

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.ledger import Verdict, at_least, at_most, first_failures, measures_table, reasons

readings = st.one_of(st.none(), st.floats(-5, 5))


@st.composite
def judged(draw: st.DrawFn) -> list[Verdict]:
    """Draw the verdicts of some rules on some rows."""
    num_rows = draw(st.integers(0, 8))
    verdicts = []
    for place in range(draw(st.integers(0, 4))):
        drawn = draw(st.lists(readings, min_size=num_rows, max_size=num_rows))
        values = np.array([math.nan if value is None else value for value in drawn], np.float64)
        bound = draw(st.floats(-5, 5))
        verdict = draw(st.sampled_from([at_least, at_most]))(f"rule_{place}", values, bound)
        if draw(st.booleans()):
            verdict = Verdict(verdict.rule, values, bound, verdict.fails, [f"p{row}" for row in range(num_rows)])
        verdicts.append(verdict)
    return verdicts


@settings(deadline=None)
@given(judged())
def test_each_failed_row_has_the_reason_of_its_first_failure(verdicts: list[Verdict]) -> None:
    num_rows = len(verdicts[0].values) if verdicts else 3
    expected = []
    for row in range(num_rows):
        failed = [verdict for verdict in verdicts if verdict.fails[row]]
        if failed:
            reason, value = failed[0], float(failed[0].values[row])
            is_copy = reason.partner_ids is not None
            partner, similarity = (f"p{row}", value) if is_copy else (None, None)
            expected.append((reason.rule, value, reason.threshold, partner, similarity))
    first = first_failures(verdicts, num_rows)
    assert (first >= 0).sum() == len(expected)
    found = reasons(verdicts, first)
    assert list(found) == ["rule", "value", "threshold", "partner_id", "similarity"]
    assert list(zip(*(column.to_pylist() for column in found.values()), strict=True)) == expected


def test_bounds_are_inclusive_and_nothing_measured_breaks_none() -> None:
    values = np.array([1.0, 2.0, 3.0, math.nan])
    assert at_least("r", values, 2.0).fails.tolist() == [True, False, False, False]
    assert at_most("r", values, 2.0).fails.tolist() == [False, False, True, False]


def test_measures_lie_side_by_side_null_where_a_rule_does_not_apply() -> None:
    verdicts = [at_least("a", np.array([1.5, math.nan]), 0), at_most("b", np.array([math.nan, 0.1]), 0)]
    rows = measures_table(pyarrow.array(["x", "y"]), verdicts).to_pylist()
    assert rows == [{"id": "x", "a": 1.5, "b": None}, {"id": "y", "a": None, "b": pytest.approx(0.1)}]
