"""Copy plan: which copies go, worked out over the whole dataset, written a file a shard for those who remove them."""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.data.duplicates.resolve import Copies, Rank, Removal, resolve
from burnish.data.function_words import LANGUAGES
from burnish.data.ledger import FloatArray, Verdict
from burnish.data.rules import KNOWS_FUNCTION_WORDS, Columns
from burnish.data.shards import shard_paths
from burnish.errors import RecipeError
from burnish.runtime import need

_NUM_DECIMALS = 6


@dataclass(frozen=True)
class Removals:
    """Hold the K copies that go from one shard.

    Attributes:
        rows: (K,) in the shard, ascending.
        partners: (K,) ids of the records that stay in their place.
        similarities: (K,) to the partner.
        are_exact: (K,) of exact copies; the others are near ones.
    """

    rows: NDArray[np.int64]
    partners: Sequence[str]
    similarities: FloatArray
    are_exact: NDArray[np.bool_]


def refuse_nearer(found: DatasetArtifact, min_similarity: float) -> None:
    """Refuse a similarity below what `find_copies` recorded.

    Raises:
        RecipeError: pairs that are asked for were not looked for.
    """
    looked = float(json.loads((found.payload / "pairs/looked.json").read_text(encoding="utf-8"))["min_similarity"])
    if min_similarity < looked:
        raise RecipeError(
            f"select.copies.min_similarity is {min_similarity}; copies were looked for down to {looked}. "
            f"Lower find_copies.min_similarity too"
        )


def write_plan(
    folder: Path,
    cleaned: DatasetArtifact,
    copies: Copies,
    min_similarity: float,
    is_good: Callable[[Any], NDArray[np.bool_]],
) -> None:
    """Resolve the copies among the records that are good enough, and write what goes, a JSON file a shard.

    Args:
        is_good: tells of a table of measures which rows break no rule.
    """
    ranks: dict[int, Rank] = {}
    rows = copies.rows()
    starts = []
    start = 0
    for path in shard_paths(cleaned):
        measures = need("pyarrow.parquet", extra="data").read_table(cleaned.payload / "measures" / path.name)
        starts.append(start)
        low, high = np.searchsorted(rows, [start, start + measures.num_rows])
        places = rows[low:high] - start
        mine = measures.take(places)
        good = is_good(mine)
        columns = (mine.column(name).to_pylist() for name in ("replacement_frac", "num_chars", "id"))
        for row, fine, (damage, num_chars, identity) in zip(
            rows[low:high].tolist(), good, zip(*columns, strict=True), strict=True
        ):
            if fine:
                ranks[row] = (damage, -num_chars, identity)
        start += measures.num_rows
    removed = resolve(copies, ranks, min_similarity)
    _write(folder, cleaned, starts, removed, {row: rank[2] for row, rank in ranks.items()})


def _write(
    folder: Path, cleaned: DatasetArtifact, starts: list[int], removed: Mapping[int, Removal], ids: Mapping[int, str]
) -> None:
    folder.mkdir(exist_ok=True)
    plans: list[list[tuple[int, str, float, bool]]] = [[] for _ in starts]
    for row in sorted(removed):
        shard = bisect_right(starts, row) - 1
        removal = removed[row]
        plans[shard].append((row - starts[shard], ids[removal.partner], removal.similarity, removal.is_exact))
    for path, plan in zip(shard_paths(cleaned), plans, strict=True):
        (folder / f"{path.stem}.json").write_text(json.dumps(plan), encoding="utf-8")


def read_plan(folder: Path, shard: Path) -> Removals:
    """Read what goes from one shard."""
    plan = json.loads((folder / f"{shard.stem}.json").read_text(encoding="utf-8"))
    rows, partners, similarities, are_exact = zip(*plan, strict=True) if plan else ((), (), (), ())
    return Removals(
        np.array(rows, np.int64), partners, np.array(similarities, np.float64), np.array(are_exact, np.bool_)
    )


def copy_verdicts(removals: Removals, start: int, num_rows: int, min_similarity: float) -> list[Verdict]:
    """Judge the rows `start` to `start + num_rows` of a shard."""
    low, high = np.searchsorted(removals.rows, [start, start + num_rows])
    are_exact, verdicts = removals.are_exact[low:high], []
    for rule, threshold, mine in (("exact_copy", 1.0, are_exact), ("near_copy", min_similarity, ~are_exact)):
        values: FloatArray = np.full(num_rows, np.nan)
        partners: list[str | None] = [None] * num_rows
        for place in (low + np.flatnonzero(mine)).tolist():
            row = int(removals.rows[place]) - start
            values[row], partners[row] = removals.similarities[place], removals.partners[place]
        verdicts.append(Verdict(rule, values, threshold, ~np.isnan(values), partners))
    return verdicts


def columns_of(measures: Any) -> Columns:
    """Give the columns of a table of measures as arrays of float64.

    They are rounded to the digits that float32 holds, so that a share of 0.3 is not above a bound of 0.3.
    """

    def column(name: str) -> FloatArray:
        if name == KNOWS_FUNCTION_WORDS:
            return np.isin(measures.column("language").to_numpy(), LANGUAGES).astype(np.float64)
        values: FloatArray = np.asarray(measures.column(name).to_numpy(), np.float64).round(_NUM_DECIMALS)
        return values

    return column
