"""Semantic copies: records that say the same in other words, told by the cosine of their embeddings.

Vectors lie in one file of half-precision numbers: 2 bytes a record and dimension, on disk. In memory are the ids, what
`neighbours` says, and one block. The best copy stays: the longest text, then the smallest id.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement, counted
from burnish.data.duplicates.neighbours import Half, best_kept, draw_cells, find_copies
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import carry_planted
from burnish.data.ledger import Verdict
from burnish.data.scoring.embed import Encoder, HashedNgrams, encode, num_dimensions
from burnish.data.shards import read_tables, shard_paths
from burnish.data.sift import sift
from burnish.errors import RecipeError
from burnish.runtime import Workdir

RULES = ("semantic_copy",)


@dataclass(frozen=True)
class SemanticConfig:
    """Say what a copy in other words is.

    Attributes:
        encoder: hashed_ngrams finds copies that share letters; sentence_encoder those in other words (English),
            multilingual_e5 across languages.
        threshold: least cosine of two copies, in (0, 1]; it belongs to the encoder. "high blood pressure" and
            "hypertension" have 0.73 with all-MiniLM-L6-v2, the two most alike of 400 headlines 0.62. With
            multilingual_e5 four paraphrases have 0.92 to 0.98, and of 150 Chinese reviews one pair in a thousand 0.94.
        num_probes: cells in which a record is looked for; more find more pairs and take longer.
        recall_records: so many records are compared with all others, to measure what share of pairs is found.
        seed: draws the cells' centres and those records.
    """

    encoder: Encoder = field(default_factory=HashedNgrams)
    threshold: float = 0.9
    num_probes: int = 4
    recall_records: int = 200
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise RecipeError(f"threshold is {self.threshold}; it must be above 0 and at most 1")
        if self.num_probes < 1:
            raise RecipeError(f"num_probes is {self.num_probes}; it must be at least 1")
        if self.recall_records < 0:
            raise RecipeError(f"recall_records is {self.recall_records}; it must be at least 0")


@dataclass(frozen=True)
class Partner:
    """Name the kept record that a copy repeats."""

    id: str
    similarity: float


def deduplicate_semantic(out: Workdir, records: DatasetArtifact, *, config: SemanticConfig) -> Draft[DatasetArtifact]:
    """Set aside every record that repeats a better one; each names the kept record that it is most like.

    The kept set follows from the set of records: neither their order nor their shards change it.
    """
    work = _Embedding(config.encoder)
    folders = [f for _, f in run_shards(out, shard_paths(records), work, step="embed", engine=config.engine)]
    ids, vectors = _gather(folders, out.snapshots / "vectors.npy", num_dimensions(config.encoder))
    cells = draw_cells(vectors, num_probes=config.num_probes, seed=config.seed)
    with out.progress("compare", total=len(cells.starts) - 1, unit="cells") as bar:
        copies = find_copies(vectors, cells, config.threshold, advance=bar.advance)
    partners = {ids[row]: Partner(ids[other], similarity) for row, (other, similarity) in copies.items()}
    flow = sift(out, records, _Lookup(partners, config.threshold), rules=RULES, step="semantic", engine=config.engine)
    evidence = (*flow, *_recall(vectors, copies, config), *carry_planted(records))
    kept = next(m for m in flow if m.name == "records_kept")
    summary = f"{kept.value:,.0f} of {kept.n:,} records kept; copies in other words have a cosine of {config.threshold} or more."
    return Draft(DatasetArtifact, evidence, summary)


@dataclass(frozen=True)
class _Embedding:
    """Embed one shard: ids, lengths of texts, vectors."""

    encoder: Encoder

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        ids: list[str] = []
        lengths: list[int] = []
        parts: list[Path] = []
        for rows in read_tables(shard, max_bytes=_EMBED_BYTES):
            texts = rows.column("text").to_pylist()
            parts.append(folder / f"vectors-{len(parts):06}.npy")
            np.save(parts[-1], encode(texts, self.encoder).astype(np.float16))
            ids += rows.column("id").to_pylist()
            lengths += [len(text) for text in texts]
            advance(rows.num_rows)
        (folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")  # an array would pad all to the longest
        np.save(folder / "lengths.npy", np.array(lengths, np.int64))


_EMBED_BYTES = 4 << 20  # of text at once: its vectors in single precision are about as large again


@dataclass(frozen=True)
class _Lookup:
    """Judge by a table of the removed ids."""

    partners: dict[str, Partner]
    threshold: float

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        found = [self.partners.get(identity) for identity in rows.column("id").to_pylist()]
        values = np.array([np.nan if partner is None else partner.similarity for partner in found])
        ids = [None if partner is None else partner.id for partner in found]
        return [Verdict("semantic_copy", values, self.threshold, ~np.isnan(values), ids)]


def _gather(folders: Sequence[Path], target: Path, num_dims: int) -> tuple[list[str], Half]:
    """Lay all vectors in one file, best record first: longest text, then smallest id."""
    ids = [identity for folder in folders for identity in json.loads((folder / "ids.json").read_text(encoding="utf-8"))]
    lengths = np.concatenate([np.load(folder / "lengths.npy") for folder in folders])
    order = sorted(range(len(ids)), key=lambda row: (-lengths[row], ids[row]))
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    partial = target.with_name(f"partial.{target.name}")
    vectors = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=(len(ids), num_dims))
    start = 0
    for folder in folders:
        for path in sorted(folder.glob("vectors-*.npy")):
            part = np.load(path)
            vectors[rank[start : start + len(part)]] = part
            start += len(part)
    vectors.flush()
    partial.replace(target)
    return [ids[row] for row in order], vectors


def _recall(vectors: Half, copies: dict[int, tuple[int, float]], config: SemanticConfig) -> tuple[Measurement, ...]:
    """Measure, on records drawn by chance, what share of those that copy a kept one were set aside."""
    count = min(config.recall_records, len(vectors))
    drawn = np.random.default_rng((config.seed, 1)).choice(len(vectors), count, replace=False)
    is_copy = drawn[best_kept(vectors, drawn, copies) >= config.threshold].tolist()
    if not is_copy:
        return ()
    how = f"of {count} records compared with every better one kept, those as alike as the threshold that were set aside"
    return (counted("semantic_recall_frac", sum(row in copies for row in is_copy), of=len(is_copy), how=how),)
