"""A JSON list: its objects read one after the other, however long the list is."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from burnish.data.readers.columns import Columns, Row, oversized
from burnish.data.readers.rows import UnusableFile, object_row
from burnish.data.readers.streams import Stream
from burnish.data.records import Rejection

_STEP_BYTES = 1 << 20
_DELIMITERS = ",]} \t\r\n"
_LONGEST_TOKEN = 16  # a literal or an escape that the end of what was read cuts through


def json_list(stream: Stream, columns: Columns, *, or_object: bool) -> Iterator[Row]:
    """Read the objects of a JSON list, one after the other; `or_object` takes a lone object as a list of one.

    Raises:
        UnusableFile: it is no list, or breaks off.
    """
    for number, (value, raw) in enumerate(_Elements(stream, columns.max_row_bytes).read(or_object=or_object)):
        yield object_row(number, value, raw)


@dataclass
class _Elements:
    """The elements of a JSON list, decoded as the text comes."""

    stream: Stream
    limit: int
    _text: str = ""
    _at: int = 0
    _is_over: bool = False
    _decoder: json.JSONDecoder = field(default_factory=json.JSONDecoder)
    _utf8: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    )

    def read(self, *, or_object: bool) -> Iterator[tuple[Any, str]]:
        if self._peek() == "[":
            yield from self._members()
        elif self._peek():
            value, raw = self._next()
            self._end()
            if not (or_object and isinstance(value, dict)):
                kind = type(value).__name__
                raise UnusableFile(Rejection("broken_file"), f"holds a JSON {kind}; it must be a list of objects")
            yield value, raw

    def _members(self) -> Iterator[tuple[Any, str]]:
        self._at += 1
        while self._peek() != "]":
            value, raw = self._next()
            following = self._peek()
            if following in (",", "]") or not isinstance(value, int | float):  # a number may lack its last digits
                yield value, raw
            if following == ",":
                self._at += 1
            elif following != "]":
                raise _broken(f"expected ',' or ']', found {following or 'the end'!r}")
        self._at += 1
        self._end()

    def _end(self) -> None:
        if self._peek():
            raise _broken("more than one value")

    def _next(self) -> tuple[Any, str]:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise _broken("it is nested too deeply") from error
            except json.JSONDecodeError as error:
                if self._is_over or not self._is_cut(error):
                    raise _broken(error.msg) from error
            except ValueError as error:  # Python reads no integer of more than 4,300 digits
                raise _broken("an integer is too long") from error
            else:
                rest = len(self._text) - end
                if rest > _LONGEST_TOKEN or (rest and self._text[end] in _DELIMITERS) or self._is_over:
                    raw, self._at = self._text[self._at : end], end
                    return value, raw
            size = len(self._text) - self._at
            if size > self.limit:
                raise UnusableFile(oversized(size, self.limit), f"has an element longer than {self.limit:,} characters")
            self._extend()

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Tell whether an element may only seem malformed, because its end has not been read yet."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _LONGEST_TOKEN

    def _peek(self) -> str:
        """Give the next character that is no white space, or nothing at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if self._is_over:
                return ""
            self._extend()

    def _extend(self) -> None:
        """Read on, twice as much as is pending: a long element is tried again a few times only."""
        pending = self._text[self._at :]
        more = self.stream.file.read(max(_STEP_BYTES, len(pending)))
        self._is_over = not more
        self._text, self._at = pending + self._utf8.decode(more, final=self._is_over), 0


def _broken(reason: str) -> UnusableFile:
    return UnusableFile(Rejection("broken_file"), f"is not JSON ({reason}); if each line is an object, name it .jsonl")
