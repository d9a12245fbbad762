"""One completion: submitted, decoded, cut at stop strings, given out in pieces."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal

from burnish.errors import BurnishError
from burnish.serve.engine.completion import Completion
from burnish.serve.engine.process import EngineProcess
from burnish.serve.engine.protocol import Delta, RequestRefused, Sampling
from burnish.serve.prompts import Prompts
from burnish.serve.stops import StopFinder


class ClientGone(BurnishError):
    """Nobody waits for this completion any more."""


@dataclass(frozen=True)
class Job:
    """Say what to generate.

    Attributes:
        stops: texts that end the completion; they are not given out.
    """

    prompt_tokens: tuple[int, ...]
    sampling: Sampling
    stops: tuple[str, ...] = ()


@dataclass
class Piece:
    """What a completion gained since the last piece.

    Attributes:
        text: whole characters only; empty where nothing is certain yet.
        tokens: the tokens that came, an echoed prompt's first, the one that ended the completion last.
        logprobs: one for each of `tokens`, where asked.
        num_new: how many of `tokens` were generated.
        finish_reason: set in the last piece.
    """

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    num_new: int = 0
    finish_reason: Literal["stop", "length"] | None = None


class Generation:
    """A submitted job. Iterate `pieces` once; leaving it early aborts the request in the engine.

    Raises:
        EngineDown: the engine cannot take the job now.
    """

    def __init__(self, engine: EngineProcess, prompts: Prompts, job: Job) -> None:
        self._engine = engine
        self._has_begun = False
        self._detokenizer = prompts.detokenizer()
        self._stops = StopFinder(job.stops)
        self._num_echo_left = len(job.prompt_tokens) if job.sampling.echo else 0
        self._completion: Completion = engine.submit(job.prompt_tokens, job.sampling)

    def leave(self) -> None:
        """Fail with `ClientGone`, which ends `pieces` and aborts the request."""
        self._completion.fail(ClientGone("the client closed the connection"))

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Give the pieces as they come; the last one has a finish reason.

        Raises:
            RequestRefused: the engine cannot run the job.
            EngineCrashed: the engine died.
            ClientGone: see `leave`.
        """
        try:
            piece = Piece()
            while piece.finish_reason is None:
                piece = Piece()
                for delta in await self._completion.next():
                    self._take(piece, delta)
                if piece.tokens or piece.finish_reason is not None:
                    yield piece
        finally:
            self._engine.abort(self._completion)

    def _take(self, piece: Piece, delta: Delta) -> None:
        if self._stops.is_found:
            return
        if delta.finish_reason == "no_room" and not self._has_begun and not delta.tokens:
            raise RequestRefused("the KV cache has no room for this prompt; start the server with more --cache-tokens")
        self._has_begun = True
        num_echoed = min(self._num_echo_left, len(delta.tokens))
        self._num_echo_left -= num_echoed
        piece.tokens += delta.tokens
        piece.logprobs += delta.logprobs
        piece.num_new += len(delta.tokens) - num_echoed
        piece.text += self._detokenizer.add(delta.tokens[:num_echoed])
        shown = delta.tokens[num_echoed:-1] if delta.finish_reason == "stop" else delta.tokens[num_echoed:]
        piece.text += self._stops.add(self._detokenizer.add(shown))
        if delta.finish_reason is not None and not self._stops.is_found:
            piece.text += self._stops.add(self._detokenizer.flush())
        if self._stops.is_found:
            piece.finish_reason = "stop"
        elif delta.finish_reason is not None:
            piece.text += self._stops.flush()
            piece.finish_reason = "stop" if delta.finish_reason == "stop" else "length"
