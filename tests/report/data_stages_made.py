"""Datasets for tests of the data report: made by small stages that write what the real ones write, shard by shard."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.data.ledger import Verdict, at_least, at_most, ledger_schema
from burnish.data.repairs.pii import PiiConfig, mask
from burnish.data.shards import ShardWriter, kept_schema, read_tables, rejected_schema, shard_paths
from burnish.data.sift import sift
from burnish.runtime import Workdir

RULES = ("too_few_words", "symbols", "near_copy", "long_words")


@dataclass(frozen=True)
class Given:
    rows: tuple[tuple[str, str, str], ...]  # id, text, source
    num_shards: int = 1


def collect(out: Workdir, *, config: Given) -> Draft[DatasetArtifact]:
    for shard in range(config.num_shards):
        rows = [
            {"id": i, "text": text, "source": source, "planted": ""}
            for i, text, source in config.rows[shard :: config.num_shards]
        ]
        with ShardWriter(out / f"data/part-{shard:05d}.parquet", kept_schema()) as writer:
            writer.write(pyarrow.Table.from_pylist(rows, kept_schema()))
    return Draft(DatasetArtifact, (), "given")


@dataclass(frozen=True)
class Measures:
    notes: tuple[tuple[str, str, float], ...] = ()  # id, rule, value: what the ledger says was done
    suffix: str = ""


def clean(out: Workdir, raw: DatasetArtifact, *, config: Measures) -> Draft[DatasetArtifact]:
    """Mask each text and add a suffix; a text with a Chinese character is Chinese."""
    for path in shard_paths(raw):
        rows = [row for table in read_tables(path) for row in table.to_pylist()]
        ids = {row["id"] for row in rows}
        noted = [
            {"id": i, "step": "clean", "rule": rule, "value": value, "kept": True}
            for i, rule, value in config.notes
            if i in ids
        ]
        languages = ["zh" if any(ord(c) > 0x3000 for c in row["text"]) else "en" for row in rows]
        tables = {
            "data": pyarrow.Table.from_pylist(
                [{**r, "text": mask(r["text"], PiiConfig()).text + config.suffix} for r in rows], kept_schema()
            ),
            "ledger": pyarrow.Table.from_pylist(noted, ledger_schema()),
            "measures": pyarrow.table({"id": [row["id"] for row in rows], "language": languages}),
        }
        for folder, table in tables.items():
            with ShardWriter(out / f"{folder}/{path.name}", table.schema) as writer:
                writer.write(table)
    return Draft(DatasetArtifact, (Measurement("records_in", 1.0, "records", 1),), "cleaned")


@dataclass(frozen=True)
class Sieve:
    min_words: int = 3
    max_symbols: float = 0.25
    partners: tuple[tuple[str, str, float], ...] = ()  # copy, partner, similarity


@dataclass(frozen=True)
class Judge:
    config: Sieve

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        texts, ids = rows.column("text").to_pylist(), rows.column("id").to_pylist()
        words = np.array([float(len(text.split())) for text in texts])
        symbols = np.array([text.count("#") / max(1, len(text)) for text in texts])
        similar = {copy: similarity for copy, _, similarity in self.config.partners}
        partners = {copy: partner for copy, partner, _ in self.config.partners}
        alike = np.array([similar.get(i, np.nan) for i in ids])
        return [
            at_least("too_few_words", words, self.config.min_words),
            at_most("symbols", symbols, self.config.max_symbols),
            Verdict("near_copy", alike, 0.8, ~np.isnan(alike), [partners.get(i) for i in ids]),
            at_most("long_words", np.full(len(ids), np.nan), 10.0),
        ]


def select(out: Workdir, records: DatasetArtifact, *others: DatasetArtifact, config: Sieve) -> Draft[DatasetArtifact]:
    evidence = sift(out, records, Judge(config), rules=RULES, step="select")
    return Draft(DatasetArtifact, evidence, "sifted")


@dataclass(frozen=True)
class Pairs:
    near: tuple[float, ...] = ()


def find_copies(out: Workdir, records: DatasetArtifact, *, config: Pairs) -> Draft[DatasetArtifact]:
    table = pyarrow.table({"row": [0] * len(config.near), "other": [1] * len(config.near), "similarity": config.near})
    with ShardWriter(out / "pairs/near.parquet", table.schema) as writer:
        writer.write(table)
    return Draft(DatasetArtifact, (), "pairs")


@dataclass(frozen=True)
class Added:
    ids: tuple[str, ...]


def augment(out: Workdir, records: DatasetArtifact, *, config: Added) -> Draft[DatasetArtifact]:
    """Add a copy of some records, and say so in the ledger."""
    for path in shard_paths(records):
        rows = [row for table in read_tables(path) for row in table.to_pylist()]
        made = [{**r, "id": f"{r['id']}+syn1", "text": f"{r['text']} anew"} for r in rows if r["id"] in config.ids]
        said = [
            {"id": r["id"], "step": "augment", "rule": "synonyms", "value": 0.5, "kept": True, "similarity": 0.5,
             "partner_id": r["id"].removesuffix("+syn1")}
            for r in made
        ]  # fmt: skip
        for folder, each, schema in (("data", rows + made, kept_schema()), ("ledger", said, ledger_schema())):
            with ShardWriter(out / f"{folder}/{path.name}", schema) as writer:
                writer.write(pyarrow.Table.from_pylist(each, schema))
    return Draft(DatasetArtifact, (Measurement("records_in", float(len(config.ids)), "records", 1),), "augmented")


@dataclass(frozen=True)
class Quotas:
    gone: tuple[str, ...]
    repeated: tuple[str, ...]


def balance(out: Workdir, records: DatasetArtifact, *, config: Quotas) -> Draft[DatasetArtifact]:
    """Set some aside and repeat others, in one shard of another name, as after a split."""
    rows = [row for path in shard_paths(records) for table in read_tables(path) for row in table.to_pylist()]
    reason = {"rule": "undersampled", "value": 0.9, "threshold": 0.5}
    gone = [{**row, **reason} for row in rows if row["id"] in config.gone]
    stay = [row for row in rows if row["id"] not in config.gone]
    stay += [{**row, "id": f"{row['id']}+rep1"} for row in rows if row["id"] in config.repeated]
    for folder, each, schema in (("data", stay, kept_schema()), ("rejected", gone, rejected_schema())):
        with ShardWriter(out / f"{folder}/train.parquet", schema) as writer:
            writer.write(pyarrow.Table.from_pylist(each, schema))
    return Draft(DatasetArtifact, (Measurement("records_in", float(len(rows)), "records", len(rows)),), "balanced")
