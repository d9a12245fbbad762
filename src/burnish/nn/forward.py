"""The forward pass over packed rows, with the output head only where it is needed.

Legend: T tokens of a row, P chosen positions, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

from burnish.runtime import need


def logits_at(model: Any, ids: Sequence[int], positions: Sequence[int], chosen: Any) -> Any:
    """Compute logits at chosen positions of one packed row.

    The head of a small model is a fifth of its work and its logits most of its memory, so it is applied
    to the chosen positions alone. Restarting positions make transformers mask across examples.

    Args:
        model: a transformers causal language model, with or without PEFT adapters.
        ids: T token ids.
        positions: T positions, restarting at 0 with each example.
        chosen: bool tensor (T).

    Returns:
        (P, V) tensor in the model's precision.
    """
    torch = need("torch", extra="train")
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder = getattr(inner, inner.base_model_prefix)
    place = inner.get_output_embeddings().weight.device
    hidden_TD = decoder(
        input_ids=torch.tensor([list(ids)], device=place),
        position_ids=torch.tensor([list(positions)], device=place),
        use_cache=False,
    ).last_hidden_state[0]
    return inner.get_output_embeddings()(hidden_TD[chosen.to(place)])
