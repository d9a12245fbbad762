"""A small base of Chinese and English documents, from which the corpus generator's rows are built without a network."""

import importlib
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
build: Any = importlib.import_module("corpus.build")
write: Any = importlib.import_module("corpus.write")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def english(rng: random.Random, num_words: int = 120) -> str:
    """Write paragraphs of made-up words, some with an accent."""
    words = ["".join(rng.choices(_LETTERS, k=rng.randrange(3, 9))) for _ in range(num_words)]
    words = [f"{word}é" if rng.random() < 0.1 else word for word in words]
    return _paragraphs(words, " ", ". ")


def chinese(rng: random.Random, num_chars: int = 500) -> str:
    """Write paragraphs of common characters."""
    return _paragraphs([chr(rng.randrange(0x4E00, 0x5A00)) for _ in range(num_chars)], "", "，")


def _paragraphs(tokens: list[str], between: str, pause: str) -> str:
    size = len(tokens) // 6
    parts = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    return "\n\n".join(between.join(part[: size // 2]) + pause + between.join(part[size // 2 :]) for part in parts)


def base(num_each: int = 60) -> Any:
    """Give a base of documents that share nothing."""
    rng = random.Random(5)
    return build.Base(
        [("zh-made", "zh", chinese(rng)) for _ in range(num_each)],
        [("en-made", "en", english(rng)) for _ in range(num_each)],
        [("fr-made", "fr", english(rng)) for _ in range(4)],
    )


def rows(seed: int = 1) -> tuple[list[Any], list[int]]:
    """Build a corpus of all kinds of rows, and their order."""
    rng = random.Random(seed)
    made = build.build(base(), 150_000, rng)
    return made, write.ordered(made, rng)


def corpus(out: Path, num_shards: int = 2) -> Path:
    """Write that corpus."""
    made, order = rows()
    write.write(out, made, order, num_shards=num_shards, seed=1)
    return out
