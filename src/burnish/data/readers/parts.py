"""Parts: the shards that collecting writes, each put in its place with a mark, so that a killed run goes on after them.

A part is `data/part-NNNNN.parquet`, `rejected/part-NNNNN.parquet` and `done/part-NNNNN.json`. The mark comes last: it
says where the sources go on after the part, and what it counts. Files without a mark are of a run that was killed.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.data.readers.batches import Batch, Place
from burnish.data.shards import ShardWriter, kept_schema, read_tables, rejected_schema, text_bytes
from burnish.runtime import need

# Of text: compressed about 20 MB, which the stages to come take one at a time, and a loss of under a second's work
# when a run is killed.
PART_BYTES = 64 << 20
_KINDS = ("data", "rejected")


@dataclass(frozen=True)
class Position:
    """Say where collecting goes on: the source, counted from 0, and the place in it."""

    source: int = 0
    place: Place = field(default_factory=Place)


@dataclass
class Parts:
    """The parts written so far.

    Attributes:
        folder: outlives a killed run.
        position: where the sources go on after the last part.
        counts: of all parts.
    """

    folder: Path
    position: Position = field(default_factory=Position)
    counts: Counter[str] = field(default_factory=Counter)
    _num_parts: int = 0
    _open: "_Part | None" = None

    @classmethod
    def resume(cls, folder: Path) -> "Parts":
        """Find the parts that an earlier run finished."""
        for name in (*_KINDS, "done"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        parts = cls(folder)
        while (told := parts._told(parts._num_parts)) is not None:
            parts.position = Position(told["source"], Place(*told["place"]))
            parts.counts.update(told["counts"])
            parts._num_parts += 1
        return parts

    def _told(self, number: int) -> dict[str, Any] | None:
        """Read a part's mark; None where the part is not whole."""
        name = f"part-{number:05}"
        mark = self.folder / f"done/{name}.json"
        if not all(path.exists() for path in (mark, *(self.folder / f"{kind}/{name}.parquet" for kind in _KINDS))):
            return None
        told: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
        return told

    def add(self, source: int, batch: Batch, counts: Counter[str]) -> None:
        """Write a batch; a part that has become long enough is finished."""
        if batch.kept.num_rows + batch.rejected.num_rows == 0:
            return
        if self._open is None:
            self._open = _Part(self.folder, f"part-{self._num_parts:05}")
        self._open.write(batch)
        self._open.counts.update(counts)
        self.counts.update(counts)
        self.position = Position(source, batch.place)
        if self._open.num_bytes >= PART_BYTES:
            self.finish()

    def finish(self) -> None:
        """Finish the part that is open, where one is."""
        if self._open is not None:
            self._open.finish(self.position)
            self._open = None
            self._num_parts += 1

    def tables(self, *columns: str) -> Iterator[Any]:
        """Read columns of what was kept in the finished parts."""
        arrow = need("pyarrow", extra="data")
        schema = arrow.schema([kept_schema().field(name) for name in columns])
        for number in range(self._num_parts):
            yield from read_tables(self.folder / f"data/part-{number:05}.parquet", schema=schema)

    def abandon(self) -> None:
        """Close the part that is open without finishing it."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def give(self, payload: Path) -> None:
        """Put the parts into a payload, where there is always one, and keep them until it is sealed."""
        if self._num_parts == 0:
            self._open = _Part(self.folder, "part-00000")
            self.finish()
        for name in _KINDS:
            (payload / name).mkdir(parents=True, exist_ok=True)
            for number in range(self._num_parts):
                file = f"{name}/part-{number:05}.parquet"
                share(self.folder / file, payload / file)


class _Part:
    """A part being written."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.num_bytes = 0
        self.counts = Counter[str]()
        self._kept = ShardWriter(folder / f"data/.{name}", kept_schema())
        self._rejected = ShardWriter(folder / f"rejected/.{name}", rejected_schema())

    def write(self, batch: Batch) -> None:
        self._kept.write(batch.kept)
        self._rejected.write(batch.rejected)
        self.num_bytes += int(text_bytes(batch.kept).sum() + text_bytes(batch.rejected).sum())

    def close(self) -> None:
        self._kept.__exit__()
        self._rejected.__exit__()

    def finish(self, position: Position) -> None:
        self.close()
        for name in _KINDS:
            _put(self.folder / f"{name}/.{self.name}", self.folder / f"{name}/{self.name}.parquet")
        mark = self.folder / f"done/.{self.name}"
        told = {"source": position.source, "place": position.place, "counts": self.counts}
        mark.write_text(json.dumps(told), encoding="utf-8")
        _put(mark, self.folder / f"done/{self.name}.json")


def share(path: Path, target: Path) -> None:
    """Give a file a second name, so that a run killed before its seal still finds it under the first."""
    try:
        target.hardlink_to(path)
    except OSError:  # a file system without links
        path.rename(target)


def _put(partial: Path, target: Path) -> None:
    """Put a file in its place, once its bytes are on the disk."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(target)
