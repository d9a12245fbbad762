"""Split: train, validation and test by document, so that a document's place follows from its own text."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import numpy as np

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import num_records
from burnish.data.records import Record, read_kept, write_kept
from burnish.data.shards import ShardWriter, Split, kept_schema, num_bytes, read_tables, shard_paths
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime import Workdir

_MAX_HELD_BYTES = 256 << 20  # of text; more is split shard by shard
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class ByFraction:
    """Hold out shares of the records; a record's place never changes when others come or go.

    Attributes:
        validation: share, in (0, 1); sizes vary by chance around it.
        test: likewise; the rest trains.
    """

    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.validation < 1 and 0 < self.test < 1 and self.validation + self.test < 1):
            raise RecipeError(
                f"validation={self.validation}, test={self.test}; each must be above 0 and their sum below 1"
            )


@dataclass(frozen=True)
class ByCount:
    """Hold out numbers of records; when others come, a held-out one may move to train, never to the other held-out set.

    Attributes:
        validation: how many, at least 1.
        test: likewise; the rest trains.
    """

    validation: int = 200
    test: int = 200

    def __post_init__(self) -> None:
        if self.validation < 1 or self.test < 1:
            raise RecipeError(f"validation={self.validation}, test={self.test}; each must be at least 1")


@dataclass(frozen=True)
class SplitConfig:
    """Say how much to hold out.

    Attributes:
        seed: another seed is another split.
    """

    sizes: ByFraction | ByCount = ByFraction()
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)


def split(out: Workdir, records: DatasetArtifact, *, config: SplitConfig) -> Draft[DatasetArtifact]:
    """Write `data/train.parquet`, `data/validation.parquet` and `data/test.parquet`, each in a fixed random order.

    Of more text than memory should hold, each shard gives `data/train-00000.parquet` and so on, in the order that came.

    Raises:
        RecipeError: a split would be empty, or would lack a label that the records have.
    """
    shards = shard_paths(records)
    if sum(map(num_bytes, shards)) > _MAX_HELD_BYTES:
        return _split_shards(out, shards, config)
    before = read_kept(records)
    parts = divide(before, config)
    _check(parts)
    evidence: list[Measurement] = []
    with out.progress("write splits", total=len(parts), unit="splits") as bar:
        for name, part in parts.items():
            write_kept(out, part, name)
            evidence.append(num_records(f"{name}_records", len(part), of=len(before), how="count"))
            bar.advance(1, note=name)
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    return Draft(DatasetArtifact, tuple(evidence), f"{len(before):,} records split by document: {sizes}.")


def _split_shards(out: Workdir, shards: Sequence[Path], config: SplitConfig) -> Draft[DatasetArtifact]:
    """Split shard by shard; a record's place follows from its own text alone."""
    if isinstance(config.sizes, ByCount):
        raise RecipeError(
            f"sizes is by_count, which holds all records in memory, and they have more than {_MAX_HELD_BYTES:,} bytes; "
            "give {kind: by_fraction, validation: 0.01, test: 0.01}"
        )
    labels: dict[Split, Counter[str]] = {name: Counter() for name in SPLITS}
    counts = Counter[str]()
    work = _Splitting(config.sizes, config.seed)
    done = run_shards(out, shards, work, step="split", engine=config.engine)
    for index, (_, folder) in enumerate(done):
        for name in SPLITS:
            (folder / f"{name}.parquet").rename(out / f"data/{name}-{index:05d}.parquet")
            found = Counter(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
            counts[name] += found.pop("", 0) + found.total()
            labels[name] += found
    _check_counts({name: counts[name] for name in SPLITS}, labels)
    of = counts.total()
    evidence = tuple(num_records(f"{name}_records", counts[name], of=of, how="count") for name in SPLITS)
    sizes = ", ".join(f"{counts[name]:,} {name}" for name in SPLITS)
    return Draft(DatasetArtifact, evidence, f"{of:,} records split by document: {sizes}.")


@dataclass(frozen=True)
class _Splitting:
    """Split one shard."""

    sizes: ByFraction
    seed: int

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        labels = {name: Counter[str]() for name in SPLITS}
        with ExitStack() as stack:
            files = {
                name: stack.enter_context(ShardWriter(folder / f"{name}.parquet", kept_schema())) for name in SPLITS
            }
            for rows in read_tables(shard):
                draws = np.array([_draw(text, self.seed) for text in rows.column("text").to_pylist()])
                is_test, is_validation = draws < self.sizes.test, draws >= 1 - self.sizes.validation
                places = {"train": ~is_test & ~is_validation, "validation": is_validation, "test": is_test}
                for name in SPLITS:
                    part = rows.filter(places[name])
                    files[name].write(part)
                    labels[name].update(label or "" for label in part.column("label").to_pylist())
                advance(rows.num_rows)
        for name in SPLITS:
            (folder / f"{name}.json").write_text(json.dumps(labels[name]), encoding="utf-8")


def divide(records: Sequence[Record], config: SplitConfig) -> dict[Split, list[Record]]:
    """Give each record its place by a hash of its text's normal form and the seed; equal texts share a fraction's place."""
    drawn = sorted(((_draw(record.text, config.seed), record.id, record) for record in records), key=lambda d: d[:2])
    ordered = [record for *_, record in drawn]
    match config.sizes:
        case ByFraction(validation=validation, test=test):
            num_test = sum(draw < test for draw, *_ in drawn)
            num_validation = sum(draw >= 1 - validation for draw, *_ in drawn)
        case ByCount(validation=num_validation, test=num_test):
            if num_validation + num_test >= len(records):
                raise RecipeError(
                    f"validation={num_validation} and test={num_test} leave nothing of {len(records)} records to "
                    "train on; hold out fewer or collect more"
                )
        case _:
            assert_never(config.sizes)
    end = len(ordered) - num_validation
    return dict(zip(SPLITS, (ordered[num_test:end], ordered[end:], ordered[:num_test]), strict=True))


def _draw(text: str, seed: int) -> float:
    """Draw a number in [0, 1) that belongs to this text and seed."""
    digest = hashlib.sha256(f"{seed}/{normal_form(text) or text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def _check(parts: dict[Split, list[Record]]) -> None:
    labels = {name: Counter(r.label for r in part if r.label is not None) for name, part in parts.items()}
    _check_counts({name: len(part) for name, part in parts.items()}, labels)


def _check_counts(sizes: dict[Split, int], labels: dict[Split, Counter[str]]) -> None:
    for name, size in sizes.items():
        if not size:
            raise RecipeError(f"split {name!r} would be empty; hold out another share or collect more records")
    everywhere = sum(labels.values(), Counter[str]())
    for name, found in labels.items():
        missing = everywhere.keys() - found.keys()
        if missing:
            label = min(sorted(missing), key=lambda m: everywhere[m])
            raise RecipeError(
                f"no record with label {label!r} ({everywhere[label]} in all) fell into {name!r}; "
                "hold out more, collect more of it, or leave the label out"
            )
