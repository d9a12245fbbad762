"""Synthetic: write records that a method made in a space of features, beside the real ones they were made from."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact
from burnish.data.engine import Engine, run_shards
from burnish.data.shards import ShardWriter, kept_schema, read_tables, shard_paths
from burnish.data.weighing.features import VECTOR_KEY, Features, FeatureTable, TextVectors, plain, with_vectors
from burnish.data.weighing.resample import Synthetic
from burnish.runtime import Workdir, need

_ROWS_AT_ONCE = 1024


def write_features(out: Workdir, records: DatasetArtifact, features: Features, *, engine: Engine) -> None:
    """Write every record, held-out ones too, with the features that the method sees in its `meta`."""
    for shard, folder in run_shards(out, shard_paths(records), _Writing(features), step="balance", engine=engine):
        (folder / "data.parquet").rename(out / f"data/{shard.name}")


def write_synthetic(out: Workdir, table: FeatureTable, made: Synthetic, *, is_split: bool) -> None:
    """Write the made rows as a shard of their own, of the training split where there is one.

    A row has no text. Its id is that of the real row nearest to it with a suffix (`…+smote1`), its `meta` says
    `"synthetic": "smote"` and holds its features as the real rows' do.
    """
    arrow = need("pyarrow", extra="data")
    rows = _rows(table, made)
    with ShardWriter(out / f"data/{'train-smote' if is_split else 'smote'}.parquet", kept_schema()) as shard:
        while chunk := [row for row, _ in zip(rows, range(_ROWS_AT_ONCE), strict=False)]:
            shard.write(arrow.Table.from_pylist(chunk, schema=kept_schema()))


def _rows(table: FeatureTable, made: Synthetic) -> Iterator[dict[str, Any]]:
    numbers: dict[int, int] = {}
    for values, label, nearest in zip(made.values, made.labels, made.nearest.tolist(), strict=True):
        numbers[nearest] = numbers.get(nearest, 0) + 1
        numeric = plain(values)
        told = dict(zip(table.names, numeric, strict=True)) if table.names else {VECTOR_KEY: numeric}
        yield {
            "id": f"{table.ids[nearest]}+smote{numbers[nearest]}",
            "text": "",
            "label": label,
            "source": table.sources[nearest],
            "planted": "",
            "meta": json.dumps({"synthetic": "smote", "of": table.ids[nearest], **told}, ensure_ascii=False),
        }


@dataclass(frozen=True)
class _Writing:
    features: Features

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        with ShardWriter(folder / "data.parquet", kept_schema()) as data:
            for rows in read_tables(shard):
                match self.features:
                    case TextVectors(encoder=encoder):
                        data.write(with_vectors(rows, encoder))
                    case _:
                        data.write(rows)
                advance(rows.num_rows)
