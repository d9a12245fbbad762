"""One request's deltas as they come, and the ways in which they can end early."""

import asyncio
from collections import deque

from burnish.errors import BurnishError
from burnish.serve.engine.protocol import Delta


class EngineCrashed(BurnishError):
    """The engine's process ended while it had work; a new one is started."""


class EngineDown(BurnishError):
    """The engine is starting anew, or stays down."""


class Completion:
    """One request's deltas as they come."""

    def __init__(self, request_id: int) -> None:
        self.id = request_id
        self._deltas: deque[Delta] = deque()
        self._error: BurnishError | None = None
        self._news = asyncio.Event()

    async def next(self) -> list[Delta]:
        """Wait for the next delta, and give all that have come: a slow reader gets several at once.

        Raises:
            RequestRefused: the engine cannot run the request.
            EngineCrashed: the engine's process died.
            BurnishError: whatever else the request was failed with.
        """
        await self._news.wait()
        self._news.clear()
        if not self._deltas and self._error is not None:
            self._news.set()
            raise self._error
        deltas = list(self._deltas)
        self._deltas.clear()
        if self._error is not None:
            self._news.set()
        return deltas

    def put(self, delta: Delta) -> None:
        """Hand over a delta."""
        self._deltas.append(delta)
        self._news.set()

    def fail(self, error: BurnishError) -> None:
        """End with an error."""
        self._error = error
        self._news.set()
