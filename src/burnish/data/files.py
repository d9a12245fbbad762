"""Files of the user's own: read row by row; a row that cannot be used is kept aside with its reason."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from burnish.data.records import Record, Rejected, Rejection
from burnish.data.sources import LocalFile
from burnish.errors import RecipeError
from burnish.runtime import need

FILE_RULES = ("malformed_row", "invalid_utf8", "missing_text", "missing_label")
_PLAIN_KEY = "text"


@dataclass(frozen=True)
class _Row:
    """One row as found: its number from 0, its values where it has any, and its raw text for the people who repair it."""

    number: int
    values: Mapping[str, object] | None
    raw: str = ""


def read_file(source: LocalFile, name: str) -> tuple[list[Record], list[Rejected]]:
    """Read a file into records and rows set aside.

    Raises:
        RecipeError: the file cannot be opened, no row has the column asked for, or no row can be used.
    """
    kept: list[Record] = []
    rejected: list[Rejected] = []
    columns: dict[str, None] = {}  # a set that remembers the file's order
    try:
        for row in _rows(source):
            columns.update(dict.fromkeys(row.values or ()))
            result = _record(row, source, name)
            if isinstance(result, Record):
                kept.append(result)
            else:
                rejected.append(result)
    except OSError as error:
        raise RecipeError(f"{source.path} cannot be read ({error.strerror}); give a file that can") from error
    for key in (source.text_key, source.label_key):
        if key is not None and columns and key not in columns:
            raise RecipeError(f"no row of {source.path.name} has {key!r}; its columns are: {', '.join(columns)}")
    if not kept:
        raise RecipeError(_nothing_usable(source.path, rejected))
    return kept, rejected


def _record(row: _Row, source: LocalFile, name: str) -> Record | Rejected:
    identity = f"{name}:{row.number}"
    if row.values is None:
        broken = not _is_utf8(row.raw)
        return _aside(identity, row.raw, None, name, "invalid_utf8" if broken else "malformed_row")
    text = row.values.get(source.text_key)
    raw = row.raw or str(text or "")
    label = None if source.label_key is None else _label(row.values.get(source.label_key))
    if not isinstance(text, str) or not text.strip():
        return _aside(identity, raw, label, name, "missing_text")
    if not _is_utf8(text) or not _is_utf8(label or ""):
        return _aside(identity, text, label, name, "invalid_utf8")
    if source.label_key is not None and label is None:
        return _aside(identity, text, None, name, "missing_label")
    return Record(identity, text, label, name)


def _aside(identity: str, raw: str, label: str | None, name: str, rule: str) -> Rejected:
    return Record(identity, _writable(raw), None if label is None else _writable(label), name), Rejection(rule)


def _label(value: object) -> str | None:
    match value:
        case str():
            return value.strip() or None
        case bool() | int() | float():
            return str(value)
        case _:
            return None


def _rows(source: LocalFile) -> Iterator[_Row]:
    match source.path.suffix.lower():
        case ".jsonl":
            return _json_lines(source.path)
        case ".json":
            return _json_list(source.path)
        case ".csv":
            return _csv_rows(source.path)
        case ".parquet":
            return _parquet_rows(source)
        case _:
            return _paragraphs(source.path)


def _paragraphs(path: Path) -> Iterator[_Row]:
    number, lines = 0, list[str]()
    for line in chain(_lines(path), [""]):
        if line.strip():
            lines.append(line)
        elif lines:
            yield _Row(number, {_PLAIN_KEY: "".join(lines).strip()})
            number, lines = number + 1, []


def _json_lines(path: Path) -> Iterator[_Row]:
    for number, line in enumerate(_lines(path)):
        if line.strip():
            try:
                yield _object(number, json.loads(line), line)
            except (ValueError, RecursionError):
                yield _Row(number, None, line)


def _json_list(path: Path) -> Iterator[_Row]:
    try:
        values = json.loads("".join(_lines(path)))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path.name} is not JSON ({error}); if each line is an object, name it .jsonl") from error
    if not isinstance(values, list):
        raise RecipeError(f"{path.name} holds a JSON {type(values).__name__}; it must be a list of objects")
    for number, value in enumerate(values):
        yield _object(number, value, json.dumps(value, ensure_ascii=False))


def _object(number: int, value: Any, raw: str) -> _Row:
    return _Row(number, value if isinstance(value, dict) else None, raw)


def _csv_rows(path: Path) -> Iterator[_Row]:
    consumed: list[str] = []

    def tape(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            consumed.append(line)
            yield line

    with _long_fields():
        reader = csv.reader(tape(_lines(path)), strict=True)
        header = next(reader, None) or []
        number = 0
        while True:
            consumed.clear()
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield _Row(number, None, "".join(consumed))
            else:
                if not values:
                    continue
                is_whole = len(values) == len(header)
                yield _Row(number, dict(zip(header, values, strict=False)) if is_whole else None, "".join(consumed))
            number += 1


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift csv's limit of 131,072 characters a field, which a document passes easily."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _parquet_rows(source: LocalFile) -> Iterator[_Row]:
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    keys = [key for key in (source.text_key, source.label_key) if key is not None]
    try:
        with parquet.ParquetFile(source.path) as file:
            there = file.schema_arrow.names
            if any(key not in there for key in keys):
                yield _Row(0, dict.fromkeys(there))  # the caller names the columns there are
                return
            number = 0
            for batch in file.iter_batches(columns=keys):
                columns = [_values(arrow, batch.column(key)) for key in keys]
                for values in zip(*columns, strict=True):
                    yield _Row(number, dict(zip(keys, values, strict=True)))
                    number += 1
    except arrow.ArrowException as error:
        raise RecipeError(f"{source.path.name} cannot be read as Parquet ({error})") from error


def _values(arrow: Any, column: Any) -> list[object]:
    """Give a column's Python values; Parquet promises UTF-8 and does not check it, so texts are decoded here."""
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type)):
        values: list[object] = column.to_pylist()
        return values
    texts: list[bytes | None] = column.cast(arrow.large_binary()).to_pylist()
    return [None if text is None else text.decode("utf-8", "surrogateescape") for text in texts]


def _lines(path: Path) -> Iterator[str]:
    """Read lines; bytes that are no UTF-8 come through as lone surrogates, to be found in the row they spoil."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        yield from file


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _writable(text: str) -> str:
    """Put the replacement character for every byte or half character that UTF-8 cannot hold."""
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def _nothing_usable(path: Path, rejected: list[Rejected]) -> str:
    if not rejected:
        return f"{path.name} holds no rows; give a file with text in it"
    rule, count = Counter(rejection.rule for _, rejection in rejected).most_common(1)[0]
    hint = " Is it in another encoding? Convert it: iconv -f gb18030 -t utf-8." if rule == "invalid_utf8" else ""
    return f"no row of {path.name} can be used: {count} of {len(rejected)} are set aside by {rule}.{hint}"
