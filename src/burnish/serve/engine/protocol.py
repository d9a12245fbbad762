"""The engine protocol: what every engine takes and gives, whatever runs inside.

Requests carry token ids, not text, so that a prompt means the same to every engine and its chat template is
rendered in one place. Text, stop strings and HTTP live in front of the engine.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from burnish.errors import BurnishError

FinishReason = Literal["stop", "length", "no_room"]


class RequestRefused(BurnishError):
    """Refuse a request that the engine cannot run; the others go on."""


@dataclass(frozen=True)
class Sampling:
    """Say how tokens are chosen and when to stop.

    Attributes:
        max_tokens: most new tokens; 0 only with `echo`.
        temperature: 0 is greedy; else logits are divided by it.
        top_p: smallest set of tokens whose probabilities reach this is sampled from; in (0, 1].
        seed: equal requests with equal seeds give equal tokens.
        stop_token_ids: tokens that end the completion, beside the model's own end of text.
        logprobs: report each token's log-probability (nats, before temperature and top_p).
        echo: give the prompt's tokens first, with their log-probabilities where asked.
        ignore_eos: go on past the model's own end of text, to `max_tokens`; for equal work in load tests.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop_token_ids: tuple[int, ...] = ()
    logprobs: bool = False
    echo: bool = False
    ignore_eos: bool = False


@dataclass(frozen=True)
class Request:
    """Ask for one completion; `id` is unique among those in flight."""

    id: int
    prompt_tokens: tuple[int, ...]
    sampling: Sampling


@dataclass(frozen=True)
class Delta:
    """What one request gained in a step.

    Attributes:
        tokens: new tokens, the prompt's first where it is echoed, the ending one included.
        logprobs: one for each token where asked, else empty; None for the first token of an echoed prompt.
        finish_reason: set in the last delta: a stop token, `max_tokens`, or no room left in the cache.
    """

    id: int
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float | None, ...] = ()
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class Stats:
    """Describe an engine at one moment.

    Attributes:
        cache_used_frac: share of the KV cache that holds tokens, in [0, 1].
        cache_bytes: memory that the KV cache may take.
        memory_bytes: resident memory of the engine's process.
    """

    num_running: int = 0
    num_waiting: int = 0
    cache_used_frac: float = 0.0
    cache_bytes: int = 0
    memory_bytes: int = 0


class Engine(Protocol):
    """Run requests together, one step at a time.

    Requests may be added and aborted between steps; an aborted one gives no further delta.
    """

    def add(self, request: Request) -> None:
        """Queue a request.

        Raises:
            RequestRefused: it can never run here.
        """

    def step(self) -> list[Delta]:
        """Advance every running request, and give what they gained; empty when there is nothing to do."""

    def abort(self, request_id: int) -> None:
        """Drop a request and free its cache; unknown ids are finished ones and are ignored."""

    def stats(self) -> Stats:
        """Describe the engine now."""

    def close(self) -> None:
        """Free the model."""
