"""Pieces of a completion as OpenAI's objects, whole or streamed."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from burnish.serve.generation import Piece
from burnish.serve.prompts import Prompts


@dataclass
class Usage:
    """Count the tokens of a request."""

    num_prompt: int
    num_new: int = 0

    @property
    def body(self) -> dict[str, int]:
        """Give OpenAI's `usage`."""
        total = self.num_prompt + self.num_new
        return {"prompt_tokens": self.num_prompt, "completion_tokens": self.num_new, "total_tokens": total}


class Form(Protocol):
    """Write one kind of completion.

    Attributes:
        has_token_ids: give the generated tokens too, as `token_ids`; vLLM's extension.
    """

    has_token_ids: bool

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """Give a streamed object."""

    def whole(self, pieces: list[Piece], usage: Usage) -> dict[str, Any]:
        """Give the object that is not streamed."""

    def last(self, usage: Usage) -> dict[str, Any]:
        """Give the streamed object that holds nothing but the usage."""


@dataclass
class ChatForm:
    """Write `chat.completion` and its chunks."""

    model: str
    prompts: Prompts
    has_logprobs: bool
    has_token_ids: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created_unix_s: int = field(default_factory=lambda: int(time.time()))
    _has_begun: bool = False

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """Give a chunk; the first one says who speaks."""
        delta: dict[str, Any] = {"content": piece.text}
        if not self._has_begun:
            self._has_begun = True
            delta = {"role": "assistant", **delta}
        return self._object("chat.completion.chunk", [self._choice(piece, delta=delta)])

    def whole(self, pieces: list[Piece], usage: Usage) -> dict[str, Any]:
        """Give the whole answer."""
        piece = joined(pieces)
        message = {"role": "assistant", "content": piece.text, "refusal": None}
        choice = self._choice(piece, message=message)
        return {**self._object("chat.completion", [choice]), "usage": usage.body}

    def last(self, usage: Usage) -> dict[str, Any]:
        """Give the chunk of the usage."""
        return {**self._object("chat.completion.chunk", []), "usage": usage.body}

    def _choice(self, piece: Piece, **said: Any) -> dict[str, Any]:
        logprobs = self._logprobs(piece) if self.has_logprobs else None
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": piece.finish_reason}
        return {**choice, "token_ids": _new(piece)} if self.has_token_ids else choice

    def _logprobs(self, piece: Piece) -> dict[str, Any]:
        return {"content": [self._entry(*pair) for pair in zip(piece.tokens, piece.logprobs, strict=True)]}

    def _entry(self, token: int, logprob: float | None) -> dict[str, Any]:
        text = self.prompts.spell(token)
        spelled = None if "\ufffd" in text else list(text.encode())
        return {"token": text, "logprob": logprob, "bytes": spelled, "top_logprobs": []}

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.id, "object": kind, "created": self.created_unix_s, "model": self.model}
        return {**head, "choices": choices}


@dataclass
class CompletionForm:
    """Write `text_completion`, whose chunks have the same form."""

    model: str
    prompts: Prompts
    has_logprobs: bool
    has_token_ids: bool = False
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(12)}")
    created_unix_s: int = field(default_factory=lambda: int(time.time()))
    _num_chars: int = 0

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """Give a chunk."""
        choice = {
            "index": 0,
            "text": piece.text,
            "logprobs": self._logprobs(piece) if self.has_logprobs else None,
            "finish_reason": piece.finish_reason,
        }
        if self.has_token_ids:
            choice["token_ids"] = _new(piece)
        return self._object([choice])

    def whole(self, pieces: list[Piece], usage: Usage) -> dict[str, Any]:
        """Give the whole answer."""
        return {**self.chunk(joined(pieces)), "usage": usage.body}

    def last(self, usage: Usage) -> dict[str, Any]:
        """Give the chunk of the usage."""
        return {**self._object([]), "usage": usage.body}

    def _logprobs(self, piece: Piece) -> dict[str, Any]:
        tokens = [self.prompts.spell(token) for token in piece.tokens]
        offsets = []
        for token in tokens:
            offsets.append(self._num_chars)
            self._num_chars += len(token)
        return {"tokens": tokens, "token_logprobs": piece.logprobs, "top_logprobs": None, "text_offset": offsets}

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.id, "object": "text_completion", "created": self.created_unix_s, "model": self.model}
        return {**head, "choices": choices}


def _new(piece: Piece) -> list[int]:
    """Give the generated tokens of a piece; before them may stand those of an echoed prompt."""
    return piece.tokens[len(piece.tokens) - piece.num_new :]


def joined(pieces: list[Piece]) -> Piece:
    """Put pieces together."""
    return Piece(
        text="".join(piece.text for piece in pieces),
        tokens=[token for piece in pieces for token in piece.tokens],
        logprobs=[logprob for piece in pieces for logprob in piece.logprobs],
        num_new=sum(piece.num_new for piece in pieces),
        finish_reason=pieces[-1].finish_reason,
    )
