"""Files of the user's own: each read by what its name says it is; what cannot be used is kept aside with its reason."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from burnish.data.readers.batches import Batch, Place, Tray
from burnish.data.readers.columns import Origin, file_aside, to_record
from burnish.data.readers.extract import DocumentLimits
from burnish.data.readers.extractors import Extracted, extract_ahead
from burnish.data.readers.file_rows import FileOptions, file_rows, format_of
from burnish.data.readers.jsonl import read_json_lines
from burnish.data.readers.parquet import read_parquet
from burnish.data.readers.rows import UnusableFile
from burnish.data.readers.streams import open_stream
from burnish.data.readers.walk import Found, walk
from burnish.data.records import Rejection


@dataclass(frozen=True)
class FileReading:
    """Say which files a source has, and how they are read.

    Attributes:
        source: its name, with which the ids by place begin; the file's own follows unless the reading is strict.
        label_from: where the label comes from: a column, the file's name without suffix, or its folder's name.
    """

    root: Path
    source: str
    options: FileOptions
    pattern: str = "**/*"
    label_from: Literal["row", "file", "folder"] = "row"
    limits: DocumentLimits = field(default_factory=DocumentLimits)

    def origin(self, found: Found) -> Origin:
        """Say where the rows of a file come from."""
        if self.options.is_strict:
            return Origin(self.source, self.source)
        path = Path(found.name)
        label = {"row": None, "file": path.name.split(".")[0], "folder": path.parent.name or self.root.name}
        return Origin(self.source, f"{self.source}:{found.name}", label[self.label_from] or None)

    def total_bytes(self) -> int:
        """Measure what there is to read."""
        return sum(found.num_bytes for found in walk(self.root, self.pattern))

    def request(self, item: tuple[int, Found]) -> dict[str, Any] | None:
        """Give what an extractor is asked for a file, None where none is needed."""
        _, found = item
        kind = format_of(found.name)
        columns = self.options.columns
        if kind not in ("html", "pdf") or found.fault is not None:
            return None
        if kind == "html" and found.num_bytes > columns.max_row_bytes:
            return None
        bounds = {"max_document_bytes": columns.max_document_bytes, "max_page_bytes": columns.max_row_bytes}
        return {"kind": kind, "path": str(found.path), **bounds}


def read_files(reading: FileReading, place: Place) -> Iterator[Batch]:
    """Read the files of a source, from `place` on.

    Raises:
        RecipeError: there is nothing at the source's path.
        UnusableFile: the reading is strict, and the file cannot be used.
    """
    tray = Tray()
    found = ((index, found) for index, found in enumerate(walk(reading.root, reading.pattern)) if index >= place.item)
    processes = len(os.sched_getaffinity(0))
    after = place
    for (index, file), extracted in extract_ahead(found, reading.request, reading.limits, processes):
        at = place if index == place.item else Place(index)
        try:
            yield from _read_one(reading, file, extracted, at, tray)
        except (UnusableFile, OSError) as error:
            fault = _unusable(error)
            if reading.options.is_strict:
                raise fault from error
            origin = reading.origin(file)
            tray.put(file_aside(origin, fault.rejection, str(fault)), origin.prefix)
        after = Place(index + 1)
        if tray.is_full:
            yield tray.empty(after)
    if not tray.is_empty:
        yield tray.empty(after)


def _read_one(
    reading: FileReading, found: Found, extracted: Extracted | None, at: Place, tray: Tray
) -> Iterator[Batch]:
    """Read one file: in tables of its own, or row by row into the tray that small files share."""
    if found.fault is not None:
        raise UnusableFile(*found.fault)
    origin = reading.origin(found)
    num_rows = at.row
    if format_of(found.name) in ("jsonl", "parquet"):
        if not tray.is_empty:
            yield tray.empty(at)
        for batch in _tables(reading, found, origin, at):
            num_rows = batch.place.row
            yield batch
    else:
        done_bytes = 0
        for row, read_bytes in file_rows(found, extracted, reading.options):
            num_rows = row.number + 1
            if row.number >= at.row:
                tray.read_bytes += read_bytes - done_bytes
                tray.put(to_record(row, reading.options.columns, origin), origin.place(row.number))
                if tray.is_full:
                    yield tray.empty(Place(at.item, num_rows))
            done_bytes = read_bytes
        tray.read_bytes += found.num_bytes - done_bytes
    if num_rows == 0:
        raise UnusableFile(Rejection("empty_file"), "holds no rows; give a file with text in it")


def _tables(reading: FileReading, found: Found, origin: Origin, at: Place) -> Iterator[Batch]:
    columns = reading.options.columns
    if format_of(found.name) == "parquet":
        yield from read_parquet(found.path, columns, origin, at)
        return
    with open_stream(found.path) as stream:
        yield from read_json_lines(stream, columns, origin, at)


def _unusable(error: UnusableFile | OSError) -> UnusableFile:
    if isinstance(error, UnusableFile):
        return error
    return UnusableFile(Rejection("unreadable_file"), f"cannot be read ({error.strerror or error})")
