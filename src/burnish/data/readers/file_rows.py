"""File rows: the rows of one file, read by what its name says it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from burnish.data.readers.columns import Columns, Row, oversized
from burnish.data.readers.extractors import Extracted
from burnish.data.readers.json_list import json_list
from burnish.data.readers.roff import is_roff, roff_text
from burnish.data.readers.rows import UnusableFile, csv_rows, paragraphs, text_lines, whole_text, with_columns
from burnish.data.readers.streams import Stream, open_stream
from burnish.data.readers.walk import Found
from burnish.data.records import Rejection

Format = Literal["text", "html", "pdf", "json", "jsonl", "csv", "tsv", "parquet", "roff"]
SplitInto = Literal["document", "paragraph", "line"]

FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".md": "text",
    ".rst": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_PACKED = ("text", "html", "json", "jsonl", "csv", "tsv", "roff")  # may come as .gz too
_MAN_PAGE = re.compile(r"\.[1-9][a-z]*")  # ls.1, perlfunc.1perl


@dataclass(frozen=True)
class FileOptions:
    """Say how files are read.

    Attributes:
        split: what is one record of a text file.
        is_strict: JSON has to be a list; a lone object is none.
    """

    columns: Columns
    split: SplitInto = "document"
    is_strict: bool = False


def format_of(name: str) -> Format | None:
    """Tell the format of a file by its name; None for what is not read."""
    path = Path(name.lower())
    is_packed = path.suffix == ".gz"
    suffix = Path(path.stem).suffix if is_packed else path.suffix
    kind = FORMATS.get(suffix) or ("roff" if _MAN_PAGE.fullmatch(suffix) else None)
    return None if is_packed and kind not in _PACKED else kind


def file_rows(found: Found, extracted: Extracted | None, options: FileOptions) -> Iterator[tuple[Row, int]]:
    """Read a file row by row; with each row comes how many of the file's bytes were read so far.

    Args:
        extracted: the text of an HTML or PDF file.

    Raises:
        UnusableFile: the rest of it cannot be used.
        OSError: it cannot be opened.
    """
    kind = format_of(found.name)
    if extracted is not None:
        yield _extracted_row(extracted, options.columns), found.num_bytes
    elif kind == "html":  # too long to be handed to an extractor
        yield Row(0, None, "", oversized(found.num_bytes, options.columns.max_row_bytes)), found.num_bytes
    elif kind is None:
        kinds = ", ".join(FORMATS)
        reason = f"is of no kind that is read here; these are: {kinds}, manual pages"
        raise UnusableFile(Rejection("unknown_format"), reason)
    else:
        with open_stream(found.path) as stream:
            for row in _until_break(_rows(kind, stream, options), stream):
                yield row, stream.position_bytes


def _rows(kind: Format, stream: Stream, options: FileOptions) -> Iterator[Row]:
    columns = options.columns
    match kind:
        case "json":
            return with_columns(json_list(stream, columns, or_object=not options.is_strict), columns)
        case "csv" | "tsv":
            return with_columns(csv_rows(stream, columns, "," if kind == "csv" else "\t"), columns)
        case "roff":
            return (_unrolled(row, columns) for row in whole_text(stream, columns))
        case _:
            readers = {"document": whole_text, "paragraph": paragraphs, "line": text_lines}
            return readers[options.split](stream, columns)


def _until_break(rows: Iterator[Row], stream: Stream) -> Iterator[Row]:
    """Hand rows on; where the stream broke off, the last one may be half a row and is left out.

    Raises:
        UnusableFile: the stream broke off.
    """
    held: Row | None = None
    fault: UnusableFile | None = None
    try:
        for row in rows:
            if held is not None:
                yield held
            held = row
    except UnusableFile as error:
        fault = error
    if stream.fault is not None:
        raise UnusableFile(*stream.fault)
    if held is not None:
        yield held
    if fault is not None:
        raise fault


def _unrolled(row: Row, columns: Columns) -> Row:
    text = (row.values or {}).get(columns.text_key)
    if not isinstance(text, str) or not is_roff(text):
        return row
    return replace(row, values={columns.text_key: roff_text(text)})


def _extracted_row(extracted: Extracted, columns: Columns) -> Row:
    if extracted.fault is None:
        return Row(0, {**extracted.values, columns.text_key: extracted.text})
    rejection, reason = extracted.fault
    if rejection.rule == "oversized_document":
        return Row(0, None, "", rejection)
    raise UnusableFile(rejection, reason)
