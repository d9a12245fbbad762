"""Regroup: carry out what a plan says of each record: set it aside, keep it, repeat it; and count the groups."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact, Measurement, counted
from burnish.data.engine import Engine, run_shards
from burnish.data.flow import num_records
from burnish.data.ledger import ledger_schema
from burnish.data.shards import ShardWriter, kept_schema, read_tables, rejected_schema, shard_paths
from burnish.data.weighing.groups import Ints, groups_of, is_held_out
from burnish.data.weighing.quotas import Floats, Plan
from burnish.runtime import Workdir, need

RULE = "undersampled"
_MAX_SHOWN = 20  # groups with evidence of their own; `groups.json` has all


@dataclass(frozen=True)
class Flow:
    """Hold how many of each group came and went out, held-out splits left aside.

    Attributes:
        most_repeats: how often one record went out at most.
    """

    before: Mapping[str | None, int]
    after: Mapping[str | None, int]
    most_repeats: int = 1


def imbalance(counts: Mapping[str | None, int]) -> float:
    """Give the size of the largest group over that of the smallest that is not empty."""
    sizes = [size for size in counts.values() if size]
    return max(sizes) / min(sizes)


def carry_out(
    out: Workdir,
    records: DatasetArtifact,
    plan: Plan,
    sizes: Mapping[str | None, int],
    *,
    step: str,
    engine: Engine,
) -> Flow:
    """Write `data/`, `rejected/` and `ledger/`, a shard of each a shard; held-out splits stay as they are.

    A copy follows its source and has its id with a suffix (`…+rep1`).

    Args:
        sizes: of each group that is to be counted, as it came.
    """
    after, most = Counter[str | None](), 1
    work = _Carrying(plan, step)
    for shard, folder in run_shards(out, shard_paths(records), work, step=step, engine=engine):
        found = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        after.update(dict(zip(found["groups"], found["after"], strict=True)))
        most = max(most, found["most"])
        for path in folder.glob("*.parquet"):
            path.rename(out / f"{path.stem}/{shard.name}")
    return Flow(sizes, {name: after[name] for name in sizes}, most)


def write_groups(out: Workdir, flow: Flow) -> None:
    """Write `groups.json`: each group's size before and after."""
    rows = [{"group": name, "before": size, "after": flow.after[name]} for name, size in flow.before.items()]
    (out / "groups.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def measure_groups(flow: Flow) -> Iterator[Measurement]:
    """Measure what came and went out, in all and by group, the largest groups first."""
    came, went = sum(flow.before.values()), sum(flow.after.values())
    yield num_records("records_in", came, of=came, how="count, held-out splits left aside")
    yield num_records("records_out", went, of=came, how="likewise, copies and made records included")
    for when, counts in (("before", flow.before), ("after", flow.after)):
        how = "records of the largest group over those of the smallest"
        yield Measurement(f"imbalance_ratio_{when}", imbalance(counts), "1", came, how=how)
    yield Measurement("most_repeats", float(flow.most_repeats), "1", came, how="how often one record goes out at most")
    for name in sorted(flow.before, key=lambda one: (-flow.before[one], str(one)))[:_MAX_SHOWN]:
        shown = "_".join((name or "unnamed").split())
        yield num_records(f"{shown}_records_before", flow.before[name], of=came, how="count")
        yield num_records(f"{shown}_records_after", flow.after[name], of=came, how="count, copies included")
        yield counted(f"{shown}_share_frac", flow.after[name], of=went, how="of all that go out")


@dataclass(frozen=True)
class _Carrying:
    plan: Plan
    step: str

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        after, most = Counter[str | None](), 1
        with (
            ShardWriter(folder / "data.parquet", kept_schema()) as kept,
            ShardWriter(folder / "rejected.parquet", rejected_schema()) as aside,
            ShardWriter(folder / "ledger.parquet", ledger_schema()) as ledger,
        ):
            for rows in read_tables(shard):
                advance(rows.num_rows)
                if is_held_out(shard):
                    kept.write(rows)
                    continue
                groups = groups_of(rows, self.plan.by)
                copies, values, thresholds = self.plan(groups, rows.column("id").to_pylist())
                removed = _removed(rows, copies == 0, values, thresholds, self.step)
                kept.write(repeated(rows, copies))
                aside.write(_set_aside(rows.filter(copies == 0), removed))
                ledger.write(removed)
                for group, count in zip(groups, copies.tolist(), strict=True):
                    after[group] += count
                most = max(most, int(copies.max(initial=1)))
        counts = {"groups": list(after), "after": list(after.values()), "most": most}
        (folder / "counts.json").write_text(json.dumps(counts, ensure_ascii=False), encoding="utf-8")


def repeated(rows: Any, copies: Ints) -> Any:
    """Give each row as often as asked, its copies behind it, with ids of their own; a copy is no planted fault."""
    arrow = need("pyarrow", extra="data")
    taken = np.repeat(np.arange(len(copies)), copies)
    number = np.arange(len(taken)) - (np.cumsum(copies) - copies)[taken]
    table = rows.take(arrow.array(taken))
    if not number.any():
        return table
    changed: dict[str, list[str]] = {"id": [], "planted": []}
    pairs = zip(table.column("id").to_pylist(), table.column("planted").to_pylist(), number.tolist(), strict=True)
    for identity, planted, repeat in pairs:
        changed["id"].append(f"{identity}+rep{repeat}" if repeat else identity)
        changed["planted"].append("" if repeat else planted)
    for name, values in changed.items():
        table = table.set_column(table.schema.get_field_index(name), name, arrow.array(values, arrow.string()))
    return table


def _removed(rows: Any, is_gone: NDArray[np.bool_], values: Floats, thresholds: Floats, step: str) -> Any:
    """Give the ledger's rows of those that go out no time at all."""
    arrow = need("pyarrow", extra="data")
    count = int(is_gone.sum())
    columns = {
        "id": rows.column("id").filter(is_gone),
        "step": arrow.repeat(step, count),
        "rule": arrow.repeat(RULE, count),
        "value": arrow.array(values[is_gone], from_pandas=True),
        "threshold": arrow.array(thresholds[is_gone], from_pandas=True),
        "partner_id": arrow.nulls(count, arrow.string()),
        "similarity": arrow.nulls(count, arrow.float64()),
        "kept": arrow.repeat(False, count),
    }
    return arrow.table(columns)


def _set_aside(rows: Any, removed: Any) -> Any:
    for name in ("rule", "value", "threshold", "partner_id", "similarity"):
        rows = rows.append_column(name, removed.column(name))
    return rows
