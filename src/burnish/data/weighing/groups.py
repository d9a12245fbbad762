"""Groups: the records of one label, source or language: how many there are, and each record's place among its own.

A record's place is drawn by its id and the seed, so it does not depend on the order of records, on the shards or on
how many work on them. Two passes over the ids and group names; no text is read, none is held.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.data.engine import Engine, run_shards
from burnish.data.shards import kept_schema, of_split, read_tables, shard_paths
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

HELD_OUT = ("validation", "test")
_MAX_GROUPS = 1000  # each takes up to 256 KB: 16 bytes a bin
_NUM_BINS = 1 << 14  # places are told apart to 1 in 16,384 of a group; records in one bin share a place

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ByLabel:
    """Group by label; records without one form a group of their own."""


@dataclass(frozen=True)
class BySource:
    """Group by source."""


@dataclass(frozen=True)
class ByMeta:
    """Group by a value in `meta`, such as the language.

    Attributes:
        key: of the value; a record without it is in the group of those.
    """

    key: str = "lang"


GroupBy = ByLabel | BySource | ByMeta


@dataclass(frozen=True)
class Places:
    """Know the size of each group, and how many of it lie up to each bin.

    Attributes:
        sizes: of each group; None is the group of records without a name.
        bins: of each group, those that hold any record, in order.
        upto: of each group, the number of records in that bin and all before.
    """

    by: GroupBy
    seed: int
    sizes: Mapping[str | None, int]
    bins: Mapping[str | None, Ints]
    upto: Mapping[str | None, Ints]

    def ranks(self, groups: Sequence[str | None], ids: Sequence[str]) -> Ints:
        """Give each record's place among its group, from 1 to the size; records of one bin have its last place."""
        drawn = draw_bins(self.seed, ids)
        ranks = np.zeros(len(ids), np.int64)
        numbers, names = number_groups(groups)
        for number, name in enumerate(names):
            mine = numbers == number
            ranks[mine] = self.upto[name][np.searchsorted(self.bins[name], drawn[mine])]
        return ranks


def is_held_out(shard: Path) -> bool:
    """Tell a shard of a held-out split, whose shares must stay what they are in nature."""
    return of_split(shard.name, HELD_OUT)


def groups_of(rows: Any, by: GroupBy) -> list[str | None]:
    """Give the group of each row of a table."""
    match by:
        case ByLabel():
            return list(rows.column("label").to_pylist())
        case BySource():
            return list(rows.column("source").to_pylist())
        case ByMeta(key=key):
            return [_value(meta, key) for meta in rows.column("meta").to_pylist()]
        case _:
            assert_never(by)


def place_records(
    out: Workdir, records: DatasetArtifact, by: GroupBy, *, seed: int, step: str, engine: Engine
) -> Places:
    """Count the groups of all records that are not held out.

    Raises:
        RecipeError: there are too many groups, or no records that are not held out.
    """
    shards = [shard for shard in shard_paths(records) if not is_held_out(shard)]
    tallies: dict[str | None, Ints] = {}
    for _, folder in run_shards(out, shards, _Counting(by, seed), step=step, engine=engine):
        names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
        with np.load(folder / "tallies.npz") as tables:
            parts = np.split(tables["cells"], np.cumsum(tables["lengths"])[:-1])
        for name, part in zip(names, parts, strict=False):  # a shard without rows has no name, and one empty part
            known = tallies.setdefault(name, np.zeros(_NUM_BINS, np.int64))
            known[part[:, 0]] += part[:, 1]
        _refuse_many(len(tallies), by)
    if not tallies:
        raise RecipeError("there are no training records; held-out splits are never balanced or mixed")
    bins = {name: np.flatnonzero(tally) for name, tally in tallies.items()}
    upto = {name: np.cumsum(tally[bins[name]]) for name, tally in tallies.items()}
    sizes = {name: int(tally.sum()) for name, tally in tallies.items()}
    return Places(by, seed, sizes, bins, upto)


def draw_bins(seed: int, ids: Sequence[str]) -> Ints:
    """Draw a bin for each id; equal calls draw alike."""
    key = seed.to_bytes(8, "big", signed=True)
    digests = b"".join(hashlib.blake2b(identity.encode(), digest_size=4, key=key).digest() for identity in ids)
    return (np.frombuffer(digests, ">u4").astype(np.int64) * _NUM_BINS) >> 32


def number_groups(groups: Sequence[str | None]) -> tuple[Ints, list[str | None]]:
    """Number the groups in the order in which they come, and give each row its group's number."""
    names: dict[str | None, int] = {}
    numbers = np.array([names.setdefault(group, len(names)) for group in groups], np.int64)
    return numbers, list(names)


@dataclass(frozen=True)
class _Counting:
    by: GroupBy
    seed: int

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        arrow = need("pyarrow", extra="data")
        schema = arrow.schema([kept_schema().field(name) for name in ("id", "label", "source", "meta")])
        tallies: dict[str | None, Counter[int]] = {}
        for rows in read_tables(shard, schema=schema):
            drawn = draw_bins(self.seed, rows.column("id").to_pylist())
            numbers, names = number_groups(groups_of(rows, self.by))
            for number, name in enumerate(names):
                tallies.setdefault(name, Counter()).update(drawn[numbers == number].tolist())
            _refuse_many(len(tallies), self.by)
            advance(rows.num_rows)
        parts = [np.array(sorted(tally.items()), np.int64) for tally in tallies.values()]
        lengths = np.array([len(part) for part in parts], np.int64)
        np.savez(folder / "tallies.npz", cells=np.concatenate([*parts, np.zeros((0, 2), np.int64)]), lengths=lengths)
        (folder / "names.json").write_text(json.dumps(list(tallies), ensure_ascii=False), encoding="utf-8")


def _refuse_many(count: int, by: GroupBy) -> None:
    if count > _MAX_GROUPS:
        raise RecipeError(
            f"the records fall into more than {_MAX_GROUPS} groups by {by}; group by something that few records share"
        )


def _value(meta: str | None, key: str) -> str | None:
    value = json.loads(meta).get(key) if meta else None
    return None if value is None else str(value)
