"""Sources of examples: the user's own files, and a small corpus of dialogues that may be passed on."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

import yaml  # type: ignore[import-untyped]  # it brings no types

from burnish.errors import RecipeError
from burnish.runtime import need
from burnish.runtime.assets import fetch
from burnish.train.formats import Format, Unusable

Split = Literal["train", "validation", "test"]

SUFFIXES = (".jsonl", ".json", ".parquet")
_FOLDERS = {"en": "english", "zh": "chinese", "zh_hant": "traditionalchinese"}
_OTHER_ANSWERS = ("computers", "emotion")  # there, lines after the second answer the first line again


@dataclass(frozen=True)
class ExampleFiles:
    """Take the user's own file, or the files of a folder and the folders below it: .jsonl, .json (a list), .parquet.

    Attributes:
        path: UTF-8. Its content, not its name, enters the lineage.
        format: what a record's keys mean; auto goes by the keys of each record.
        split: where its examples go; by_id draws a place for each.
    """

    path: Path
    format: Format = "auto"
    split: Literal["by_id", "train", "validation", "test"] = "by_id"

    def __post_init__(self) -> None:
        if self.path.suffix and self.path.suffix not in SUFFIXES and not self.path.is_dir():
            raise RecipeError(f"path is {self.path}; it must be a folder, or end in one of: {', '.join(SUFFIXES)}")


@dataclass(frozen=True)
class ChatterbotCorpus:
    """Take the dialogues of the `chatterbot-corpus` asset: small talk, trivia and help, written by volunteers.

    Attributes:
        language: English, Chinese in simplified or in traditional characters.
    """

    language: Literal["en", "zh", "zh_hant"] = "en"


ExampleSource = ExampleFiles | ChatterbotCorpus


@dataclass(frozen=True)
class Given:
    """One record as its source gave it.

    Attributes:
        source: the file, without its suffix.
        row: in that file, from 0.
        record: plain values, or why there are none.
    """

    source: str
    row: int
    record: object
    form: Format
    split: Split | None


def read_source(source: ExampleSource, say: Callable[[str], None]) -> Iterator[Given]:
    """Read the records of a source, in a fixed order.

    Args:
        say: told what is downloaded.

    Raises:
        RecipeError: the source is no file of a known kind.
    """
    match source:
        case ExampleFiles():
            split = None if source.split == "by_id" else source.split
            for path, name in _files(source.path):
                for row, record in enumerate(_records(path)):
                    yield Given(name, row, record, source.format, split)
        case ChatterbotCorpus():
            folder = fetch("chatterbot-corpus", say=say) / _FOLDERS[source.language]
            for path in sorted(folder.glob("*.yml")):
                for row, lines in enumerate(_dialogues(path)):
                    yield Given(f"{folder.name}/{path.stem}", row, lines, "openai", None)
        case _:
            assert_never(source)


def _files(path: Path) -> list[tuple[Path, str]]:
    """List files with their names in ids, sorted by these."""
    if not path.is_dir():
        return [(path, path.stem)]
    found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise RecipeError(f"folder {path} holds no file that ends in one of: {', '.join(SUFFIXES)}")
    return [(file, file.relative_to(path).with_suffix("").as_posix()) for file in found]


def _records(path: Path) -> Iterator[object]:
    match path.suffix:
        case ".jsonl":
            with path.open("rb") as file:
                for line in file:
                    if line.strip():
                        yield _parsed(line)
        case ".json":
            rows = _parsed(path.read_bytes())
            if not isinstance(rows, list):
                reason = rows.detail if isinstance(rows, Unusable) else f"a {type(rows).__name__}"
                raise RecipeError(f"{path} holds {reason}; a .json file must hold a list of examples")
            yield from rows
        case ".parquet":
            yield from _parquet_rows(path)
        case _:
            raise RecipeError(f"path is {path}; its suffix must be one of: {', '.join(SUFFIXES)}")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return Unusable("broken_json", f"no JSON ({error})")


def _parquet_rows(path: Path) -> Iterator[object]:
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise RecipeError(f"{path} cannot be read as Parquet ({error})") from error


def _dialogues(path: Path) -> Iterator[object]:
    """Read one topic of the corpus; a last line that nobody answers is left out."""
    for lines in yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]:
        if not isinstance(lines, list):
            yield Unusable("no_turns", "a dialogue is no list of lines")
        elif path.stem in _OTHER_ANSWERS:
            yield from (_messages([lines[0], answer]) for answer in lines[1:])
        else:
            yield _messages(lines[: len(lines) // 2 * 2])


def _messages(lines: list[str]) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[index % 2], "content": line} for index, line in enumerate(lines)]}
