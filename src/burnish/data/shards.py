"""Shards: the Parquet files of a dataset, read and written in tables of bounded size.

A dataset of any size is a folder of shards (`data/part-00000.parquet`, …; after a split `data/train.parquet`, …).
A stage makes one shard of each that came, so shards are the unit of resuming and of working side by side.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.errors import ArtifactError
from burnish.runtime import need

Split = Literal["train", "validation", "test"]

MAX_TABLE_BYTES = 16 << 20  # of text in one table: what a worker holds of a shard, a few times over
_ROW_GROUP_RECORDS = 8192  # fixed: the bytes of a file must not follow from how it was filled
_REPEATED = ("label", "source", "planted", "language", "step", "rule", "threshold")  # columns of few values
_ROW_GROUP_BYTES = 32 << 20  # of a table that fills slowly with long documents


def shard_paths(dataset: DatasetArtifact, split: Split | None = None) -> list[Path]:
    """List the shards of a dataset, or of one split of it, in order.

    Raises:
        ArtifactError: there are none.
    """
    folder = dataset.payload / "data"
    paths = sorted(folder.glob(f"{split or ''}*.parquet"))
    if not paths:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.parquet"))) or "nothing"
        raise ArtifactError(f"{dataset.label} holds no records of {split or 'any split'}; there is: {there}")
    return paths


def num_rows(path: Path) -> int:
    """Count the rows of a shard from its footer."""
    parquet = need("pyarrow.parquet", extra="data")
    count: int = parquet.read_metadata(path).num_rows
    return count


def num_bytes(path: Path) -> int:
    """Measure what the rows of a shard take up unpacked, from its footer."""
    parquet = need("pyarrow.parquet", extra="data")
    metadata = parquet.read_metadata(path)
    return sum(int(metadata.row_group(group).total_byte_size) for group in range(metadata.num_row_groups))


def read_tables(path: Path, *, schema: Any = None, max_bytes: int = MAX_TABLE_BYTES) -> Iterator[Any]:
    """Read a shard as tables of at most `max_bytes` of text and at least one row, in order.

    Args:
        schema: what each table is cast to; a nullable column that the file lacks is null. Default: a kept record's.

    Raises:
        ArtifactError: the file is no Parquet file, or lacks a column.
    """
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    wanted = kept_schema() if schema is None else schema
    try:
        with parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            for field in wanted:
                if field.name not in there and not field.nullable:
                    raise ArtifactError(f"{path} has no column {field.name!r}; it has: {', '.join(there)}")
            columns = [name for name in wanted.names if name in there]
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group)
                rows = max(1, size.num_rows * max_bytes // max(1, size.total_byte_size))
                for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=columns):
                    yield from _cut(_conform(arrow.Table.from_batches([batch]), wanted), max_bytes)
    except arrow.ArrowException as error:
        raise ArtifactError(f"{path} does not hold records ({error}); make the dataset anew") from error


def _cut(table: Any, max_bytes: int) -> Iterator[Any]:
    """Cut a table whose long texts stand together: rows were counted by their mean length."""
    ends, start = np.cumsum(text_bytes(table)), 0
    while start < table.num_rows:
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + max_bytes, side="right")))
        yield table.slice(start, stop - start)
        start = stop


def read_column(path: Path, name: str) -> NDArray[Any]:
    """Read one column without nulls as an array; where it has some, floats with NaN."""
    parquet = need("pyarrow.parquet", extra="data")
    values: NDArray[Any] = parquet.read_table(path, columns=[name]).column(name).to_numpy()
    return values


class ShardWriter:
    """Write one Parquet file table by table; equal rows are equal bytes, however they were cut into tables.

    Row groups end at a fixed number of rows, or where a row makes them pass a fixed number of bytes.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        parquet = need("pyarrow.parquet", extra="data")
        self._schema = schema
        self._pending: list[Any] = []
        self._sizes = np.zeros(0, np.int64)
        repeated = [name for name in schema.names if name in _REPEATED]
        self._writer = parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeated or False)
        self.num_rows = 0

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pending:
            self._flush(len(self._sizes))
        self._writer.close()

    def write(self, table: Any) -> None:
        """Add the rows of a table; its columns are put in the schema's order and types."""
        if table.num_rows == 0:
            return
        self._pending.append(_conform(table, self._schema))
        self._sizes = np.concatenate([self._sizes, text_bytes(table)])
        self.num_rows += table.num_rows
        while True:
            ends_by_bytes = int(np.searchsorted(np.cumsum(self._sizes), _ROW_GROUP_BYTES)) + 1
            if min(ends_by_bytes, _ROW_GROUP_RECORDS) > len(self._sizes):
                return
            self._flush(min(ends_by_bytes, _ROW_GROUP_RECORDS))

    def _flush(self, num_rows: int) -> None:
        arrow = need("pyarrow", extra="data")
        rows = arrow.concat_tables(self._pending)
        self._writer.write_table(rows.slice(0, num_rows).combine_chunks(), row_group_size=num_rows)
        self._sizes = self._sizes[num_rows:]
        self._pending = [rows.slice(num_rows)] if len(self._sizes) else []


def text_bytes(table: Any) -> NDArray[np.int64]:
    """Measure each row's text, in bytes; zero where a table has no text."""
    if "text" not in table.column_names:
        return np.zeros(table.num_rows, np.int64)
    compute = need("pyarrow.compute", extra="data")
    sizes = compute.fill_null(compute.binary_length(table.column("text")), 0)
    return np.asarray(sizes.to_numpy(), np.int64)


def write_table(path: Path, table: Any) -> None:
    """Write one table as a shard."""
    with ShardWriter(path, table.schema) as shard:
        shard.write(table)


def kept_schema() -> Any:
    """Give the columns of a kept record."""
    arrow = need("pyarrow", extra="data")
    text = arrow.string()
    required = [arrow.field(name, text, nullable=False) for name in ("id", "text", "source", "planted")]
    return arrow.schema([*required[:2], arrow.field("label", text), *required[2:], arrow.field("meta", text)])


def rejected_schema() -> Any:
    """Give the columns of a record that was set aside: its own, and the reason."""
    arrow = need("pyarrow", extra="data")
    schema = kept_schema().append(arrow.field("rule", arrow.string(), nullable=False))
    kinds = {"value": arrow.float64(), "threshold": arrow.float64(), "partner_id": arrow.string()}
    for name, kind in {**kinds, "similarity": arrow.float64()}.items():
        schema = schema.append(arrow.field(name, kind))
    return schema


def of_split(name: str, splits: Sequence[str]) -> bool:
    """Tell whether a shard's name is that of a split: `train.parquet`, `train-00000.parquet`."""
    return name.split(".")[0].split("-")[0] in splits


def _conform(table: Any, schema: Any) -> Any:
    arrow = need("pyarrow", extra="data")
    columns = []
    for field in schema:
        if field.name in table.column_names:
            columns.append(table.column(field.name).cast(field.type))
        else:
            columns.append(arrow.nulls(table.num_rows, field.type))
    return arrow.table(columns, schema=schema)
