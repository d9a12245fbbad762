"""Sample: a fixed number of records of a dataset, drawn by a hash of their ids, in memory bounded by that number."""

import hashlib
import heapq
from dataclasses import dataclass

from burnish.artifacts import DatasetArtifact
from burnish.data.shards import kept_schema, read_tables, shard_paths
from burnish.runtime import need


@dataclass(frozen=True, slots=True)
class Sampled:
    """Hold what is needed of a record."""

    id: str
    text: str


def sample_records(records: DatasetArtifact, num_records: int, *, seed: int, purpose: str) -> list[Sampled]:
    """Draw records, all of them where there are fewer; neither order nor shards change which.

    Args:
        purpose: a second sample of the same dataset and seed needs another purpose, to be independent of the first.

    Returns:
        In the order of the draw, so that the start of a sample is a sample.
    """
    if num_records == 0:
        return []
    arrow = need("pyarrow", extra="data")
    schema = arrow.schema([kept_schema().field(name) for name in ("id", "text")])
    heap: list[tuple[int, str, str]] = []  # the largest draw first, so that it goes when a smaller one comes
    for path in shard_paths(records):
        for rows in read_tables(path, schema=schema):
            texts = rows.column("text")
            for row, identity in enumerate(rows.column("id").to_pylist()):
                draw = -_draw(identity, seed, purpose)
                if len(heap) < num_records:
                    heapq.heappush(heap, (draw, identity, texts[row].as_py()))
                elif draw > heap[0][0]:
                    heapq.heapreplace(heap, (draw, identity, texts[row].as_py()))
    return [Sampled(identity, text) for _, identity, text in sorted(heap, key=lambda entry: (-entry[0], entry[1]))]


def _draw(identity: str, seed: int, purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}/{identity}".encode(), digest_size=8).digest(), "big")
