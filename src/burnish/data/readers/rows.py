"""Rows: text files read one row at a time: JSON lines, CSV, paragraphs, lines, whole documents.

Memory stays bounded by the longest row that is allowed, whatever is in the file.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from burnish.data.readers.columns import HEAD_CHARACTERS, Columns, Row, oversized
from burnish.data.readers.streams import Line, Stream, read_lines, read_text
from burnish.data.records import Rejection

_CHECKED_ROWS = 1000  # at the start of a file, to see whether it has the columns asked for
_CHECKED_BYTES = 4 << 20


class UnusableFile(Exception):
    """Say that the rest of a file cannot be used: the rule, and the reason as a sentence without its subject."""

    def __init__(self, rejection: Rejection, reason: str) -> None:
        super().__init__(reason)
        self.rejection = rejection


def json_lines(stream: Stream, columns: Columns, first: int = 0) -> Iterator[Row]:
    """Read one JSON object a line, the first line numbered `first`."""
    for number, line in enumerate(read_lines(stream, columns.max_row_bytes, "\n"), start=first):
        if line.is_too_long:
            yield _too_long(number, line, columns.max_row_bytes)
        elif line.text.strip():
            try:
                yield object_row(number, json.loads(line.text), line.text)
            except (ValueError, RecursionError):
                yield Row(number, None, line.text)


def csv_rows(stream: Stream, columns: Columns, delimiter: str) -> Iterator[Row]:
    """Read rows below a header."""
    tape = _Tape(read_lines(stream, columns.max_row_bytes))
    with _field_limit(columns.max_document_bytes):
        reader = csv.reader(tape.lines(), strict=True, delimiter=delimiter)
        header = next(reader, None) or []
        number = 0
        while True:
            tape.clear()
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                is_long = str(error).startswith("field larger")
                yield tape.too_long(number, columns.max_document_bytes) if is_long else Row(number, None, tape.raw)
            else:
                if tape.long_bytes:
                    yield tape.too_long(number, columns.max_row_bytes)
                elif values:
                    whole = len(values) == len(header)
                    yield Row(number, dict(zip(header, values, strict=False)) if whole else None, tape.raw)
                else:
                    continue
            number += 1


def paragraphs(stream: Stream, columns: Columns) -> Iterator[Row]:
    """Read the texts between blank lines."""
    number, lines, num_bytes = 0, list[str](), 0
    for line in chain(read_lines(stream, columns.max_row_bytes), [Line("", 0)]):
        if line.text.strip():
            num_bytes += line.num_bytes
            if num_bytes <= columns.max_row_bytes:
                lines.append(line.text)
        elif num_bytes:
            text = "".join(lines).strip()
            if num_bytes > columns.max_document_bytes:
                yield Row(number, None, text or "", oversized(num_bytes, columns.max_document_bytes))
            else:
                yield Row(number, {columns.text_key: text})
            number, lines, num_bytes = number + 1, [], 0


def text_lines(stream: Stream, columns: Columns) -> Iterator[Row]:
    """Read every line that is not blank as a text of its own."""
    for number, line in enumerate(read_lines(stream, columns.max_row_bytes)):
        if line.is_too_long:
            yield _too_long(number, line, columns.max_row_bytes)
        elif line.text.strip():
            yield Row(number, {columns.text_key: line.text.strip()})


def whole_text(stream: Stream, columns: Columns) -> Iterator[Row]:
    """Read the file as one text."""
    text = read_text(stream, columns.max_document_bytes)
    if text is None:
        yield Row(0, None, "", oversized(stream.at_least_bytes, columns.max_document_bytes))
    elif text.strip():
        yield Row(0, {columns.text_key: text.strip()})


def with_columns(rows: Iterable[Row], columns: Columns) -> Iterator[Row]:
    """Hand rows on, once the first of them show that the columns asked for are there.

    Raises:
        UnusableFile: none of the first rows has the column of the text, or of the label.
    """
    rows = iter(rows)
    first: list[Row] = []
    there: dict[str, None] = {}  # a set that remembers the file's order
    num_bytes = 0
    fault: UnusableFile | None = None
    try:
        for row in rows:
            first.append(row)
            there.update(dict.fromkeys(row.values or ()))
            num_bytes += len(row.raw)
            if len(first) == _CHECKED_ROWS or num_bytes >= _CHECKED_BYTES:
                break
    except UnusableFile as error:
        fault = error
    if there:
        refuse_missing(there, columns)
    yield from first
    if fault is not None:
        raise fault
    yield from rows


def refuse_missing(there: Iterable[str], columns: Columns) -> None:
    """Check that the columns of the text and the label are there.

    Raises:
        UnusableFile: one is not.
    """
    names = list(there)
    for key in (columns.text_key, columns.label_key):
        if key is not None and key not in names:
            raise UnusableFile(
                Rejection("missing_column"), f"has no column {key!r}; its columns are: {', '.join(names)}"
            )


def object_row(number: int, value: Any, raw: str) -> Row:
    """Make a row of a JSON value; only an object has columns."""
    return Row(number, value if isinstance(value, dict) else None, raw)


def _too_long(number: int, line: Line, limit: int) -> Row:
    return Row(number, None, line.text, oversized(line.num_bytes, limit))


@dataclass
class _Tape:
    """The lines that a CSV reader has consumed for one row."""

    source: Iterator[Line]
    long_bytes: int = 0
    _lines: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        for line in self.source:
            self._lines.append(line.text)
            self.long_bytes += line.num_bytes if line.is_too_long else 0
            yield "\n" if line.is_too_long else line.text  # what is left of it has no meaning to a CSV reader

    def clear(self) -> None:
        self._lines.clear()
        self.long_bytes = 0

    @property
    def raw(self) -> str:
        return "".join(self._lines)

    def too_long(self, number: int, limit: int) -> Row:
        num_bytes = self.long_bytes or len(self.raw.encode("utf-8", "surrogateescape"))
        return Row(number, None, self.raw[:HEAD_CHARACTERS], oversized(num_bytes, limit))


@contextmanager
def _field_limit(num_characters: int) -> Iterator[None]:
    """Replace csv's limit of 131,072 characters a field, which a document passes easily."""
    limit = csv.field_size_limit(num_characters)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
