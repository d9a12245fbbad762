"""Endings: the log-probabilities that a model gives several endings of one text, the text read once for all.

The text and its endings lie in one row; each ending takes up the positions behind the text, sees the text and itself,
and no other ending. With four short endings that is a third to a quarter of the work of four sequences.

Legend: T tokens of the row.
"""

from collections.abc import Sequence
from typing import Any

from burnish.runtime import need


def ending_logprobs(model: Any, text: Sequence[int], endings: Sequence[Sequence[int]]) -> list[float]:
    """Sum the natural log-probabilities of each ending's tokens, given the text.

    Args:
        model: a transformers causal language model in evaluation mode, with full attention.
        text: token ids, at least one.
        endings: token ids, at least one each.
    """
    torch = need("torch", extra="train")
    lengths = [len(ending) for ending in endings]
    ids = [*text, *(token for ending in endings for token in ending)]
    positions = [*range(len(text)), *(len(text) + step for length in lengths for step in range(length))]
    branch = torch.tensor([0] * len(text) + [at for at, length in enumerate(lengths, start=1) for _ in range(length)])
    order = torch.arange(len(ids))
    sees_TT = (order[:, None] >= order) & ((branch[:, None] == branch) | (branch == 0))
    place = model.get_output_embeddings().weight.device
    dtype = model.get_output_embeddings().weight.dtype
    mask_11TT = torch.zeros((1, 1, len(ids), len(ids)), dtype=dtype).masked_fill(~sees_TT, torch.finfo(dtype).min)
    with torch.inference_mode():
        hidden_TD = getattr(model, model.base_model_prefix)(
            input_ids=torch.tensor([ids], device=place),
            position_ids=torch.tensor([positions], device=place),
            attention_mask=mask_11TT.to(place),
            use_cache=False,
        ).last_hidden_state[0]
        # a token is predicted where the one before it stands: of an ending's first that is the text's last
        before = _before(len(text), lengths)
        logits = model.get_output_embeddings()(hidden_TD[before]).float()
        wanted = torch.tensor(ids[len(text) :], device=place)
        scores = (logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(1)).split(lengths)
    return [float(score.sum()) for score in scores]


def _before(num_text: int, lengths: Sequence[int]) -> list[int]:
    """Give the places before the endings' tokens, in order."""
    found, start = list[int](), num_text
    for length in lengths:
        found += [num_text - 1, *range(start, start + length - 1)]
        start += length
    return found
