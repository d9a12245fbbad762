"""Records of a dataset artifact, as the rooms that learn from them read them."""

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
