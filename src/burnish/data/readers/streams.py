"""Streams: the bytes of a file, unpacked where its name ends in .gz, and its lines, each of bounded length."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from burnish.data.readers.columns import HEAD_CHARACTERS
from burnish.data.records import Rejection

_STEP_BYTES = 1 << 16  # unpacked at once, so that what stands before a break is not lost with it


@dataclass
class Stream:
    """The bytes of one file.

    Attributes:
        file: reads unpacked bytes; a broken archive ends early.
    """

    file: BinaryIO
    _raw: BinaryIO
    _unpacking: "_Unpacking | None"

    @property
    def fault(self) -> tuple[Rejection, str] | None:
        """Say why the bytes ended early, once they have: the rule and the reason in words."""
        return None if self._unpacking is None else self._unpacking.fault

    @property
    def position_bytes(self) -> int:
        """Tell how much of the file itself was read."""
        return self._raw.tell()

    @property
    def at_least_bytes(self) -> int:
        """Tell how long the bytes are, at least: of an archive what was unpacked so far."""
        return os.fstat(self._raw.fileno()).st_size if self._unpacking is None else self.file.tell()

    def skip(self, num_bytes: int) -> None:
        """Go on after `num_bytes` unpacked bytes."""
        if self._unpacking is None:
            self.file.seek(num_bytes)
        while self._unpacking is not None and num_bytes > 0:
            step = self.file.read(min(num_bytes, _STEP_BYTES))
            num_bytes -= len(step) or num_bytes


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a file, unpacked where its name ends in .gz.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as raw:
        if path.suffix.lower() != ".gz":
            yield Stream(raw, raw, None)
            return
        unpacking = _Unpacking(raw)
        yield Stream(cast("BinaryIO", io.BufferedReader(unpacking, _STEP_BYTES)), raw, unpacking)


@dataclass(frozen=True, slots=True)
class Line:
    """One line; of one that is too long only the start is kept."""

    text: str
    num_bytes: int
    is_too_long: bool = False


def bytes_stream(data: bytes) -> Stream:
    """Read bytes that are in memory as a stream."""
    file = io.BytesIO(data)
    return Stream(file, file, None)


def read_lines(stream: Stream, max_bytes: int, newline: str | None = None) -> Iterator[Line]:
    r"""Read lines, ends and all; memory stays bounded whatever their length.

    Bytes that are no UTF-8 come through as lone surrogates, to be found in the row they spoil.

    Args:
        newline: what ends a line; by default any of the three conventions, given as "\n".
    """
    with _text(stream, newline) as text:
        while line := text.readline(max_bytes):
            num_bytes = _num_bytes(line)
            while not line.endswith("\n") and (more := text.readline(_STEP_BYTES)):
                num_bytes += _num_bytes(more)
                line = line[:HEAD_CHARACTERS] + more[-1]  # its end alone matters now
            if num_bytes > max_bytes:
                yield Line(line[:HEAD_CHARACTERS], num_bytes, is_too_long=True)
            else:
                yield Line(line, num_bytes)


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def read_bytes(stream: Stream, max_bytes: int) -> bytes | None:
    """Read all bytes, or nothing where there are more than `max_bytes`."""
    data = stream.file.read(max_bytes + 1)
    return data if len(data) <= max_bytes else None


def read_text(stream: Stream, max_bytes: int) -> str | None:
    r"""Read all bytes as text with "\n" for line ends, or nothing where there are more than `max_bytes`."""
    data = read_bytes(stream, max_bytes)
    if data is None:
        return None
    text = data.decode("utf-8-sig", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


@contextmanager
def _text(stream: Stream, newline: str | None) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(stream.file, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
    try:
        yield text
    finally:
        if not stream.file.closed:
            text.detach()  # the stream stays its owner's to close


class _Unpacking(io.RawIOBase):
    """Unpack gzip; where it breaks, the bytes end and `fault` says why."""

    def __init__(self, raw: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=raw)
        self.fault: tuple[Rejection, str] | None = None

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer; typeshed's alias is private
        if self.fault is not None:
            return 0
        try:
            data = self._file.read1(min(len(buffer), _STEP_BYTES))
        except EOFError as error:
            self.fault = Rejection("truncated_gzip"), str(error)
            return 0
        except (gzip.BadGzipFile, zlib.error) as error:
            self.fault = Rejection("broken_file"), str(error)
            return 0
        buffer[: len(data)] = data
        return len(data)
