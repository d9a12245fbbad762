"""Messages between the server and its engine process: MessagePack, each behind its length in four bytes."""

import select
import socket
import struct
from collections.abc import Iterator

import msgspec

from burnish.serve.engine.protocol import Delta, Request, Stats

HEADER = struct.Struct("<I")


class Add(msgspec.Struct, frozen=True, tag=True):
    """Queue a request."""

    request: Request


class Abort(msgspec.Struct, frozen=True, tag=True):
    """Drop a request."""

    id: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded."""


class Stepped(msgspec.Struct, frozen=True, tag=True):
    """A step was made."""

    deltas: list[Delta]
    stats: Stats


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A request cannot run; the others go on."""

    id: int
    reason: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The engine cannot start or go on; its process ends."""

    reason: str


Command = Add | Abort
Report = Ready | Stepped | Refused | Failed

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def pack(message: Command | Report) -> bytes:
    """Give a message's bytes, length first."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body


class ServerGone(Exception):
    """The server closed its end, or died."""


class Channel:
    """The engine's end: blocking, one thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = bytearray()

    def send(self, report: Report) -> None:
        """Send a report.

        Raises:
            ServerGone: nobody is there.
        """
        try:
            self._end.sendall(pack(report))
        except OSError as error:
            raise ServerGone from error

    def commands(self, *, should_wait: bool) -> Iterator[Command]:
        """Give the commands that have come; with `should_wait`, at least one.

        Raises:
            ServerGone: nobody is there.
        """
        while should_wait or select.select([self._end], [], [], 0)[0]:
            try:
                data = self._end.recv(1 << 20)
            except OSError as error:
                raise ServerGone from error
            if not data:
                raise ServerGone
            self._buffer += data
            for command in self._whole():
                should_wait = False
                yield command

    def _whole(self) -> Iterator[Command]:
        while len(self._buffer) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield _commands.decode(body)
