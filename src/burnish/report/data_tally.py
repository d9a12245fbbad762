"""The tally: how many records and bytes lie where on the way, by source, length and language; counted, not estimated.

Texts are read in small tables and only measured. What a sieve kept is what came less what it set aside, so that a
corpus is read once where it was collected and once where it was cleaned, and not again for every stage.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.shards import kept_schema, num_rows, read_tables
from burnish.report.data_stages import Role, Stage
from burnish.runtime import Workdir, need

BINS_PER_DECADE = 6
_MAX_POWER = 10  # a text of 10^10 characters is longer than Parquet holds
LENGTH_EDGES = np.concatenate([[0.0], 10.0 ** (np.arange(_MAX_POWER * BINS_PER_DECADE + 1) / BINS_PER_DECADE)])
UNKNOWN = "not measured"


@dataclass
class Tally:
    """Hold counts over some records.

    Attributes:
        lengths: records by number of characters, in bins between `LENGTH_EDGES`.
    """

    num_records: int = 0
    num_bytes: int = 0
    source_records: Counter[str] = field(default_factory=Counter)
    source_bytes: Counter[str] = field(default_factory=Counter)
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(LENGTH_EDGES) - 1, np.int64))

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(
            self.num_records - other.num_records,
            self.num_bytes - other.num_bytes,
            self.source_records - other.source_records,
            self.source_bytes - other.source_bytes,
            self.lengths - other.lengths,
        )


def tally_stages(out: Workdir, stages: Iterable[Stage]) -> dict[str, Tally]:
    """Count what each stage handed on, by its digest."""
    tallies: dict[str, Tally] = {}
    holders = [stage for stage in stages if stage.role is not Role.PAIRS]
    total = sum(num_rows(path) for stage in holders for path in stage.shards(_folder(stage)))
    with out.progress("count", total=total, unit="records") as bar:
        for stage in holders:
            read = scan(stage.shards(_folder(stage)), bar.advance)
            before = None if stage.before is None else tallies[stage.before.artifact.digest]
            if stage.role is Role.SIEVE and before is not None:
                read = before - read
                if read.num_records != stage.num_kept:  # the shards are what is true, whatever the stage says of them
                    read = scan(stage.shards("data"), lambda _: None)
            tallies[stage.artifact.digest] = read
    return tallies


def scan(paths: Iterable[Path], advance: Callable[[float], None]) -> Tally:
    """Count the records of some shards, reading `text` and `source` in tables of bounded size."""
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    schema = arrow.schema([kept_schema().field(name) for name in ("text", "source")])
    tally = Tally()
    for path in paths:
        for rows in read_tables(path, schema=schema):
            sizes = compute.binary_length(rows.column("text"))
            chars = np.asarray(compute.utf8_length(rows.column("text")).to_numpy(), np.int64)
            tally.lengths += np.histogram(chars, LENGTH_EDGES)[0]
            tally.num_records += rows.num_rows
            tally.num_bytes += compute.sum(sizes).as_py() or 0
            _add_sources(tally, rows.column("source"), sizes)
            advance(rows.num_rows)
    return tally


@dataclass(frozen=True)
class Languages:
    """Hold records by language.

    Attributes:
        before: of all records that were measured, by code.
        after: of those that reached the end; `UNKNOWN` for records that were added after languages were measured.
        removed: by stage digest and rule, those that were set aside.
        order: digests of the stages that remove records, after the one that measured.
    """

    before: Counter[str]
    after: Counter[str]
    removed: dict[tuple[str, str], Counter[str]]
    order: tuple[str, ...]

    def came_to(self, digest: str) -> Counter[str]:
        """Count what came to a stage: all that no stage before it removed."""
        if digest not in self.order:
            return Counter()  # it removes nothing, or nothing was measured before it
        earlier = self.order[: self.order.index(digest)]
        gone = (counts for (stage, _), counts in self.removed.items() if stage in earlier)
        return self.before - sum(gone, Counter[str]())


def tally_languages(stages: tuple[Stage, ...], num_after: int) -> Languages | None:
    """Count languages as the cleaning measured them; None where no stage did.

    The measures and what was set aside have a shard each a shard, so that ids of one shard at a time are in memory;
    after a split all ids that were set aside are.

    Args:
        num_after: records at the end of the way.
    """
    polars = need("polars", extra="data")
    measured = next((stage for stage in stages if _has_languages(stage)), None)
    if measured is None:
        return None
    later = [stage for stage in stages[stages.index(measured) + 1 :] if stage.removes]
    found = Languages(Counter(), Counter(), {}, tuple(stage.artifact.digest for stage in later))
    names = {path.name for path in measured.shards("measures")}
    for path in measured.shards("measures"):
        known = polars.read_parquet(path, columns=["id", "language"])
        found.before.update(_counts(known.get_column("language")))
        for stage in later:
            if (aside := stage.shard("rejected", path.name)) is not None:
                _count_removed(found, stage, polars.read_parquet(aside, columns=["id", "rule"]).join(known, on="id"))
    for stage in later:
        if others := [path for path in stage.shards("rejected") if path.name not in names]:  # after a split
            aside = polars.scan_parquet(others, glob=False).select("id", "rule")
            everywhere = polars.scan_parquet(measured.shards("measures"), glob=False).select("id", "language")
            _count_removed(found, stage, aside.join(everywhere, on="id").collect(engine="streaming"))
    found.after.update(found.before - sum(found.removed.values(), Counter[str]()))
    num_unknown = num_after - found.after.total()
    if num_unknown > 0:
        found.after[UNKNOWN] += num_unknown
    return found


def _count_removed(found: Languages, stage: Stage, aside: Any) -> None:
    for rule, language, num in aside.group_by("rule", "language").len().rows():
        found.removed.setdefault((stage.artifact.digest, rule), Counter())[language or UNKNOWN] += num


def _has_languages(stage: Stage) -> bool:
    parquet = need("pyarrow.parquet", extra="data")
    paths = stage.shards("measures")
    return bool(paths) and "language" in (schema := parquet.read_schema(paths[0])).names and _is_text(schema)


def _is_text(schema: Any) -> bool:
    arrow = need("pyarrow", extra="data")
    kind = schema.field("language").type  # `select` has a rule of that name, whose measure is a number
    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _counts(column: Any) -> Counter[str]:
    return Counter({value or UNKNOWN: num for value, num in column.value_counts().rows()})


def _folder(stage: Stage) -> str:
    return "rejected" if stage.role is Role.SIEVE else "data"


def _add_sources(tally: Tally, sources: Any, sizes: Any) -> None:
    arrow = need("pyarrow", extra="data")
    table = arrow.table({"source": sources, "bytes": sizes})
    for row in table.group_by("source").aggregate([("bytes", "sum"), ("bytes", "count")]).to_pylist():
        tally.source_records[row["source"]] += row["bytes_count"]
        tally.source_bytes[row["source"]] += row["bytes_sum"]
