"""Fetch: a few records by id out of a dataset of any size, and a fair draw of which to look at.

Ids are read a row group at a time, texts only of row groups that hold a wanted id; so memory is bounded by one row
group, whatever the size of the dataset.
"""

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.report.data_stages import Stage
from burnish.runtime import need

Row = dict[str, Any]
_COLUMNS = ("id", "rule", "value", "threshold", "partner_id", "similarity")


@dataclass(frozen=True)
class Drawn:
    """Hold one decision that was drawn: its row of the ledger and the name of the shard."""

    shard: str
    row: Row


def draw(
    stage: Stage, num: int, *, seed: int, kept: bool, wanted: Callable[[str], bool] = lambda _: True
) -> dict[str, list[Drawn]]:
    """Draw up to `num` decisions of each rule by a hash of rule and id; neither order nor shards change which.

    Args:
        kept: draw from what was done to records that stayed, or from removals.
        wanted: of rules.
    """
    polars = need("polars", extra="data")
    heaps: dict[str, list[tuple[int, str, Drawn]]] = {}
    for path in stage.decision_shards():
        chosen = stage.decisions(path).filter(polars.col("kept") == kept).select(_COLUMNS).collect()
        for row in chosen.iter_rows(named=True):
            if not wanted(row["rule"]):
                continue
            heap = heaps.setdefault(row["rule"], [])
            entry = (-_hash(row, seed), row["id"], Drawn(path.name, row))
            if len(heap) < num:
                heapq.heappush(heap, entry)
            elif num and entry[:2] > heap[0][:2]:
                heapq.heapreplace(heap, entry)
    return {
        rule: [drawn for *_, drawn in sorted(heap, key=lambda e: (-e[0], e[1]))] for rule, heap in sorted(heaps.items())
    }


def fetch(paths: Iterable[Path], ids: Iterable[str], columns: Sequence[str]) -> dict[str, Row]:
    """Give the rows with some ids, read from the shards that hold them; an id that is nowhere is left out."""
    found: dict[str, Row] = {}
    missing = set(ids)
    for path in paths:
        if not missing:
            break
        for row in _rows_of(path, missing, columns):
            found[row["id"]] = row
        missing -= found.keys()
    return found


def _rows_of(path: Path, ids: set[str], columns: Sequence[str]) -> Iterator[Row]:
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    parquet = need("pyarrow.parquet", extra="data")
    wanted = arrow.array(sorted(ids), arrow.string())
    with parquet.ParquetFile(path) as file:
        names = ["id", *(name for name in columns if name in file.schema_arrow.names and name != "id")]
        for group in range(file.num_row_groups):
            here = compute.is_in(file.read_row_group(group, columns=["id"]).column("id"), value_set=wanted)
            if compute.any(here).as_py():
                yield from file.read_row_group(group, columns=names).filter(here).to_pylist()


def fetch_drawn(stage: Stage, folder: str, drawn: Iterable[Drawn], columns: Sequence[str]) -> dict[str, Row]:
    """Give the rows of drawn decisions from one folder of the stage: each from its own shard, where that is there."""
    by_shard: dict[str, set[str]] = {}
    for each in drawn:
        by_shard.setdefault(each.shard, set()).add(each.row["id"])
    found: dict[str, Row] = {}
    for name, ids in by_shard.items():
        path = stage.shard(folder, name)
        found |= fetch(stage.shards(folder) if path is None else [path], ids, columns)
    return found


def _hash(row: Row, seed: int) -> int:
    text = f"{seed}/{row['rule']}/{row['id']}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
