"""Records of a dataset artifact, as the rooms that learn from them read them."""

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.artifacts import DatasetArtifact
from burnish.errors import BurnishError
from burnish.runtime import need


@dataclass(frozen=True)
class Record:
    """One document: its text and, where it has one, its label."""

    id: str
    text: str
    label: str | None


def read_records(dataset: DatasetArtifact, split: str | None = None, *, at_most: int | None = None) -> list[Record]:
    """Read the kept records of a dataset, in order.

    Args:
        split: "train", "validation" or "test"; None reads all data files.
        at_most: read the first so many.

    Raises:
        BurnishError: there is no such split, or it is empty.
    """
    parquet = need("pyarrow.parquet", extra="data")
    files = sorted((dataset.payload / "data").glob(f"{split}*.parquet" if split else "*.parquet"))
    rows = [row for file in files for row in parquet.read_table(file, columns=["id", "text", "label"]).to_pylist()]
    if not rows:
        raise BurnishError(f"{dataset.label} holds no records{f' in split {split!r}' if split else ''}")
    return [Record(row["id"], row["text"], row["label"]) for row in rows[:at_most]]


def read_labelled(
    dataset: DatasetArtifact, split: str, labels: Sequence[str], *, at_most: int | None = None
) -> list[Record]:
    """Read the records of a split that have a label; those without one are nothing to learn or score.

    Raises:
        BurnishError: a label is not among `labels`, or no record has one.
    """
    records = [record for record in read_records(dataset, split) if record.label is not None]
    for record in records:
        if record.label not in labels:
            raise BurnishError(f"record {record.id} has label {record.label!r}; the task allows {', '.join(labels)}")
    if not records:
        raise BurnishError(f"no record in split {split!r} of {dataset.label} has a label")
    return records[:at_most]
