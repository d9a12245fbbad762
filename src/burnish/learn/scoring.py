"""Scoring: the log-probability that a model gives each token of a sequence."""

from collections.abc import Callable, Sequence
from typing import Any

from burnish.learn.packing import Sample, pack_once
from burnish.nn.forward import logits_at
from burnish.runtime import need


def token_logprobs(
    model: Any, sequences: Sequence[Sequence[int]], *, row_tokens: int = 512, each: Callable[[int], None]
) -> list[list[float]]:
    """Score sequences, several a row, without attention between them.

    Args:
        model: a causal language model in evaluation mode.
        sequences: token ids, at least two each.
        row_tokens: rows are filled up to this length; a longer sequence has a row of its own.
        each: told how many sequences a finished row held.

    Returns:
        For each sequence the natural log-probabilities of its tokens after the first.
    """
    torch = need("torch", extra="train")
    samples = [Sample(tuple(ids), (1.0,) * len(ids)) for ids in sequences]
    flat: list[float] = []
    with torch.inference_mode():
        for row in pack_once(samples, row_tokens=row_tokens):
            labels = torch.tensor(row.labels)
            chosen = labels >= 0
            logits = logits_at(model, row.ids, row.positions, chosen).float()
            picked = labels[chosen].to(logits.device)[:, None]
            flat += (logits.gather(1, picked)[:, 0] - logits.logsumexp(1)).tolist()
            each(row.positions.count(0))
    scores, start = [], 0
    for ids in sequences:
        scores.append(flat[start : start + len(ids) - 1])
        start += len(ids) - 1
    return scores
