"""Tables: judge the rows of an Arrow table a column at a time, as `columns.to_record` judges them one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.readers.batches import Batch, Place, rejected_table
from burnish.data.readers.columns import HEAD_CHARACTERS, Columns, Origin, oversized
from burnish.data.records import Record, Rejected, Rejection
from burnish.data.shards import kept_schema
from burnish.runtime import need

_EXACT_DOUBLE = float(1 << 53)  # beyond, a JSON integer read as a double has lost digits

RawRows = Callable[[NDArray[np.int64]], list[str]]


@dataclass(frozen=True)
class Sheet:
    """Hold the columns of a table that have a meaning, all valid UTF-8; None where the source has no such column."""

    text: Any
    label: Any = None
    identity: Any = None
    meta: Any = None


def sheet_of(table: Any, columns: Columns) -> Sheet | None:
    """Take the columns that are asked for; None where one of them has to be read row by row.

    That is: a text that is no string, bytes that are no UTF-8, a label that is a float, nested values in `meta`.
    """
    arrow = need("pyarrow", extra="data")
    others = [name for name in table.column_names if name not in columns.keys]
    names = others if columns.keep_meta else columns.meta_keys
    if any(arrow.types.is_nested(table.schema.field(name).type) for name in _there(table, *columns.keys, *names)):
        return None  # before its chunks are touched: Arrow 26 cannot join those of a list of nulls
    text = _strings(_column(table, columns.text_key))
    if text is None:
        return None
    label = _label(_column(table, columns.label_key))
    identity = _identity(_column(table, columns.id_key))
    sources = [(name, _column(table, name)) for name in names]
    if columns.lang_key is not None:
        sources.insert(0, ("lang", _column(table, columns.lang_key)))
    known = [(name, column) for name, column in sources if column is not None]
    if any(column is False for column in (label, identity)) or not all(_is_plain(column) for _, column in known):
        return None
    try:
        for column in (text, label, identity, *(column for _, column in known)):
            if column is not None:
                column.validate(full=True)
    except arrow.ArrowInvalid:
        return None
    return Sheet(text, label, identity, _meta(known) if known else None)


def judge_table(
    sheet: Sheet, columns: Columns, origin: Origin, place: Place, *, raw: RawRows, next_byte: int = 0
) -> Batch:
    """Make a batch of the rows that begin at `place`.

    Args:
        raw: gives rows, by their index here, as they stand in the file.
        next_byte: of the file, after these rows.
    """
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    count = len(sheet.text)
    label = (
        sheet.label
        if columns.label_key is not None
        else arrow.array([origin.label], arrow.string()).take(_zeros(count))
    )
    numbers = arrow.array(np.arange(place.row, place.row + count))
    places = compute.binary_join_element_wise(origin.place(""), numbers.cast(arrow.string()), "")
    faults = _faults(sheet.text, label, columns)
    rejected = _rejected(sheet.text, label, places, faults, columns, origin, raw)
    good = {
        "id": places if sheet.identity is None else compute.coalesce(sheet.identity, places),
        "text": sheet.text,
        "label": label,
        "source": arrow.repeat(origin.source, count),
        "planted": arrow.repeat("", count),
        "meta": arrow.nulls(count, arrow.string()) if sheet.meta is None else sheet.meta,
    }
    kept = arrow.table([good[name] for name in kept_schema().names], schema=kept_schema())
    if rejected:
        mask = arrow.array(faults < 0)
        kept, places = kept.filter(mask), places.filter(mask)
    after = Place(place.item, place.row + count, next_byte)
    return Batch(kept, rejected_table(rejected), after, places=places)


_FAULTS = ("missing_text", "oversized_document", "missing_label")


def _faults(text: Any, label: Any, columns: Columns) -> NDArray[np.int8]:
    """Give the index in `_FAULTS` of the first rule that each row breaks, -1 where it breaks none."""
    compute = need("pyarrow.compute", extra="data")
    sizes = compute.fill_null(compute.binary_length(text), 0).to_numpy(zero_copy_only=False)
    blank = compute.fill_null(compute.utf8_is_space(text), True).to_numpy(zero_copy_only=False)
    faults = np.full(len(text), -1, np.int8)
    if columns.label_key is not None:
        faults[label.is_null().to_numpy(zero_copy_only=False)] = 2
    faults[sizes > columns.max_document_bytes] = 1
    faults[blank | (sizes == 0)] = 0
    return faults


def _rejected(
    text: Any, label: Any, places: Any, faults: NDArray[np.int8], columns: Columns, origin: Origin, raw: RawRows
) -> list[Rejected]:
    rows = np.flatnonzero(faults >= 0)
    if not len(rows):
        return []
    without_text = np.flatnonzero(faults == 0)
    shown = dict(zip(without_text.tolist(), raw(without_text), strict=True)) if len(without_text) else {}
    rejected: list[Rejected] = []
    for row in rows.tolist():
        rule = _FAULTS[faults[row]]
        content = shown[row] if row in shown else text[row].as_py()
        reason = Rejection(rule)
        if rule == "oversized_document":
            reason = oversized(len(content.encode()), columns.max_document_bytes)
            content = content[:HEAD_CHARACTERS]
        rejected.append((Record(places[row].as_py(), content, label[row].as_py(), origin.source), reason))
    return rejected


def _there(table: Any, *names: str) -> list[str]:
    return [name for name in names if name in table.column_names]


def _column(table: Any, name: str | None) -> Any:
    """Give a column as one array, None where there is none; dictionaries and large strings as plain ones."""
    arrow = need("pyarrow", extra="data")
    if name is None or name not in table.column_names:
        return None
    column = table.column(name).combine_chunks()
    if isinstance(column, arrow.ChunkedArray):  # no chunk, or more than one array can hold
        column = arrow.concat_arrays(column.chunks) if column.num_chunks else arrow.nulls(0, arrow.string())
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_large_string(column.type) or arrow.types.is_string_view(column.type):
        column = column.cast(arrow.large_binary()).cast(arrow.binary()).view(arrow.string())  # checked for UTF-8 later
    return column


def _strings(column: Any) -> Any:
    arrow = need("pyarrow", extra="data")
    if column is None or not (arrow.types.is_string(column.type) or arrow.types.is_null(column.type)):
        return None
    return column.cast(arrow.string()) if arrow.types.is_null(column.type) else column


def _label(column: Any) -> Any:
    """Give labels as text; False where they have to be read one by one."""
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    if column is None:
        return None
    if arrow.types.is_boolean(column.type):
        return compute.if_else(column, "True", "False")
    if arrow.types.is_integer(column.type):
        return column.cast(arrow.string())
    return _trimmed(column)


def _identity(column: Any) -> Any:
    """Give the user's ids as text, null where there is none; False where they have to be read one by one."""
    arrow = need("pyarrow", extra="data")
    if column is None:
        return None
    if arrow.types.is_integer(column.type):
        return column.cast(arrow.string())
    return _trimmed(column)


