"""Shard parts: the files that a stage makes of one shard, where rows are worked on as Python values."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from burnish.data.shards import ShardWriter, read_tables
from burnish.runtime import need

Row = dict[str, Any]


def write_parts(
    shard: Path,
    folder: Path,
    schemas: Mapping[str, Any],
    work: Callable[[list[Row]], Sequence[list[Row]]],
    *,
    is_left: bool,
    advance: Callable[[float], None],
) -> int:
    """Read a shard table by table and write one file a schema, `<name>.parquet`; give the number of rows read.

    Args:
        work: gives a table's rows for each schema, in order.
        is_left: the first file gets the rows as they came, the others none.
    """
    arrow = need("pyarrow", extra="data")
    num_rows = 0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(ShardWriter(folder / f"{name}.parquet", schema)) for name, schema in schemas.items()
        ]
        for table in read_tables(shard):
            if is_left:
                writers[0].write(table)
            else:
                made = work(table.to_pylist())
                for writer, rows, schema in zip(writers, made, schemas.values(), strict=True):
                    writer.write(arrow.Table.from_pylist(rows, schema=schema))
            num_rows += table.num_rows
            advance(table.num_rows)
    return num_rows
