"""What a stage set aside, read back and written as a stage would."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars
import pyarrow

from burnish.artifacts import DatasetArtifact
from burnish.data.records import Record, Rejected, Rejection
from burnish.data.shards import read_tables, rejected_schema, write_table
from burnish.runtime import Workdir


def write_rejected(out: Workdir, rejected: Sequence[Rejected]) -> None:
    """Write rejected records with their reasons; the file is there even if there are none."""
    rows = [asdict(record) | asdict(rejection) for record, rejection in rejected]
    write_table(out / "rejected/records.parquet", pyarrow.Table.from_pylist(rows, schema=rejected_schema()))


def read_rejected(dataset: DatasetArtifact) -> list[Rejected]:
    """Read what the dataset's own stage set aside."""
    paths = sorted((dataset.payload / "rejected").glob("*.parquet"))
    tables = (table for path in paths for table in read_tables(path, schema=rejected_schema()))
    return [(Record(**_of(row, Record)), Rejection(**_of(row, Rejection))) for t in tables for row in t.to_pylist()]


def read_ledger(dataset: DatasetArtifact) -> Any:
    """Read the ledger of the dataset's own stage, a Polars frame."""
    return polars.read_parquet(dataset.payload / "ledger" / "*.parquet")


def _of(row: dict[str, Any], kind: type[Record | Rejection]) -> dict[str, Any]:
    return {name: row[name] for name in kind.__slots__}
