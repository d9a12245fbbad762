"""Sift: every record that came is kept, or set aside once, with the same reason in the ledger and beside it."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_slice import workdir
from set_aside import read_rejected

from burnish.artifacts import DatasetArtifact, Measurement
from burnish.data.engine import Local
from burnish.data.ledger import Verdict, at_least, at_most
from burnish.data.records import Planted, Record, read_kept, write_kept
from burnish.data.shards import read_tables
from burnish.data.sift import sift
from burnish.errors import RecipeError

RULES = ("too_low", "too_high", "copy")


@dataclass(frozen=True)
class Numbers:
    """Judge texts that are three numbers; the third is a similarity to the record `first`."""

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        table = [[np.nan if value is None else value for value in json.loads(t)] for t in rows["text"].to_pylist()]
        low, high, copy = np.array(table, np.float64).reshape(-1, 3).T
        partners = [None if np.isnan(value) else "first" for value in copy]
        return (
            at_least("too_low", low, 0.5),
            at_most("too_high", high, 0.5),
            Verdict("copy", copy, 0.5, copy >= 0.5, partners),
        )


def expected_rule(values: list[float | None]) -> str:
    low, high, copy = values
    if low is not None and low < 0.5:
        return "too_low"
    if high is not None and high > 0.5:
        return "too_high"
    return "copy" if copy is not None and copy >= 0.5 else ""


number = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
planted: list[Planted] = ["", "random", "exact_copy"]
row = st.tuples(st.lists(number, min_size=3, max_size=3), st.sampled_from(planted))


def sealed(folder: Path, records: Sequence[Record], num_shards: int) -> DatasetArtifact:
    out = workdir(folder)
    for shard in range(num_shards):
        write_kept(out, records[shard::num_shards], f"part-{shard}")
    return DatasetArtifact("d" * 12, "m.s", folder)


def all_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((folder / name).glob("*.parquet"))
        for row in pyarrow.parquet.read_table(path).to_pylist()
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(row, max_size=30), st.integers(1, 4), st.integers(1, 300))
def test_nothing_is_lost_and_each_removal_has_one_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drawn: list[tuple[list[float | None], Planted]],
    num_shards: int,
    table_bytes: int,
) -> None:
    monkeypatch.setitem(read_tables.__kwdefaults__ or {}, "max_bytes", table_bytes)  # many tables a shard
    folder = Path(tempfile.mkdtemp(dir=tmp_path))  # snapshots of one example are not for the next
    drawn = [*drawn, ([None, None, None], "")]  # one that stays
    records = [Record(f"r:{n}", json.dumps(values), None, "t", kind) for n, (values, kind) in enumerate(drawn)]
    came = sealed(folder / "in", records, num_shards)
    out = workdir(folder / "out")
    evidence = {m.name: m for m in sift(out, came, Numbers(), rules=RULES, step="numbers", engine=Local(1))}
    after = DatasetArtifact("e" * 12, "m.s", out.root)
    rules = {record.id: expected_rule(json.loads(record.text)) for record in records}
    assert [r.id for r in read_kept(after)] == [r.id for r in read_kept(came) if not rules[r.id]]
    assert {r.id: reason.rule for r, reason in read_rejected(after)} == {
        name: rule for name, rule in rules.items() if rule
    }
    assert {r.id: r for r in [*read_kept(after), *(r for r, _ in read_rejected(after))]} == {r.id: r for r in records}
    ledger = all_rows(out.payload, "ledger")
    assert [(entry["step"], entry["kept"]) for entry in ledger] == [("numbers", False)] * len(ledger)
    columns = ("id", "rule", "value", "threshold", "partner_id", "similarity")
    assert [tuple(entry[name] for name in columns) for entry in ledger] == [
        (r.id, reason.rule, reason.value, reason.threshold, reason.partner_id, reason.similarity)
        for r, reason in read_rejected(after)
    ]
    measures = {entry.pop("id"): list(entry.values()) for entry in all_rows(out.payload, "measures")}
    assert measures == {record.id: json.loads(record.text) for record in records}
    check_evidence(evidence, records, rules)


def check_evidence(evidence: dict[str, Measurement], records: list[Record], rules: dict[str, str]) -> None:
    counts = Counter(rules.values())
    assert evidence["records_in"].value == len(records)
    assert evidence["records_kept"].value == counts[""] == round(evidence["kept_frac"].value * len(records))
    for rule in RULES:
        assert evidence[f"dropped_{rule}_records"].value == counts[rule]
    for kind in ("random", "exact_copy"):
        mine = [rules[record.id] for record in records if record.planted == kind]
        assert (f"planted_{kind}_set_aside_frac" in evidence) == bool(mine)
        if mine:
            found = evidence[f"planted_{kind}_set_aside_frac"]
            assert found.value == pytest.approx(sum(map(bool, mine)) / len(mine))
            assert found.n == len(mine)
    if any(record.planted for record in records):
        clean = [rules[record.id] for record in records if not record.planted]
        lost = sum(rule not in ("", "copy") for rule in clean)
        assert evidence["clean_lost_frac"].value == pytest.approx(lost / len(clean))


def test_losing_everything_stops_and_names_the_rule_that_took_most(tmp_path: Path) -> None:
    texts = ["[0, 0, 0]", "[null, 1, 0]", "[1, 1, 0]"]
    came = sealed(tmp_path / "in", [Record(f"r:{n}", text, None, "t") for n, text in enumerate(texts)], 2)
    with pytest.raises(
        RecipeError, match="all 3 records were dropped, 2 of them by too_high; check the bounds of numbers"
    ):
        sift(workdir(tmp_path / "out"), came, Numbers(), rules=RULES, step="numbers")


def test_a_shard_without_rows_stays_one_of_its_kind(tmp_path: Path) -> None:
    came = sealed(tmp_path / "in", [Record("only", "[1, 0, 0]", None, "t")], 3)
    out = workdir(tmp_path / "out")
    sift(out, came, Numbers(), rules=RULES, step="numbers")
    names = ["part-0.parquet", "part-1.parquet", "part-2.parquet"]
    for folder in ("data", "rejected", "ledger"):
        assert sorted(path.name for path in (out.payload / folder).iterdir()) == names
    assert [r.id for r in read_kept(DatasetArtifact("e" * 12, "m.s", out.root))] == ["only"]
    assert all_rows(out.payload, "rejected") == []


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    records = [Record(f"r:{n}", json.dumps([n % 3 / 2, n % 5 / 5, n % 7 / 9]), None, "t", "") for n in range(300)]
    came = sealed(tmp_path / "in", records, 4)
    found = []
    for workers in (1, 2):
        out = workdir(tmp_path / f"out{workers}")
        evidence = sift(out, came, Numbers(), rules=RULES, step="numbers", engine=Local(workers))
        files = sorted(path for path in out.payload.rglob("*") if path.is_file())
        found.append((evidence, {str(path.relative_to(out.payload)): path.read_bytes() for path in files}))
    assert found[0] == found[1]
    assert len(found[0][1]) == 16
