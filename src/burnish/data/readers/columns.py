"""Columns: what a source's columns mean, and how one row of values becomes a record or is set aside."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from burnish.data.records import Record, Rejected, Rejection
from burnish.errors import RecipeError

FILE_RULES = (
    "malformed_row",  # a line that is no object, a row of another width
    "invalid_utf8",
    "missing_text",  # no text, or only white space
    "missing_label",
    "oversized_document",  # longer than max_document_bytes
    "duplicate_id",  # the id of an earlier row
    "missing_column",  # a file without the column asked for
    "empty_file",
    "unreadable_file",  # cannot be opened, or is no regular file
    "unknown_format",  # of a kind that is not read here
    "broken_file",  # ends early or is not what its name says
    "truncated_gzip",
    "encrypted_file",
    "too_many_pages",
    "over_memory",
    "timed_out",
    "directory_loop",  # a link to a folder that holds it
    "repeated_directory",  # a link to a folder that is read elsewhere
    "missing_file",  # named by metadata, and not there
    "oversized_media",
    "malformed_response",
    "oversized_response",
    "http_error",
    "connection_failed",
    "page_loop",
    "robots_denied",
    "redirect_loop",
)

# The longest of the classics, War and Peace, is 3.2 MB; this leaves room for more than twice that in one document,
# and a few such documents fit into the memory that collecting may take.
MAX_DOCUMENT_BYTES = 8 << 20
HEAD_CHARACTERS = 1000  # of a document that is too long: enough to recognise it in rejected/


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Say which columns mean what.

    Attributes:
        text_key: the column that holds the text.
        label_key: the column that holds the label; a row without one is set aside.
        id_key: the column that holds the user's own id; a row without one gets source:file:row.
        lang_key: the column that names the language; kept in `meta` as `lang`.
        keep_meta: keep all other columns in `meta`.
        meta_keys: keep these other columns in `meta`.
        max_document_bytes: a longer text is set aside.
    """

    text_key: str = "text"
    label_key: str | None = None
    id_key: str | None = None
    lang_key: str | None = None
    keep_meta: bool = False
    meta_keys: tuple[str, ...] = ()
    max_document_bytes: int = MAX_DOCUMENT_BYTES

    def __post_init__(self) -> None:
        if self.max_document_bytes < 1:
            raise RecipeError(f"max_document_bytes is {self.max_document_bytes}; it must be at least 1")
        if self.keep_meta and self.meta_keys:
            raise RecipeError(
                f"keep_meta is true and meta_keys is {list(self.meta_keys)}; all, or those: leave one out"
            )
        for key in self.meta_keys:
            if key in self.keys:
                raise RecipeError(f"meta_keys names {key!r}, which is read as text, label, id or language already")

    @property
    def keys(self) -> tuple[str, ...]:
        """List the columns that have a meaning of their own."""
        named = (self.text_key, self.label_key, self.id_key, self.lang_key)
        return tuple(dict.fromkeys(key for key in named if key is not None))

    @property
    def max_row_bytes(self) -> int:
        r"""Bound a row as it stands in its file: JSON may write a character of 3 bytes as \uXXXX, and has other columns."""
        return 2 * self.max_document_bytes + (4 << 20)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as found.

    Attributes:
        number: in its file, from 0.
        values: None where the row has none.
        raw: its own text, for the people who repair it.
        fault: why it cannot be used, where that is known without looking at the values.
    """

    number: int
    values: Mapping[str, object] | None
    raw: str = ""
    fault: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from: the source's name, the start of the ids that it gives, a label that all rows share."""

    source: str
    prefix: str
    label: str | None = None

    def place(self, number: int | str) -> str:
        """Give the id of a row without one of its own."""
        return f"{self.prefix}:{number}"


def to_record(row: Row, columns: Columns, origin: Origin) -> Record | Rejected:
    """Make a record of a row, or set it aside by the first rule that it breaks."""
    place = origin.place(row.number)
    if row.fault is not None:
        return _aside(place, row.raw, None, origin, row.fault)
    if row.values is None:
        return _aside(place, row.raw, None, origin, Rejection("malformed_row" if is_utf8(row.raw) else "invalid_utf8"))
    text = row.values.get(columns.text_key)
    label = origin.label if columns.label_key is None else _label(row.values.get(columns.label_key))
    if not isinstance(text, str) or not text.strip():
        return _aside(place, row.raw or str(text or ""), label, origin, Rejection("missing_text"))
    if not is_utf8(text) or not is_utf8(label or ""):
        return _aside(place, text, label, origin, Rejection("invalid_utf8"))
    num_bytes = len(text.encode())
    if num_bytes > columns.max_document_bytes:
        return _aside(place, text, label, origin, oversized(num_bytes, columns.max_document_bytes))
    if columns.label_key is not None and label is None:
        return _aside(place, text, None, origin, Rejection("missing_label"))
    identity = None if columns.id_key is None else _identity(row.values.get(columns.id_key))
    return Record(identity or place, text, label, origin.source, meta=meta_of(row.values, columns))


def oversized(num_bytes: int, limit: int) -> Rejection:
    """Say that a document is too long."""
    return Rejection("oversized_document", float(num_bytes), float(limit))


def file_aside(origin: Origin, rejection: Rejection, reason: str = "") -> Rejected:
    """Set a whole file or page aside, its reason in words in `meta`."""
    meta = json.dumps({"reason": writable(reason)}, ensure_ascii=False) if reason else None
    return Record(origin.prefix, "", None, origin.source, meta=meta), rejection


def meta_of(values: Mapping[str, object], columns: Columns) -> str | None:
    """Write the columns that are kept beside the text as one JSON object; what is null is left out."""
    kept: dict[str, object] = {}
    if columns.lang_key is not None:
        kept["lang"] = values.get(columns.lang_key)
    names = [key for key in values if key not in columns.keys] if columns.keep_meta else columns.meta_keys
    kept.update((name, values.get(name)) for name in names)
    found = {writable(name): _json_value(value) for name, value in kept.items()}
    found = {name: value for name, value in found.items() if value is not None}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) if found else None


def is_utf8(text: str) -> bool:
    """Tell whether UTF-8 can hold a text: lone surrogates stand for bytes that were none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def writable(text: str) -> str:
    """Put the replacement character for every byte or half character that UTF-8 cannot hold."""
    if is_utf8(text):
        return text
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def _aside(place: str, raw: str, label: str | None, origin: Origin, rejection: Rejection) -> Rejected:
    if rejection.rule == "oversized_document":
        raw = raw[:HEAD_CHARACTERS]
    return Record(place, writable(raw), None if label is None else writable(label), origin.source), rejection


def _label(value: object) -> str | None:
    match value:
        case str():
            return value.strip() or None
        case bool() | int() | float():
            return str(value)
        case _:
            return None


def _identity(value: object) -> str | None:
    match value:
        case bool():
            return None
        case int():
            return str(value)
        case str():
            return writable(value).strip() or None
        case _:
            return None


def _json_value(value: object) -> object:
    """Give a value as JSON can hold it; None for what is null, not a number, or bytes without a meaning here."""
    match value:
        case str():
            return writable(value)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes() | bytearray():
            return None
        case Mapping():
            return {writable(str(key)): _json_value(item) for key, item in value.items()}
        case list() | tuple():
            return [_json_value(item) for item in value]
        case _:
            return str(value)  # dates, times and decimals of Parquet
