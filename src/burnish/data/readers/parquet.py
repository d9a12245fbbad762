"""Parquet of strangers: read a row group at a time in tables of bounded size, and row by row where a table is odd."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.readers.batches import BATCH_BYTES, Batch, Place, Tray
from burnish.data.readers.columns import Columns, Origin, Row, to_record
from burnish.data.readers.rows import UnusableFile, refuse_missing
from burnish.data.readers.tables import judge_table, sheet_of
from burnish.data.records import Rejection
from burnish.runtime import need

_MAX_ROWS = 8192


def read_parquet(path: Path, columns: Columns, origin: Origin, place: Place) -> Iterator[Batch]:
    """Read the rows of a Parquet file, from `place` on.

    Raises:
        UnusableFile: it is no Parquet file, breaks off, or lacks the column of the text or of the label.
        OSError: it cannot be opened.
    """
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    try:
        schema = parquet.read_schema(path)
        refuse_missing(schema.names, columns)
        named = [key for key in (*columns.keys, *columns.meta_keys) if key in schema.names]
        wanted = schema.names if columns.keep_meta else named
        texts = [name for name in wanted if _is_text(schema.field(name).type)]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for table in _tables(file, wanted, place.row):
                done = _batch(table, columns, origin, place)
                place = done.place
                yield replace(done, read_bytes=path.stat().st_size * table.num_rows // file.metadata.num_rows)
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the file cannot be opened; what Arrow cannot decode carries no number
        raise UnusableFile(Rejection("broken_file"), f"cannot be read as Parquet ({error})") from error


def _is_text(kind: Any) -> bool:
    arrow = need("pyarrow", extra="data")
    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _tables(file: Any, wanted: list[str], first: int) -> Iterator[Any]:
    """Give tables from row `first` on, which is where one began before."""
    arrow = need("pyarrow", extra="data")
    start = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group)
        if start + size.num_rows > first:
            rows = min(_MAX_ROWS, max(1, size.num_rows * BATCH_BYTES // max(1, size.total_byte_size)))
            at = start
            for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=wanted):
                for table in _pieces(arrow.Table.from_batches([batch])):
                    if at >= first:
                        yield table
                    at += table.num_rows
        start += size.num_rows


def _pieces(table: Any) -> Iterator[Any]:
    """Cut a table where its texts, still by reference to a dictionary, would be too much at once.

    A file of a few hundred kilobytes may repeat a long text so often that its rows fill any memory.
    """
    ends = np.cumsum(sum((_text_bytes(column) for column in table.columns), np.zeros(table.num_rows, np.int64)))
    start = 0
    while start < table.num_rows:
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield table.slice(start, end - start)
        start = end


def _text_bytes(column: Any) -> NDArray[np.int64]:
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    column = column.combine_chunks() if not arrow.types.is_nested(column.type) else column
    if arrow.types.is_dictionary(column.type):
        sizes = compute.binary_length(column.dictionary).take(column.indices)
    elif _is_text(column.type):
        sizes = compute.binary_length(column)
    else:
        return np.zeros(len(column), np.int64)
    return np.asarray(compute.fill_null(sizes, 0).to_numpy(zero_copy_only=False), np.int64)


def _batch(table: Any, columns: Columns, origin: Origin, place: Place) -> Batch:
    sheet = sheet_of(table, columns)
    if sheet is not None:

        def raw(rows: NDArray[np.int64]) -> list[str]:
            return [sheet.text[int(row)].as_py() or "" for row in rows]

        return judge_table(sheet, columns, origin, place, raw=raw)
    tray = Tray()
    names = table.column_names
    lists = [_values(table.column(name)) for name in names]
    for number, values in enumerate(zip(*lists, strict=True), start=place.row):
        row = Row(number, dict(zip(names, values, strict=True)))
        tray.put(to_record(row, columns, origin), origin.place(number))
    return tray.empty(Place(place.item, place.row + table.num_rows))


def _values(column: Any) -> list[object]:
    """Give a column's Python values; Parquet promises UTF-8 and does not check it, so texts are decoded here."""
    arrow = need("pyarrow", extra="data")
    column = column.combine_chunks()
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type)):
        return [_value(item) for item in column]
    texts: list[bytes | None] = column.cast(arrow.large_binary()).to_pylist()
    return [None if text is None else text.decode("utf-8", "surrogateescape") for text in texts]


def _value(item: Any) -> object:
    try:
        value: object = item.as_py()
    except UnicodeDecodeError:
        return None  # broken text inside a nested value: there is no row of ours that it could spoil but its meta
    return value
