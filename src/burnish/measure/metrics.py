"""Quality metrics as pure functions of plain sequences."""

import math
from collections.abc import Sequence


def macro_f1(truths: Sequence[str], guesses: Sequence[str], labels: Sequence[str]) -> float:
    """Average the F1 of each label, labels weighing the same; a label never seen nor guessed counts 0."""
    scores = []
    for label in labels:
        hits = sum(t == g == label for t, g in zip(truths, guesses, strict=True))
        given = sum(g == label for g in guesses)
        wanted = sum(t == label for t in truths)
        scores.append(2 * hits / (given + wanted) if given + wanted else 0.0)
    return sum(scores) / len(scores)


def bits_per_byte(nats: Sequence[float], num_bytes: Sequence[int]) -> float:
    """Turn summed negative log-likelihoods of documents into bits a byte over all of them.

    Unlike perplexity it does not depend on the tokenizer, so models with other vocabularies compare.

    Args:
        nats: one sum a document.
        num_bytes: UTF-8 bytes of the same documents; their sum must be above 0.
    """
    return sum(nats) / math.log(2) / sum(num_bytes)