def _trimmed(column: Any) -> Any:
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    text = _strings(column)
    if text is None:
        return False
    try:
        text.validate(full=True)
    except arrow.ArrowInvalid:
        return False
    trimmed = compute.utf8_trim_whitespace(text)
    return compute.if_else(compute.equal(trimmed, ""), arrow.scalar(None, arrow.string()), trimmed)


def _is_plain(column: Any) -> bool:
    """Tell whether JSON can hold a column's values as they are."""
    arrow, compute = need("pyarrow", extra="data"), need("pyarrow.compute", extra="data")
    kind = column.type
    if arrow.types.is_floating(kind):
        largest = compute.max(compute.abs(column.cast(arrow.float64()))).as_py()
        return largest is None or not largest >= _EXACT_DOUBLE
    return bool(
        arrow.types.is_string(kind)
        or arrow.types.is_integer(kind)
        or arrow.types.is_boolean(kind)
        or arrow.types.is_null(kind)
    )


def _meta(named: Sequence[tuple[str, Any]]) -> Any:
    """Write columns as JSON objects, one a row, nulls left out; null where nothing is left."""
    arrow, polars = need("pyarrow", extra="data"), need("polars", extra="data")
    columns, members = {}, []
    for index, (name, column) in enumerate(named):
        if arrow.types.is_null(column.type):
            continue
        columns[str(index)] = polars.from_arrow(column)
        value = polars.col(str(index))
        if arrow.types.is_floating(column.type):
            value = polars.when(value.is_finite()).then(value.cast(polars.Float64))
        whole = polars.struct(value.alias(name)).struct.json_encode()  # one member in braces
        member = whole.str.strip_prefix("{").str.strip_suffix("}")
        members.append(polars.when(value.is_not_null()).then(member).alias(str(index)))
    if not columns:
        return None
    joined = polars.concat_str(members, separator=",", ignore_nulls=True)
    whole = polars.when(joined != "").then(polars.concat_str(polars.lit("{"), joined, polars.lit("}")))
    return polars.DataFrame(columns).select(whole.alias("meta")).to_series().to_arrow().cast(arrow.string())


def _zeros(count: int) -> Any:
    return need("pyarrow", extra="data").array(np.zeros(count, np.int64))
