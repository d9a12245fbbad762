"""JSON lines at speed: blocks of whole lines parsed to Arrow at once; a block with anything odd is read row by row.

Both ways give the same records: the row reader is the definition, the block reader the fast path.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.readers.batches import Batch, Place, Tray
from burnish.data.readers.columns import HEAD_CHARACTERS, Columns, Origin, Row, oversized, to_record
from burnish.data.readers.rows import UnusableFile, json_lines, with_columns
from burnish.data.readers.streams import Line, Stream, bytes_stream
from burnish.data.readers.tables import judge_table, sheet_of
from burnish.runtime import need

_BLOCK_BYTES = 4 << 20
_SAMPLE_BYTES = 64 << 10  # at the start of a block, to see the types of its columns


def read_json_lines(stream: Stream, columns: Columns, origin: Origin, place: Place) -> Iterator[Batch]:
    """Read one JSON object a line, from `place` on.

    Raises:
        UnusableFile: the first rows lack the column of the text, or of the label, or the stream broke off.
    """
    stream.skip(place.byte)
    at_bytes = stream.position_bytes
    for block in _blocks(stream, columns.max_row_bytes):
        if isinstance(block, Line):
            batch = _long_line(block, columns, origin, place)
        else:
            batch = _fast(block, columns, origin, place) or _slow(block, columns, origin, place)
        place = batch.place
        read_bytes, at_bytes = stream.position_bytes - at_bytes, stream.position_bytes
        yield replace(batch, read_bytes=read_bytes)
    if stream.fault is not None:
        raise UnusableFile(*stream.fault)


@dataclass(frozen=True)
class _Schema:
    """The columns to parse, and whether others are wanted too."""

    fields: Any
    others: str


def _blocks(stream: Stream, max_row_bytes: int) -> Iterator[bytes | Line]:
    """Cut the bytes into blocks of whole lines; a line that is too long comes alone, as its start."""
    while head := stream.file.read(_BLOCK_BYTES):
        tail = b"" if head.endswith(b"\n") else stream.file.readline(max_row_bytes)
        start = head.rfind(b"\n") + 1
        is_cut = len(tail) == max_row_bytes and not tail.endswith(b"\n")
        if stream.fault is not None and not (tail or head).endswith(b"\n"):
            head, tail = head[:start], b""  # the file breaks off in this line
            is_cut = False
        if not is_cut and len(head) - start + len(tail) <= max_row_bytes:
            if head:
                yield head + tail
            continue
        if start:
            yield head[:start]
        yield _skip_line(stream, head[start:], tail)


def _skip_line(stream: Stream, head: bytes, tail: bytes) -> Line:
    num_bytes = len(head) + len(tail)
    shown = (head + tail)[: 4 * HEAD_CHARACTERS].decode("utf-8", "replace")[:HEAD_CHARACTERS]
    while not tail.endswith(b"\n") and (tail := stream.file.readline(_BLOCK_BYTES)):
        num_bytes += len(tail)
    return Line(shown, num_bytes, is_too_long=True)


def _long_line(line: Line, columns: Columns, origin: Origin, place: Place) -> Batch:
    tray = Tray()
    row = Row(place.row, None, line.text, oversized(line.num_bytes, columns.max_row_bytes))
    tray.put(to_record(row, columns, origin), "")
    return tray.empty(Place(place.item, place.row + 1, place.byte + line.num_bytes))


def _slow(block: bytes, columns: Columns, origin: Origin, place: Place) -> Batch:
    tray = Tray()
    rows = json_lines(bytes_stream(block), columns, first=place.row)
    for row in with_columns(rows, columns) if place.row == 0 else rows:
        tray.put(to_record(row, columns, origin), origin.place(row.number))
    return tray.empty(Place(place.item, place.row + _num_lines(block), place.byte + len(block)))


def _fast(block: bytes, columns: Columns, origin: Origin, place: Place) -> Batch | None:
    """Parse a block at once; None where it is not surely one object a line, with columns of one type each.

    A block is read by what is in it alone, so that a run which resumes here gives the same.
    """
    schema = _schema(block, columns) if _is_one_object_a_line(block) else None
    table = None if schema is None else _parse(block, schema)
    if table is None or table.num_rows != _num_lines(block):
        return None
    sheet = sheet_of(table, columns)
    if sheet is None or (place.row == 0 and _lacks_a_column(sheet.text, sheet.label, columns)):
        return None

    def raw(rows: NDArray[np.int64]) -> list[str]:
        lines = block.split(b"\n")
        return [lines[row].decode("utf-8", "replace") for row in rows]

    return judge_table(sheet, columns, origin, place, next_byte=place.byte + len(block), raw=raw)


def _lacks_a_column(text: Any, label: Any, columns: Columns) -> bool:
    """Tell whether the first block has no text or no label at all; the row reader then says which columns there are."""
    if text.null_count == len(text):
        return True
    return columns.label_key is not None and (label is None or label.null_count == len(label))


def _is_one_object_a_line(block: bytes) -> bool:
    r"""Tell whether every line begins with { and ends with }, which no line inside a JSON value can do.

    Between "}" and a line's end, and between that and "{", JSON would need a comma: so no object crosses lines, every
    line holds at least one, and as many objects as lines are one a line.
    """
    if not block.startswith(b"{") or not block.endswith((b"}\n", b"}\r\n", b"}")):
        return False
    left = _num_lines(block) - 1 - block.count(b"}\n{")
    return left == 0 or left == block.count(b"}\r\n{")


def _num_lines(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _parse(block: bytes, schema: _Schema) -> Any:
    arrow, reader = need("pyarrow", extra="data"), need("pyarrow.json", extra="data")
    how = reader.ReadOptions(use_threads=False, block_size=len(block) + 1)
    what = reader.ParseOptions(explicit_schema=schema.fields, unexpected_field_behavior=schema.others)
    try:
        return reader.read_json(arrow.BufferReader(block), read_options=how, parse_options=what)
    except arrow.ArrowInvalid:
        return None


def _schema(block: bytes, columns: Columns) -> _Schema | None:
    """See the types of the columns at a block's start; None where they can only be read row by row.

    Arrow takes text that looks like a date for one, so what it calls a time is asked for as text.
    """
    arrow = need("pyarrow", extra="data")
    text = arrow.field(columns.text_key, arrow.string())
    sample = block[: block.find(b"\n", _SAMPLE_BYTES) + 1] or block
    seen = _parse(sample, _Schema(arrow.schema([text]), "infer"))
    if seen is None:
        return None
    fields = [text]
    for name in (*columns.keys, *columns.meta_keys):
        if name != columns.text_key:
            kind = seen.schema.field(name).type if name in seen.column_names else arrow.null()
            is_text = arrow.types.is_temporal(kind) or arrow.types.is_null(kind)
            fields.append(arrow.field(name, arrow.string() if is_text else kind))
    if columns.keep_meta:
        others = [
            field for field in seen.schema if field.name not in columns.keys and arrow.types.is_temporal(field.type)
        ]
        fields += [arrow.field(field.name, arrow.string()) for field in others]
    return _Schema(arrow.schema(fields), "infer" if columns.keep_meta else "ignore")
