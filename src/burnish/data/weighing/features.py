"""Features: records as rows of numbers, read from their `meta` or made from their text, for methods that need a space."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.data.scoring.embed import Encoder, HashedNgrams, encode
from burnish.data.shards import read_tables
from burnish.errors import RecipeError

VECTOR_KEY = "vector"
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class MetaColumns:
    """Take numbers that stand in `meta`: columns of a table, one key each.

    Attributes:
        names: keys, in order; empty takes every key with a number in the first record.
    """

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextVectors:
    """Make a vector of each text; it is written into `meta` under `vector`, so that a classifier has what was used."""

    encoder: Encoder = field(default_factory=HashedNgrams)


Features = MetaColumns | TextVectors


@dataclass(frozen=True)
class FeatureTable:
    """Hold N labelled records as numbers.

    Attributes:
        names: of the columns; a vector's are empty.
        values: (N, D).
    """

    ids: list[str]
    labels: list[str]
    sources: list[str]
    names: tuple[str, ...]
    values: Matrix


def read_features(shards: Sequence[Path], features: Features, *, max_values: int) -> FeatureTable:
    """Read the labelled records of some shards into memory.

    Args:
        max_values: numbers that may be held, 4 bytes each; a method may take a few times as much.

    Raises:
        RecipeError: a record lacks a feature, there are more than `max_values`, or none is labelled.
    """
    ids, labels, sources = list[str](), list[str](), list[str]()
    names: tuple[str, ...] = ()
    parts, held = list[Matrix](), 0
    for rows in _labelled(shards):
        if isinstance(features, MetaColumns) and not names:
            names = features.names or _number_names(rows.column("meta")[0].as_py())
        values = _values(rows, features, names)
        held += values.size
        if held > max_values:
            raise RecipeError(
                f"the features of the training records are more than {max_values:,} numbers; raise max_values (4 bytes "
                "each), take fewer features, or keep records by_chance, which needs none"
            )
        parts.append(values)
        ids += rows.column("id").to_pylist()
        labels += rows.column("label").to_pylist()
        sources += rows.column("source").to_pylist()
    if not ids:
        raise RecipeError("no training record has a label; collect labels first")
    return FeatureTable(ids, labels, sources, names, np.concatenate(parts))


def with_vectors(rows: Any, encoder: Encoder) -> Any:
    """Give a table's rows with each text's vector in `meta`."""
    vectors = encode(rows.column("text").to_pylist(), encoder)
    metas = [
        json.dumps({**json.loads(meta or "{}"), VECTOR_KEY: plain(vector)}, ensure_ascii=False)
        for meta, vector in zip(rows.column("meta").to_pylist(), vectors, strict=True)
    ]
    return rows.set_column(rows.schema.get_field_index("meta"), "meta", [metas])


def plain(vector: NDArray[np.float32]) -> list[float]:
    """Give a vector's numbers for JSON, to the seven digits that a float of 32 bits has."""
    return [float(f"{value:.7g}") for value in vector.tolist()]


def _labelled(shards: Sequence[Path]) -> Iterator[Any]:
    for shard in shards:
        for rows in read_tables(shard):
            chosen = rows.filter(rows.column("label").is_valid())
            if chosen.num_rows:
                yield chosen


def _values(rows: Any, features: Features, names: tuple[str, ...]) -> Matrix:
    match features:
        case MetaColumns():
            pairs = zip(rows.column("id").to_pylist(), rows.column("meta").to_pylist(), strict=True)
            return np.array([_numbers(identity, meta, names) for identity, meta in pairs], np.float32)
        case TextVectors(encoder=encoder):
            return encode(rows.column("text").to_pylist(), encoder)
        case _:
            assert_never(features)


def _number_names(meta: str | None) -> tuple[str, ...]:
    found = tuple(key for key, value in json.loads(meta or "{}").items() if _is_number(value))
    if not found:
        raise RecipeError("the first record's meta holds no number; name the features, or use text_vectors")
    return found


def _numbers(identity: str, meta: str | None, names: tuple[str, ...]) -> list[float]:
    values = json.loads(meta or "{}")
    for name in names:
        if not _is_number(values.get(name)):
            raise RecipeError(
                f"feature {name!r} of record {identity} is {values.get(name)!r}; it must be a finite number in meta"
            )
    return [float(values[name]) for name in names]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
