"""Copy plan: what is written of a shard is what its tables are judged by, wherever they are cut."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.artifacts import DatasetArtifact
from burnish.data.duplicates.copy_plan import Removals, _write, copy_verdicts, read_plan
from burnish.data.duplicates.resolve import Removal

REMOVALS = st.dictionaries(
    st.integers(0, 39), st.tuples(st.text(max_size=3), st.floats(0.5, 1), st.booleans()), max_size=40
)


@settings(deadline=None)
@given(REMOVALS, st.lists(st.integers(1, 15), max_size=6))
def test_each_row_is_judged_once_and_by_its_own_removal(
    removals: dict[int, tuple[str, float, bool]], sizes: list[int]
) -> None:
    rows = sorted(removals)
    plan = Removals(
        np.array(rows, np.int64),
        [removals[row][0] for row in rows],
        np.array([removals[row][1] for row in rows], np.float64),
        np.array([removals[row][2] for row in rows], np.bool_),
    )
    start, found = 0, {}
    for size in (*sizes, 40):
        exact, near = copy_verdicts(plan, start, size, 0.5)
        assert (exact.rule, exact.threshold, near.rule, near.threshold) == ("exact_copy", 1.0, "near_copy", 0.5)
        for verdict, is_exact in ((exact, True), (near, False)):
            assert verdict.partner_ids is not None
            assert (verdict.fails == ~np.isnan(verdict.values)).all()
            for row in np.flatnonzero(verdict.fails).tolist():
                assert start + row not in found
                found[start + row] = (verdict.partner_ids[row], verdict.values[row], is_exact)
            assert [p for p, fails in zip(verdict.partner_ids, verdict.fails, strict=True) if not fails] == [
                None
            ] * int((~verdict.fails).sum())
        start += size
    assert found == removals


def test_rows_of_the_dataset_become_rows_of_their_shard(tmp_path: Path) -> None:
    (tmp_path / "payload/data").mkdir(parents=True)
    for name in ("part-0", "part-1", "part-2"):
        (tmp_path / f"payload/data/{name}.parquet").touch()
    removed = {
        9: Removal(0, 0.8, is_exact=False),
        4: Removal(0, 1.0, is_exact=True),
        3: Removal(9, 0.9, is_exact=False),
    }
    ids = {0: "a", 9: "鱼"}
    _write(tmp_path / "plan", DatasetArtifact("d", "s", tmp_path), [0, 4, 4], removed, ids)
    plans = [read_plan(tmp_path / "plan", tmp_path / f"payload/data/part-{number}.parquet") for number in range(3)]
    assert [plan.rows.tolist() for plan in plans] == [[3], [], [0, 5]]  # the second shard is empty
    assert [list(plan.partners) for plan in plans] == [["鱼"], [], ["a", "a"]]
    assert [plan.similarities.tolist() for plan in plans] == [[0.9], [], [1.0, 0.8]]
    assert [plan.are_exact.tolist() for plan in plans] == [[False], [], [True, False]]
    assert json.loads((tmp_path / "plan/part-1.json").read_text(encoding="utf-8")) == []
