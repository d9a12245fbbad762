"""Sources: where records come from, as values of a recipe, and how the packaged ones are read."""

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.data.records import Record
from burnish.errors import RecipeError
from burnish.runtime.assets import fetch

FILE_SUFFIXES = (".txt", ".md", ".jsonl", ".json", ".csv", ".parquet")
_PLAIN_SUFFIXES = (".txt", ".md")
_GENERAL = {"Abirate/english_quotes": "quotes", **{name: name for name in ("wikipedia", "c4", "openwebtext", "oscar")}}
_RANDOM = ("RandomCharAndNumberDataset", "RandomWordsDataset")


@dataclass(frozen=True)
class SarcasmHeadlines:
    """Take real news headlines with a label, serious or sarcastic (28,614 in the `sarcasm-headlines` asset).

    Attributes:
        num_records: how many, a sample by the recipe's seed; a smaller sample is the start of a larger one.
        labels: what to call a headline marked 0 and one marked 1.
    """

    num_records: int = 3000
    labels: tuple[str, ...] = ("serious", "sarcastic")

    def __post_init__(self) -> None:
        _at_least_one("num_records", self.num_records)
        if len(set(self.labels)) != 2 or not all(label.strip() for label in self.labels):
            raise RecipeError(f"labels is {list(self.labels)}; give two different names, for 0 and for 1")


@dataclass(frozen=True)
class RandomText:
    """Plant known-bad text: the 50 rows of random characters and 50 of random words of `text-compression`."""


@dataclass(frozen=True)
class GeneralText:
    """Take general text: Wikipedia, C4, OpenWebText, OSCAR and quotes of `text-compression`, without its code."""

    num_records: int = 250

    def __post_init__(self) -> None:
        _at_least_one("num_records", self.num_records)


@dataclass(frozen=True)
class LocalFile:
    """Take the user's own file: .txt or .md (one record a paragraph), .jsonl, .json (a list of objects), .csv, .parquet.

    Attributes:
        path: UTF-8. Its content, not its name, enters the lineage.
        text_key: the column that holds the text; plain text has no columns.
        label_key: the column that holds the label, if there is one.
    """

    path: Path
    text_key: str = "text"
    label_key: str | None = None

    def __post_init__(self) -> None:
        suffix = self.path.suffix.lower()
        if suffix not in FILE_SUFFIXES:
            near = difflib.get_close_matches(suffix, FILE_SUFFIXES, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise RecipeError(f"path is {self.path}; its suffix must be one of: {', '.join(FILE_SUFFIXES)}.{hint}")
        if self.is_plain and (self.label_key is not None or self.text_key != "text"):
            raise RecipeError(f"{self.path.name} is plain text and has no columns; leave text_key and label_key out")

    @property
    def is_plain(self) -> bool:
        """Tell plain text from rows with columns."""
        return self.path.suffix.lower() in _PLAIN_SUFFIXES


@dataclass(frozen=True)
class PlantedCopies:
    """Plant duplicates of records that the sources before this one gave, half of the test of deduplication.

    Attributes:
        num_exact: word for word copies.
        num_near: copies with one small edit: a word dropped, letters swapped, case, punctuation.
    """

    num_exact: int = 60
    num_near: int = 60

    def __post_init__(self) -> None:
        if self.num_exact < 0 or self.num_near < 0 or self.num_exact + self.num_near == 0:
            raise RecipeError(f"num_exact={self.num_exact}, num_near={self.num_near}; plant at least one copy, or none")


Source = SarcasmHeadlines | RandomText | GeneralText | LocalFile | PlantedCopies


def read_headlines(source: SarcasmHeadlines, name: str, seed: int, say: Callable[[str], None]) -> list[Record]:
    """Read the sampled headlines, in a fixed random order."""
    rows = [
        Record(f"{name}:{row}", line["input"][-1]["content"], source.labels[int(line["ideal"])], name)
        for row, line in _json_lines(fetch("sarcasm-headlines", say=say))
    ]
    return _sample(rows, source.num_records, seed, name)


def read_random(name: str, say: Callable[[str], None]) -> list[Record]:
    """Read the rows of random characters and random words, marked as planted."""
    lines = _json_lines(fetch("text-compression", say=say))
    return [
        Record(f"{name}:{row}", line["text"], None, name, "random") for row, line in lines if line["type"] in _RANDOM
    ]


def read_general(source: GeneralText, name: str, seed: int, say: Callable[[str], None]) -> list[Record]:
    """Read the sampled general texts, in a fixed random order."""
    rows = [
        Record(f"{name}:{row}", line["text"], None, f"{name}/{_GENERAL[line['type']]}")
        for row, line in _json_lines(fetch("text-compression", say=say))
        if line["type"] in _GENERAL
    ]
    return _sample(rows, source.num_records, seed, name)


def by_chance(records: Iterable[Record], seed: int, purpose: str) -> list[Record]:
    """Order records by a hash of their id: a shuffle that does not change when others are added."""

    def draw(record: Record) -> bytes:
        return hashlib.sha256(f"{seed}/{purpose}/{record.id}".encode()).digest()

    return sorted(records, key=draw)


def _sample(rows: list[Record], num_records: int, seed: int, name: str) -> list[Record]:
    if num_records > len(rows):
        raise RecipeError(f"{name}: num_records is {num_records}; this source has {len(rows)}")
    return by_chance(rows, seed, "sample")[:num_records]


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for row, line in enumerate(file):
            yield row, json.loads(line)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise RecipeError(f"{name} is {value}; it must be at least 1")
