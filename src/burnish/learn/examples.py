"""Examples of a dataset artifact that are more than a text and a label: conversations, and pairs of answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from burnish.artifacts import DatasetArtifact
from burnish.errors import BurnishError
from burnish.runtime import need

E = TypeVar("E")


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """Turns, of which the assistant's are learnt."""

    id: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Preference:
    """Turns up to an answer, and two answers of which people prefer the first."""

    id: str
    turns: tuple[Turn, ...]
    chosen: str
    rejected: str


def read_conversations(dataset: DatasetArtifact, split: str, *, at_most: int | None = None) -> list[Conversation]:
    """Read the conversations of a split, in order.

    Raises:
        BurnishError: the split is empty, or the dataset holds examples of another kind.
    """
    return _read(dataset, split, "conversation", at_most, lambda name, row: Conversation(name, _turns(row["turns"])))


def read_preferences(dataset: DatasetArtifact, split: str, *, at_most: int | None = None) -> list[Preference]:
    """Read the pairs of answers of a split, in order. Raises as `read_conversations` does."""
    return _read(
        dataset,
        split,
        "preference",
        at_most,
        lambda name, row: Preference(name, _turns(row["turns"]), row["chosen"], row["rejected"]),
    )


def _turns(rows: list[dict[str, str]]) -> tuple[Turn, ...]:
    return tuple(Turn(row["role"], row["content"]) for row in rows)


def _read(
    dataset: DatasetArtifact, split: str, kind: str, at_most: int | None, make: Callable[[str, dict[str, Any]], E]
) -> list[E]:
    """Read data/SPLIT*.parquet with the columns `id`, `kind` and `example` (JSON)."""
    parquet = need("pyarrow.parquet", extra="data")
    found: list[E] = []
    for path in sorted((dataset.payload / "data").glob(f"{split}*.parquet")):
        columns = set(parquet.read_schema(path).names)
        if not {"id", "kind", "example"} <= columns:
            raise BurnishError(
                f"{dataset.label} holds plain records, not examples of kind {kind}; take it by `examples`"
            )
        for row in parquet.read_table(path, columns=["id", "kind", "example"]).to_pylist():
            if row["kind"] != kind:
                raise BurnishError(
                    f"example {row['id']} of {dataset.label} is a {row['kind']}; this stage learns {kind}s"
                )
            found.append(make(row["id"], json.loads(row["example"])))
    if not found:
        raise BurnishError(f"{dataset.label} holds no {kind}s in split {split!r}")
    return found[:at_most]
