"""Planted faults: how many of those that the recipe planted at collection are still there after selection."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from burnish.artifacts import DatasetArtifact, Measurement, counted
from burnish.data.flow import PLANTED_COPY, PLANTED_RANDOM
from burnish.runtime import need


def measure_planted(origin: DatasetArtifact, shards: Sequence[Path]) -> Iterator[Measurement]:
    """Count what was caught, of all that was planted, before selection too.

    A planted copy is caught where at most one of it, its original and other copies of that stayed: which one stays
    is for selection to choose.

    Args:
        origin: whose evidence says how much was planted.
        shards: of what was kept.
    """
    planted = {m.name: round(m.value) for m in origin.evidence}
    if num_random := planted.get(PLANTED_RANDOM, 0):
        num_left = sum(1 for _ in _kept(shards, ("random",)))
        how = "planted random rows that are not among the kept, of all planted"
        yield counted("planted_random_caught_frac", num_random - num_left, of=num_random, how=how)
    if num_copies := planted.get(PLANTED_COPY, 0):
        copied = [identity.rpartition("+")[0] for identity in _kept(shards, ("exact_copy", "near_copy"))]
        originals = set(copied)
        num_groups = len(originals)
        num_there = sum(1 for identity in _kept(shards, ("",)) if identity in originals)
        how = "planted copies of which neither the original nor another copy stayed beside them, of all planted"
        num_too_many = len(copied) + num_there - num_groups
        yield counted("planted_copy_caught_frac", num_copies - num_too_many, of=num_copies, how=how)


def _kept(shards: Sequence[Path], kinds: tuple[str, ...]) -> Iterator[str]:
    """Give the ids of kept rows that were planted as one of `kinds`."""
    compute, parquet = need("pyarrow.compute", extra="data"), need("pyarrow.parquet", extra="data")
    arrow = need("pyarrow", extra="data")
    for shard in shards:
        with parquet.ParquetFile(shard) as file:
            for batch in file.iter_batches(columns=["id", "planted"]):
                mine = compute.is_in(batch.column("planted"), value_set=arrow.array(kinds))
                yield from batch.column("id").filter(mine).to_pylist()
