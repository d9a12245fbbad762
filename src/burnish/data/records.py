"""Records: the one row shape of every dataset, and its Parquet files.

`payload/data/*.parquet` holds what was kept (after a split: train, validation, test), so that Hugging Face
`load_dataset("parquet", data_dir=payload / "data")` reads it; `payload/rejected/*.parquet` what was set aside.
These functions hold a dataset in memory; `shards` reads and writes one of any size.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from burnish.artifacts import DatasetArtifact
from burnish.data.shards import Split, kept_schema, read_tables, shard_paths, write_table
from burnish.errors import ArtifactError
from burnish.runtime import Workdir, need

Planted = Literal["", "random", "exact_copy", "near_copy"]


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one document.

    Attributes:
        id: unique in a dataset and stable: the source and the row in it.
        label: None where the source has none.
        source: where it came from.
        planted: known truth, where the recipe planted a fault on purpose; no rule may read it.
        meta: a JSON object of what else the source said: url, page, language, size of an image.
    """

    id: str
    text: str
    label: str | None
    source: str
    planted: Planted = ""
    meta: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Say why a record was set aside.

    Attributes:
        rule: snake case.
        value: what the rule measured; None where it measures nothing.
        threshold: the bound that the value broke.
        partner_id: the kept record that a duplicate repeats.
        similarity: to that partner, in [0, 1].
    """

    rule: str
    value: float | None = None
    threshold: float | None = None
    partner_id: str | None = None
    similarity: float | None = None


Rejected = tuple[Record, Rejection]


def write_kept(out: Workdir, records: Sequence[Record], name: str = "records") -> None:
    """Write kept records to `data/<name>.parquet`, in the order given; equal records are equal bytes."""
    arrow = need("pyarrow", extra="data")
    rows = [asdict(record) for record in records]
    write_table(out / f"data/{name}.parquet", arrow.Table.from_pylist(rows, schema=kept_schema()))


def read_kept(dataset: DatasetArtifact, split: Split | None = None) -> list[Record]:
    """Read the kept records of a dataset, or of one split of it, in order.

    Raises:
        ArtifactError: there is no such split, its columns are not a record's, or it holds no record.
    """
    tables = (table for path in shard_paths(dataset, split) for table in read_tables(path, schema=kept_schema()))
    records = [Record(**row) for table in tables for row in table.to_pylist()]
    if not records:
        raise ArtifactError(
            f"{dataset.label} is empty: every record was dropped before. Loosen the stage that made it."
        )
    return records
