"""Records: the one row shape of every dataset, and its Parquet files.

`payload/data/*.parquet` holds what was kept (after a split: train, validation, test), so that Hugging Face
`load_dataset("parquet", data_dir=payload / "data")` reads it; `payload/rejected/*.parquet` what was set aside.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from burnish.artifacts import DatasetArtifact
from burnish.errors import ArtifactError
from burnish.runtime import Workdir, need

Planted = Literal["", "random", "exact_copy", "near_copy"]
Split = Literal["train", "validation", "test"]

_ROW_GROUP_RECORDS = 8192  # fixed: the bytes of a file must not follow from how it was filled


@dataclass(frozen=True, slots=True)
class Record:
    """Hold one document.

    Attributes:
        id: unique in a dataset and stable: the source and the row in it.
        label: None where the source has none.
        source: where it came from.
        planted: known truth, where the recipe planted a fault on purpose; no rule may read it.
    """

    id: str
    text: str
    label: str | None
    source: str
    planted: Planted = ""


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
    _write(out / f"data/{name}.parquet", [asdict(record) for record in records], _kept_schema())


def write_rejected(out: Workdir, rejected: Sequence[Rejected]) -> None:
    """Write what was set aside, with its reasons, to `rejected/records.parquet`; the file is there even if empty."""
    rows = [asdict(record) | asdict(rejection) for record, rejection in rejected]
    _write(out / "rejected/records.parquet", rows, _rejected_schema())


def read_kept(dataset: DatasetArtifact, split: Split | None = None) -> list[Record]:
    """Read the kept records of a dataset, or of one split of it, in order.

    Raises:
        ArtifactError: there is no such split, its columns are not a record's, or it holds no record.
    """
    folder = dataset.payload / "data"
    files = sorted(folder.glob(f"{split or '*'}.parquet"))
    if not files:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.parquet"))) or "nothing"
        raise ArtifactError(f"{dataset.label} holds no records of {split or 'any split'}; there is: {there}")
    records = [Record(**row) for path in files for row in _read(path, _kept_schema())]
    if not records:
        raise ArtifactError(
            f"{dataset.label} is empty: every record was dropped before. Loosen the stage that made it."
        )
    return records


def read_rejected(dataset: DatasetArtifact) -> list[Rejected]:
    """Read what the dataset's own stage set aside.

    Raises:
        ArtifactError: the columns are not those of rejected records.
    """
    rows = [
        row
        for path in sorted((dataset.payload / "rejected").glob("*.parquet"))
        for row in _read(path, _rejected_schema())
    ]
    names = Rejection.__slots__
    return [(Record(**_without(row, names)), Rejection(**{name: row[name] for name in names})) for row in rows]


def _kept_schema() -> Any:
    arrow = need("pyarrow", extra="data")
    text = arrow.string()
    required = [arrow.field(name, text, nullable=False) for name in ("id", "text", "source", "planted")]
    return arrow.schema([*required[:2], arrow.field("label", text), *required[2:]])


def _rejected_schema() -> Any:
    arrow = need("pyarrow", extra="data")
    schema = _kept_schema().append(arrow.field("rule", arrow.string(), nullable=False))
    kinds = {"value": arrow.float64(), "threshold": arrow.float64(), "partner_id": arrow.string()}
    for name, kind in {**kinds, "similarity": arrow.float64()}.items():
        schema = schema.append(arrow.field(name, kind))
    return schema


def _write(path: Path, rows: list[dict[str, Any]], schema: Any) -> None:
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    table = arrow.Table.from_pylist(rows, schema=schema)
    parquet.write_table(table, path, compression="zstd", row_group_size=_ROW_GROUP_RECORDS)


def _read(path: Path, schema: Any) -> list[dict[str, Any]]:
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    try:
        table = parquet.read_table(path)
        missing = [name for name in schema.names if name not in table.column_names]
        if missing:
            there = ", ".join(table.column_names)
            raise ArtifactError(f"{path} has no column {missing[0]!r}; it has: {there}")
        rows: list[dict[str, Any]] = table.select(schema.names).cast(schema).to_pylist()
    except arrow.ArrowException as error:
        raise ArtifactError(f"{path} does not hold records ({error}); make the dataset anew") from error
    return rows


def _without(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
