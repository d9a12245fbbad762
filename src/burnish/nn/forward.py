"""The forward pass over packed rows, with the output head only where it is needed.

Legend: T tokens of a row, N virtual tokens, P chosen positions, D width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from burnish.errors import BurnishError
from burnish.nn import varlen
from burnish.runtime import need

_SCALED_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")


def logits_at(model: Any, ids: Sequence[int], positions: Sequence[int], chosen: Any) -> Any:
    """Compute logits at chosen positions of one packed row, (P, V) in the model's precision.

    The head of a small model is a fifth of its work and its logits most of its memory, so it is applied
    to the chosen positions alone. Arguments as of `hidden_at`.
    """
    return head_of(model)(hidden_at(model, ids, positions, chosen))


def hidden_at(model: Any, ids: Sequence[int], positions: Sequence[int], chosen: Any) -> Any:
    """Compute the last hidden states, normalised for the head, at chosen positions of one packed row.

    Restarting positions make transformers mask across examples. A prefix or a soft prompt belongs to each
    example of the row: the prefix is one that all see, the prompt is put before each.

    Args:
        model: a transformers causal language model, with or without PEFT adapters.
        ids: T token ids.
        positions: T positions, restarting at 0 with each example.
        chosen: bool tensor (T).

    Returns:
        (P, D) tensor in the model's precision.
    """
    torch = need("torch", extra="train")
    decoder = decoder_of(model)
    place = decoder.get_input_embeddings().weight.device
    learned = _prompt_kind(model)
    if learned == "PREFIX_TUNING":
        given = _with_prefix(model, positions, place)
        given["input_ids"] = torch.tensor([list(ids)], device=place)
    elif learned is not None:
        given, places = _with_prompts(model, decoder, ids, positions, place)
        chosen = torch.zeros(given["inputs_embeds"].shape[1], dtype=torch.bool).index_fill(
            0, places[chosen.cpu()], True
        )
    else:
        given = {
            "input_ids": torch.tensor([list(ids)], device=place),
            "position_ids": torch.tensor([list(positions)], device=place),
        }
        if varlen.is_varlen(decoder.config):
            given |= varlen.packed(positions, place)
    hidden_TD = decoder(**given, use_cache=learned == "PREFIX_TUNING").last_hidden_state[0]
    return hidden_TD[chosen.to(place)]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch dropout off inside; a model that was in training is so again afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def decoder_of(model: Any) -> Any:
    """Give the part of a model below its head."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(inner, inner.base_model_prefix, inner)


def layers_of(model: Any) -> list[Any]:
    """Give the layers of a decoder or an encoder, first one first, whatever its architecture calls them."""
    decoder = decoder_of(model)
    lists = (each for each in decoder.modules() if type(each).__name__ == "ModuleList")
    return list(next(each for each in lists if len(each) == decoder.config.num_hidden_layers))


def head_of(model: Any) -> Any:
    """Give the output head: a linear layer and nothing after it.

    Raises:
        BurnishError: the architecture does more with its logits, which would be lost here.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    for name in _SCALED_LOGITS:
        if getattr(inner.config, name, None) not in (None, 1, 1.0):
            raise BurnishError(
                f"{inner.config.model_type} models change their logits ({name} is {getattr(inner.config, name)}), which "
                "training does not know yet; take a model of another family, such as Qwen or Llama"
            )
    head = inner.get_output_embeddings()
    if getattr(head, "bias", None) is not None:
        raise BurnishError(f"the output head of {inner.config.model_type} has a bias, which training does not know yet")
    return head


def _prompt_kind(model: Any) -> str | None:
    config = getattr(model, "active_peft_config", None)
    return str(config.peft_type.value) if config is not None and config.is_prompt_learning else None


def _with_prefix(model: Any, positions: Sequence[int], place: Any) -> dict[str, Any]:
    """Let every token of a row see the prefix, and of the row its own example's earlier tokens."""
    torch = need("torch", extra="train")
    past = model.get_prompt(batch_size=1)
    num_virtual = model.active_peft_config.num_virtual_tokens
    at = torch.tensor(list(positions), device=place)
    example = (at == 0).cumsum(0)
    order = torch.arange(len(at), device=place)
    sees_TT = (example[:, None] == example[None]) & (order[:, None] >= order[None])
    sees = torch.cat([sees_TT.new_ones(len(at), num_virtual), sees_TT], 1)
    dtype = decoder_of(model).get_input_embeddings().weight.dtype
    mask = torch.zeros(sees.shape, dtype=dtype, device=place).masked_fill(~sees, torch.finfo(dtype).min)
    return {"past_key_values": past, "attention_mask": mask[None, None], "position_ids": at[None] + num_virtual}


def _with_prompts(
    model: Any, decoder: Any, ids: Sequence[int], positions: Sequence[int], place: Any
) -> tuple[dict[str, Any], Any]:
    """Put the soft prompt before each example; give the inputs, and where each token has come to stand."""
    torch = need("torch", extra="train")
    prompt_ND = model.get_prompt(batch_size=1)[0]
    embedded_TD = decoder.get_input_embeddings()(torch.tensor(list(ids), device=place))
    prompt_ND = prompt_ND.to(embedded_TD.dtype)
    starts = [index for index, position in enumerate(positions) if position == 0]
    pieces: list[Any] = []
    new_positions: list[int] = []
    places: list[int] = []
    done = 0
    for start, end in zip(starts, [*starts[1:], len(positions)], strict=True):
        pieces += [prompt_ND, embedded_TD[start:end]]
        new_positions += range(len(prompt_ND) + end - start)
        places += range(done + len(prompt_ND), done + len(prompt_ND) + end - start)
        done += len(prompt_ND) + end - start
    given = {
        "inputs_embeds": torch.cat(pieces)[None],
        "position_ids": torch.tensor([new_positions], device=place),
    }
    if varlen.is_varlen(decoder.config):
        given |= varlen.packed(new_positions, place)
    return given, torch.tensor(places)
