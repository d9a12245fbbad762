"""Server-sent events: a completion as it grows."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from burnish.errors import BurnishError
from burnish.serve.generation import Generation, Piece
from burnish.serve.metrics import Watch
from burnish.serve.openai.answers import Form, Usage
from burnish.serve.openai.errors import api_error

_encode = msgspec.json.Encoder().encode
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_DONE = b"data: [DONE]\n\n"


@contextlib.asynccontextmanager
async def leaving(receive: Receive, generation: Generation) -> AsyncIterator[None]:
    """Abort the generation when the client closes the connection."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        generation.leave()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


class EventStream(Response):
    """Stream a completion.

    The first piece is awaited before the headers go out, so that a request that fails at once is answered with
    its own status. A later failure is an event that holds the error, as OpenAI's clients expect.
    """

    def __init__(
        self,
        first: Piece,
        pieces: AsyncGenerator[Piece, None],
        *,
        generation: Generation,
        form: Form,
        usage: Usage,
        has_usage: bool,
        watch: Watch,
    ) -> None:
        super().__init__()
        self._first, self._pieces, self._generation = first, pieces, generation
        self._form, self._usage, self._has_usage, self._watch = form, usage, has_usage, watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        del scope
        status = 200
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        async with contextlib.aclosing(self._pieces), leaving(receive, self._generation):
            try:
                await send(_body(self._events(self._first)))
                async for piece in self._pieces:
                    if piece.text or piece.finish_reason or piece.logprobs or self._form.has_token_ids:
                        await send(_body(self._events(piece)))
                    else:
                        self._usage.num_new += piece.num_new
            except BurnishError as error:
                problem = api_error(error)
                status = problem.status
                await send(_body(_event(problem.body)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._watch.end(status)

    def _events(self, piece: Piece) -> bytes:
        self._usage.num_new += piece.num_new
        data = _event(self._form.chunk(piece))
        if piece.finish_reason is None:
            return data
        return data + (_event(self._form.last(self._usage)) if self._has_usage else b"") + _DONE


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + _encode(body) + b"\n\n"


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}
