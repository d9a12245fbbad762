"""Ledger: one row for every decision about a record, so that each removal can be explained and re-decided.

`payload/ledger/*.parquet` has a row for each record that a step removed or changed: the rule, what it measured, the
bound, and of a copy its partner. `payload/measures/*.parquet` has a row for *every* record that came, with what each
rule measured: with both, other bounds can be tried without reading a text again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.runtime import need

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """Hold one rule's reading of N records.

    Attributes:
        rule: snake case.
        values: (N,) what the rule measured; NaN where it does not apply.
        threshold: the bound.
        fails: (N,) where the value broke the bound.
        partner_ids: (N,) of copies, the record that each repeats; the value is then the similarity.
    """

    rule: str
    values: FloatArray
    threshold: float
    fails: BoolArray
    partner_ids: Sequence[str | None] | None = None


def at_least(rule: str, values: FloatArray, threshold: float) -> Verdict:
    """Judge by a lower bound; what is not measured passes."""
    return Verdict(rule, values, threshold, values < threshold)


def at_most(rule: str, values: FloatArray, threshold: float) -> Verdict:
    """Judge by an upper bound; what is not measured passes."""
    return Verdict(rule, values, threshold, values > threshold)


def ledger_schema() -> Any:
    """Give the columns of the ledger."""
    arrow = need("pyarrow", extra="data")
    return arrow.schema(
        [
            arrow.field("id", arrow.string(), nullable=False),
            arrow.field("step", arrow.string(), nullable=False),
            arrow.field("rule", arrow.string(), nullable=False),
            arrow.field("value", arrow.float64()),
            arrow.field("threshold", arrow.float64()),
            arrow.field("partner_id", arrow.string()),
            arrow.field("similarity", arrow.float64()),
            arrow.field("kept", arrow.bool_(), nullable=False),
        ]
    )


def first_failures(verdicts: Sequence[Verdict], num_rows: int) -> NDArray[np.int64]:
    """Give the index of the first verdict that each row failed, -1 where it failed none."""
    first = np.full(num_rows, -1, np.int64)
    for index in range(len(verdicts) - 1, -1, -1):
        first[verdicts[index].fails] = index
    return first


def reasons(verdicts: Sequence[Verdict], first: NDArray[np.int64]) -> dict[str, Any]:
    """Give the reason columns (`rule` … `similarity`) of the rows that failed, in order."""
    arrow = need("pyarrow", extra="data")
    rows = np.flatnonzero(first >= 0)
    of = first[rows]
    names = arrow.array([verdict.rule for verdict in verdicts], arrow.string())
    values = np.full(len(rows), np.nan)
    similarities = np.full(len(rows), np.nan)
    partners = np.full(len(rows), None, object)
    for index, verdict in enumerate(verdicts):
        mine = np.flatnonzero(of == index)
        values[mine] = verdict.values[rows[mine]]
        if verdict.partner_ids is not None:
            similarities[mine] = values[mine]
            partners[mine] = [verdict.partner_ids[row] for row in rows[mine]]
    thresholds = np.array([verdict.threshold for verdict in verdicts], np.float64)[of]
    return {
        "rule": names.take(arrow.array(of)),
        "value": arrow.array(values, from_pandas=True),
        "threshold": arrow.array(thresholds, from_pandas=True),
        "partner_id": arrow.array(partners, arrow.string()),
        "similarity": arrow.array(similarities, from_pandas=True),
    }


def measures_table(ids: Any, verdicts: Sequence[Verdict]) -> Any:
    """Lay the values of all rules side by side: `id`, and a column a rule; null where a rule does not apply."""
    arrow = need("pyarrow", extra="data")
    columns = {verdict.rule: arrow.array(verdict.values.astype(np.float32), from_pandas=True) for verdict in verdicts}
    return arrow.table({"id": ids, **columns})
