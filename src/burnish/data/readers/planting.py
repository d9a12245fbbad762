"""Planting: choose among what was collected what is copied, and read only that."""

import hashlib
import heapq
from collections.abc import Iterator
from typing import Any

from burnish.data.readers.copies import plant_copies
from burnish.data.readers.parts import Parts
from burnish.data.records import Record
from burnish.data.sources import PlantedCopies
from burnish.errors import RecipeError
from burnish.runtime import need

# Copies are drawn by a hash of each id, in seconds for this many; no test of deduplication needs more.
_MAX_ORIGINALS = 1_000_000


def planted_copies(parts: Parts, source: PlantedCopies, seed: int) -> list[Record]:
    """Copy some of what the finished parts hold, but nothing that was planted.

    Raises:
        RecipeError: there are too few originals, or more than planting is for.
    """
    originals = _Originals(parts, seed)
    for name, num_copies in (("num_exact", source.num_exact), ("num_near", source.num_near)):
        if num_copies > originals.count:
            raise RecipeError(f"{name} is {num_copies}; the sources before it gave {originals.count} records to copy")
    chosen = {*originals.first(source.num_exact, "exact_copy"), *originals.first(source.num_near, "near_copy")}
    return plant_copies(list(originals.read(chosen)), source, seed)


class _Originals:
    """The records that may be copied, in the parts that are finished."""

    def __init__(self, parts: Parts, seed: int) -> None:
        self.parts = parts
        self.seed = seed
        self.count = sum(len(ids) for ids in self._ids())
        if self.count > _MAX_ORIGINALS:
            raise RecipeError(
                f"planted_copies would copy from {self.count:,} records; it is for at most {_MAX_ORIGINALS:,}. "
                "Measure deduplication on a smaller collection, and leave planted_copies out here"
            )

    def first(self, count: int, purpose: str) -> list[str]:
        """Give the ids that `sources.by_chance` puts first."""

        def draw(identity: str) -> bytes:
            return hashlib.sha256(f"{self.seed}/{purpose}/{identity}".encode()).digest()

        return heapq.nsmallest(count, (identity for ids in self._ids() for identity in ids.to_pylist()), key=draw)

    def read(self, chosen: set[str]) -> Iterator[Record]:
        """Read the records with these ids, in the order in which they were collected."""
        arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
        wanted = arrow.array(sorted(chosen), arrow.string())
        for table in self.parts.tables(*Record.__slots__):
            for row in table.filter(compute.is_in(table.column("id"), wanted)).to_pylist():
                yield Record(**row)

    def _ids(self) -> Iterator[Any]:
        compute = need("pyarrow.compute", extra="data")
        for table in self.parts.tables("id", "planted"):
            yield table.filter(compute.equal(table.column("planted"), "")).column("id")
