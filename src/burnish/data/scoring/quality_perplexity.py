"""Perplexity: how many bits a byte a causal language model needs for a text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import RecipeError
from burnish.learn.scoring import token_logprobs
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import open_model, open_tokenizer

_CHARS_PER_TOKEN = 16  # a text is not tokenised beyond what max_tokens can hold


@dataclass(frozen=True)
class Perplexity:
    """Score texts by a causal language model: bits a byte, so that models and languages compare.

    Attributes:
        path: a Hugging Face folder with safetensors and a tokenizer.
        max_tokens: a text is read up to here.
        precision: of the weights in memory.
    """

    path: Path
    max_tokens: int = 256
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        if self.max_tokens < 2:
            raise RecipeError(f"max_tokens is {self.max_tokens}; it must be at least 2, since the first is given")
        if not (self.path / "config.json").is_file():
            raise RecipeError(f"path is {self.path}; it must be a Hugging Face folder with config.json and safetensors")


def bits_per_byte_of(texts: Sequence[str], config: Perplexity) -> NDArray[np.float32]:
    """Give each text's bits a byte; NaN where it has fewer than two tokens, which no gate fails."""
    tokenizer, model = _open(config)
    bits = np.full(len(texts), np.nan, np.float32)
    rows: list[int] = []
    sequences: list[list[int]] = []
    for row, text in enumerate(texts):
        read = text[: config.max_tokens * _CHARS_PER_TOKEN]
        ids: list[int] = tokenizer(read, add_special_tokens=False)["input_ids"][: config.max_tokens]
        if len(ids) > 1:
            rows.append(row)
            sequences.append(ids)
    scores = token_logprobs(model, sequences, each=lambda _: None)
    for row, ids, score in zip(rows, sequences, scores, strict=True):
        num_bytes = len(tokenizer.decode(ids[1:], skip_special_tokens=False).encode())
        bits[row] = -sum(score) / math.log(2) / max(1, num_bytes)
    return bits


@lru_cache(maxsize=1)
def _open(config: Perplexity) -> tuple[Any, Any]:
    """Open tokenizer and model, once a process."""
    return open_tokenizer(config.path), open_model(config.path, precision=resolve(config.precision))
