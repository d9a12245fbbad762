"""Sets of copies: each kept record with all that was set aside in its favour, how large the sets are, and the largest."""

from dataclasses import dataclass
from typing import Any

from burnish.report.data_fetch import fetch
from burnish.report.data_stages import Role, Stage
from burnish.report.data_text import Pieces, plain, visible
from burnish.runtime import need

_MAX_CHAIN = 16  # a copy's partner may be a copy of another; each look halves what is left, so this never ends a chain
_NUM_LARGEST = 5
_SNIPPET_CHARS = 300
_SIZE_BINS = ((2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, None))


@dataclass(frozen=True)
class CopySet:
    """Hold one set.

    Attributes:
        id: of the record that stayed.
        size: records, it among them.
        rules: how many went by which rule.
        least: similarity of the least alike.
    """

    id: str
    source: str
    size: int
    rules: tuple[tuple[str, int], ...]
    least: float
    text: Pieces

    @property
    def kinds(self) -> tuple[str, ...]:
        """Say how many went by which rule: `12 exact copies`."""
        named = ((rule.removesuffix("_copy").replace("_", " "), num) for rule, num in self.rules)
        return tuple(f"{num:,} {kind} {'copy' if num == 1 else 'copies'}" for kind, num in named)


@dataclass(frozen=True)
class Copies:
    """Hold all sets.

    Attributes:
        num_removed: copies that were set aside.
        sizes: words for a range of sizes, sets of such a size, and records in them.
    """

    num_sets: int
    num_removed: int
    sizes: tuple[tuple[str, int, int], ...]
    largest: tuple[CopySet, ...]


def read_copies(stages: tuple[Stage, ...]) -> Copies | None:
    """Read the sets from the removals that name a partner; None where there are none.

    Memory: two ids a copy.
    """
    polars = need("polars", extra="data")
    sieves = [stage for stage in stages if stage.role is Role.SIEVE and stage.decision_shards()]
    if not sieves:
        return None
    is_copy = ~polars.col("kept") & polars.col("partner_id").is_not_null()
    frames = [stage.decisions().filter(is_copy).select("id", "partner_id", "rule", "similarity") for stage in sieves]
    copies = _followed(polars.concat(frames).collect(engine="streaming"))
    if copies.height == 0:
        return None
    sets = copies.group_by("partner_id").agg((polars.len() + 1).alias("size"), polars.col("similarity").min())
    largest = sets.sort("size", "partner_id", descending=[True, False]).head(_NUM_LARGEST)
    return Copies(sets.height, copies.height, _sizes(sets), _largest(sieves, copies, largest))


def _followed(copies: Any) -> Any:
    """Replace a partner that is a copy itself by its own partner, until all partners stayed."""
    polars = need("polars", extra="data")
    for _ in range(_MAX_CHAIN):
        further = copies.select(partner_id="id", further="partner_id").unique("partner_id")
        copies = copies.join(further, on="partner_id", how="left", maintain_order="left")
        if copies.get_column("further").null_count() == copies.height:
            return copies.drop("further")
        copies = copies.with_columns(polars.coalesce("further", "partner_id").alias("partner_id")).drop("further")
    return copies


def _sizes(sets: Any) -> tuple[tuple[str, int, int], ...]:
    polars = need("polars", extra="data")
    found = []
    for low, high in _SIZE_BINS:
        within = sets.filter(
            (polars.col("size") >= low) & (polars.col("size") <= (high or sets.get_column("size").max()))
        )
        words = f"{low}" if low == high else f"{low} and more" if high is None else f"{low}–{high}"
        if within.height:
            found.append((words, within.height, int(within.get_column("size").sum())))
    return tuple(found)


def _largest(sieves: list[Stage], copies: Any, largest: Any) -> tuple[CopySet, ...]:
    polars = need("polars", extra="data")
    ids = largest.get_column("partner_id").to_list()
    rows = fetch([path for stage in sieves for path in stage.shards("data")], ids, ("text", "source"))
    found = []
    for identity, size, least in largest.iter_rows():
        mine = copies.filter(polars.col("partner_id") == identity)
        rules = sorted(mine.group_by("rule").len().rows(), key=lambda row: (-row[1], row[0]))
        row = rows.get(identity, {"text": "", "source": ""})
        text = plain(row["text"], _SNIPPET_CHARS)
        found.append(CopySet(visible(identity), visible(row["source"]), size, tuple(rules), least or 0.0, text))
    return tuple(found)
