"""Split: train, validation and test by document, so that a document's place follows from its own text."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.data.flow import num_records
from burnish.data.records import Record, Split, read_kept, write_kept
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime import Workdir

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


def split(out: Workdir, records: DatasetArtifact, *, config: SplitConfig) -> Draft[DatasetArtifact]:
    """Write `data/train.parquet`, `data/validation.parquet` and `data/test.parquet`, each in a fixed random order.

    Raises:
        RecipeError: a split would be empty, or would lack a label that the records have.
    """
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


def divide(records: Sequence[Record], config: SplitConfig) -> dict[Split, list[Record]]:
    """Give each record its place by a hash of its text's normal form and the seed; equal texts share a fraction's place."""
    drawn = sorted(((_draw(record, config.seed), record.id, record) for record in records), key=lambda d: d[:2])
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


def _draw(record: Record, seed: int) -> float:
    """Draw a number in [0, 1) that belongs to this text and seed."""
    text = normal_form(record.text) or record.text
    digest = hashlib.sha256(f"{seed}/{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def _check(parts: dict[Split, list[Record]]) -> None:
    for name, part in parts.items():
        if not part:
            raise RecipeError(f"split {name!r} would be empty; hold out another share or collect more records")
    labels = Counter(record.label for part in parts.values() for record in part if record.label is not None)
    for name, part in parts.items():
        missing = [label for label in labels if label not in {record.label for record in part}]
        if missing:
            label = min(missing, key=lambda m: labels[m])
            raise RecipeError(
                f"no record with label {label!r} ({labels[label]} in all) fell into {name!r}; "
                "hold out more, collect more of it, or leave the label out"
            )
