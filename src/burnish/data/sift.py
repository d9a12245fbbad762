"""Sift: the one driver of every stage that keeps some records and sets others aside."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from burnish.artifacts import DatasetArtifact, Measurement, counted
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import num_records
from burnish.data.ledger import Verdict, first_failures, ledger_schema, measures_table, reasons
from burnish.data.shards import ShardWriter, kept_schema, read_tables, rejected_schema, shard_paths
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need


class Judge(Protocol):
    """Reads a table of records and gives one verdict a rule, in the order in which rules are asked; picklable."""

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        """Judge the rows of a `pyarrow.Table` with the columns of a kept record."""


def sift(
    out: Workdir,
    records: DatasetArtifact,
    judge: Judge,
    *,
    rules: Sequence[str],
    step: str,
    engine: Engine = Local(),  # noqa: B008 - a frozen value
) -> tuple[Measurement, ...]:
    """Keep the rows that fail no verdict; write `data/`, `rejected/`, `ledger/` and `measures/`, a shard of each a shard.

    Args:
        rules: every rule that the judge may name, so that one which removed nothing is counted as zero.
        step: name of the step, in the ledger and on the progress bar.

    Raises:
        RecipeError: no record is left.
    """
    return collect_sifted(
        out, run_shards(out, shard_paths(records), _Sifting(judge, step), step=step, engine=engine), rules, step
    )


def collect_sifted(
    out: Workdir, done: Iterable[tuple[Path, Path]], rules: Sequence[str], step: str
) -> tuple[Measurement, ...]:
    """Move the folders that `sift_tables` filled to their places, and add up what it counted.

    Args:
        done: each shard with its folder.

    Raises:
        RecipeError: no record is left.
    """
    counts = Counter[str]()
    for shard, folder in done:
        counts.update(json.loads((folder / "counts.json").read_text(encoding="utf-8")))
        for path in folder.glob("*.parquet"):
            path.rename(out / f"{path.stem}/{shard.name}")
    of, kept = counts[""], counts["kept"]
    if kept == 0:
        most, rule = max(((counts[rule], rule) for rule in rules), default=(0, "no rule"))
        raise RecipeError(f"all {of} records were dropped, {most} of them by {rule}; check the bounds of {step}")
    how = "first rule broken, in order"
    return (
        num_records("records_in", of, of=of, how="count"),
        num_records("records_kept", kept, of=of, how="count"),
        counted("kept_frac", kept, of=of, how="records kept of those that came"),
        *(num_records(f"dropped_{rule}_records", counts[rule], of=of, how=how) for rule in rules),
        *_measure_planted(counts),
    )


def sift_tables(
    judged: Iterable[tuple[Any, Sequence[Verdict]]], folder: Path, step: str, advance: Callable[[float], None]
) -> None:
    """Write one shard's tables, each with its verdicts, to `data`, `rejected`, `ledger` and `measures` in `folder`."""
    counts = Counter[str]()
    with (
        ShardWriter(folder / "data.parquet", kept_schema()) as kept,
        ShardWriter(folder / "rejected.parquet", rejected_schema()) as aside,
        ShardWriter(folder / "ledger.parquet", ledger_schema()) as ledger,
        ExitStack() as stack,
    ):
        measures: ShardWriter | None = None
        for rows, verdicts in judged:
            first = first_failures(verdicts, rows.num_rows)
            stays = rows.filter(first < 0)
            kept.write(stays)
            aside.write(set_aside(rows, verdicts, first))
            ledger.write(removals(rows, verdicts, first, step))
            values = measures_table(rows.column("id"), verdicts)
            if measures is None:
                measures = stack.enter_context(ShardWriter(folder / "measures.parquet", values.schema))
            measures.write(values)
            counts.update({"": rows.num_rows, "kept": stays.num_rows})
            counts.update(verdicts[index].rule for index in first[first >= 0])
            counts.update(_count_planted(rows, stays, verdicts, first))
            advance(rows.num_rows)
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


@dataclass(frozen=True)
class _Sifting:
    judge: Judge
    step: str

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        judged = ((rows, self.judge(rows)) for rows in read_tables(shard))
        sift_tables(judged, folder, self.step, advance)


def _count_planted(rows: Any, stays: Any, verdicts: Sequence[Verdict], first: Any) -> Counter[str]:
    """Count rows by what was planted in them, and those not planted that a rule took, copies apart."""
    compute = need("pyarrow.compute", extra="data")
    counts = Counter[str]()
    for when, table in (("in", rows), ("kept", stays)):
        for each in compute.value_counts(table.column("planted")).to_pylist():
            counts[f"planted:{each['values']}:{when}"] = each["counts"]
    is_lost = np.isin(first, [index for index, verdict in enumerate(verdicts) if verdict.partner_ids is None])
    counts["planted::lost"] = compute.sum(compute.equal(rows.column("planted").filter(is_lost), "")).as_py() or 0
    return counts


def _measure_planted(counts: Counter[str]) -> Iterator[Measurement]:
    """Measure what was set aside here of each kind of planted fault, and of rows that are none."""
    kinds = sorted({name.split(":")[1] for name in counts if name.startswith("planted:")} - {""})
    for kind in kinds:
        came = counts[f"planted:{kind}:in"]
        how = f"rows planted as {kind} that came to this stage and were set aside"
        yield counted(f"planted_{kind}_set_aside_frac", came - counts[f"planted:{kind}:kept"], of=came, how=how)
    if kinds and counts["planted::in"]:
        how = "rows not planted that a rule set aside, copies apart"
        yield counted("clean_lost_frac", counts["planted::lost"], of=counts["planted::in"], how=how)


def set_aside(rows: Any, verdicts: Sequence[Verdict], first: Any) -> Any:
    """Give the rows that failed, each with the reason of its first failure."""
    failed = rows.filter(first >= 0)
    for name, column in reasons(verdicts, first).items():
        failed = failed.append_column(name, column)
    return failed


def removals(rows: Any, verdicts: Sequence[Verdict], first: Any, step: str) -> Any:
    """Give the ledger's rows of those that failed."""
    arrow = need("pyarrow", extra="data")
    count = int(np.count_nonzero(first >= 0))
    return arrow.table(
        {
            "id": rows.column("id").filter(first >= 0),
            "step": arrow.repeat(step, count),
            **reasons(verdicts, first),
            "kept": arrow.repeat(False, count),
        }
    )
