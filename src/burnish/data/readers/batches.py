"""Batches: what a source gives, table by table, each with the place from which to go on after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from burnish.data.records import Record, Rejected, Rejection
from burnish.data.shards import kept_schema, rejected_schema
from burnish.runtime import need

# A batch's text, of which a few are in flight at once: far below the 64 MB that collecting may hold.
BATCH_BYTES = 4 << 20
_BATCH_ROWS = 8192


class Place(NamedTuple):
    """Where a source goes on: the file or page, counted from 0, the rows of it that are done, and their bytes."""

    item: int = 0
    row: int = 0
    byte: int = 0


@dataclass(frozen=True)
class Batch:
    """Hold some rows of a source.

    Attributes:
        kept: `pyarrow.Table` with the columns of a kept record.
        rejected: likewise of a record that was set aside.
        place: where to go on after it.
        read_bytes: of the source's files, for this batch.
        places: ids by place of the kept rows, where rows may bring ids of their own.
    """

    kept: Any
    rejected: Any
    place: Place
    read_bytes: int = 0
    places: Any = None


@dataclass
class Tray:
    """Gather single records into batches.

    Attributes:
        num_bytes: about, of the texts gathered.
        read_bytes: of files, read for them.
    """

    kept: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    num_bytes: int = 0
    read_bytes: int = 0

    def put(self, result: Record | Rejected, place: str) -> None:
        """Add a record, or one that was set aside; `place` is the id that its place gives it."""
        record = result if isinstance(result, Record) else result[0]
        self.num_bytes += len(record.text)
        if isinstance(result, Record):
            self.kept.append(result)
            self.places.append(place)
        else:
            self.rejected.append(result)

    @property
    def is_full(self) -> bool:
        """Tell whether it is time to empty the tray."""
        return self.num_bytes >= BATCH_BYTES or len(self.kept) + len(self.rejected) >= _BATCH_ROWS

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was gathered."""
        return not self.kept and not self.rejected

    def empty(self, place: Place) -> Batch:
        """Give what was gathered as one batch, after which the source goes on at `place`."""
        places = need("pyarrow", extra="data").array(self.places, kept_schema().field("id").type)
        batch = Batch(kept_table(self.kept), rejected_table(self.rejected), place, self.read_bytes, places)
        self.kept, self.rejected, self.places, self.num_bytes, self.read_bytes = [], [], [], 0, 0
        return batch


def batches_of(records: Iterable[Record], place: Place, read_bytes: int) -> Iterator[Batch]:
    """Give records that are in memory already, from `place` on; the first batch accounts for all bytes."""
    tray = Tray(read_bytes=read_bytes)
    row = 0
    for row, record in enumerate(records, start=1):
        if row > place.row:
            tray.put(record, record.id)
            if tray.is_full:
                yield tray.empty(Place(0, row))
    yield tray.empty(Place(0, row))


def kept_table(records: list[Record]) -> Any:
    """Lay records out as a table."""
    return _table(kept_schema(), (records, Record.__slots__))


def rejected_table(rejected: list[Rejected]) -> Any:
    """Lay records that were set aside out as a table."""
    records = [record for record, _ in rejected]
    rejections = [rejection for _, rejection in rejected]
    return _table(rejected_schema(), (records, Record.__slots__), (rejections, Rejection.__slots__))


def _table(schema: Any, *parts: tuple[list[Any], tuple[str, ...]]) -> Any:
    arrow = need("pyarrow", extra="data")
    columns = {
        name: arrow.array([getattr(item, name) for item in items], schema.field(name).type)
        for items, names in parts
        for name in names
    }
    return arrow.table([columns[name] for name in schema.names], schema=schema)
