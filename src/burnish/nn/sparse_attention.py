"""Attention whose cost grows with the length of a row: a window, and the first tokens of each document.

Registered with transformers under a name, so that any of its decoders uses it by configuration. What is seen is
worked out once a row and shared by all layers. On a GPU FlexAttention leaves out blocks that nothing sees; elsewhere
blocks of queries attend to the few blocks of keys before them. With a cache, where queries are few, a mask is made.

A token that may not see the one before it begins a document: so packing, and padding, need no argument of their own.

Legend: B rows, N query heads, K key heads, T tokens, H width of a head, P queries of a step with a cache.
"""

import functools
from dataclasses import dataclass
from typing import Any

from burnish.errors import BurnishError
from burnish.nn.attention import Sparse, shape_of
from burnish.nn.blocked_attention import Blocks, blocked_attention, is_seen, make_blocks
from burnish.runtime import need

_TILE = 128  # of FlexAttention's block masks
_MIN_FLEX_WIDTH = 16  # of a head


@dataclass(frozen=True)
class Seen:
    """What the queries of a step with a cache see: bool (B, 1, P, T)."""

    mask: Any


def register_sparse(attention: Sparse) -> str:
    """Make an attention known to transformers, and give its name."""
    window_tokens, num_global = shape_of(attention)
    name = f"burnish_window_{window_tokens}_global_{num_global}"
    transformers = need("transformers", extra="train")
    transformers.AttentionInterface.register(name, make_attention())
    what_is_seen = functools.partial(see, window_tokens=window_tokens, num_global=num_global)
    transformers.AttentionMaskInterface.register(name, what_is_seen)
    return name


def see(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: Any = 0,
    kv_offset: int = 0,
    *,
    mask_function: Any,
    attention_mask: Any = None,
    dtype: Any,
    config: Any,
    device: Any,
    window_tokens: int,
    num_global: int,
    **_kwargs: Any,
) -> Any:
    """Work out what is seen, as transformers asks for it once a row.

    Args:
        mask_function: transformers' own rule, which knows the borders between packed documents.
        attention_mask: bool (B, T), False where there is padding.

    Returns:
        A `Blocks`, a FlexAttention block mask, or a `Seen` for a step with a cache.
    """
    torch = need("torch", extra="train")
    if q_length == kv_length:
        first_BT = first_of_document(batch_size, q_length, mask_function, attention_mask, device)
        if torch.device(device).type == "cuda" and _head_width(config) >= _MIN_FLEX_WIDTH:
            return flex_mask(first_BT, window_tokens, num_global)
        num_keys = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        return make_blocks(first_BT, window_tokens, num_global, config.num_attention_heads // num_keys, dtype)
    places_T = torch.arange(kv_length, device=device) + kv_offset
    queries_P = torch.arange(q_length, device=device) + q_offset
    if attention_mask is None:
        first_B = torch.zeros(batch_size, dtype=torch.long, device=device)
        is_text = torch.ones(batch_size, kv_length, dtype=torch.bool, device=device)
    else:
        first_B = attention_mask.int().argmax(-1)
        is_text = attention_mask[:, kv_offset : kv_offset + kv_length]
    sees = is_seen(queries_P[None, :, None], places_T[None, None], first_B[:, None, None], window_tokens, num_global)
    sees = (sees & is_text[:, None]) | (queries_P[:, None] == places_T)
    return Seen(sees[:, None])


def first_of_document(batch_size: int, length: int, mask_function: Any, attention_mask: Any, device: Any) -> Any:
    """Find the first token of each token's document, (B, T)."""
    torch = need("torch", extra="train")
    places = torch.arange(length, device=device)
    rows = torch.arange(batch_size, device=device)
    follows = mask_function(rows[:, None], places.new_zeros(()), places[None, 1:], places[None, :-1])
    follows = torch.as_tensor(follows, device=device).expand(batch_size, length - 1)
    if attention_mask is not None:
        follows = follows & attention_mask[:, : length - 1]
    starts = torch.cat([follows.new_ones(batch_size, 1), ~follows], 1)
    return torch.where(starts, places, places.new_zeros(())).cummax(1).values


def flex_mask(first_BT: Any, window_tokens: int, num_global: int) -> Any:
    """Make FlexAttention's block mask from the borders, without a look at all pairs of tokens."""
    torch = need("torch", extra="train")
    flex = need("torch.nn.attention.flex_attention", extra="train")
    batch, length = first_BT.shape
    num_tiles = -(-length // _TILE)
    places = torch.arange(num_tiles * _TILE, device=first_BT.device)
    first = torch.cat([first_BT, places[length:].expand(batch, -1)], 1)
    tiles = torch.arange(num_tiles, device=first.device)
    lowest = torch.maximum(first, places - window_tokens + 1).view(batch, num_tiles, _TILE).amin(2) // _TILE
    wanted = (tiles >= lowest[..., None]) & (tiles <= tiles[:, None])
    for offset in {min(step, num_global - 1) for step in range(0, num_global + _TILE - 1, _TILE) if num_global}:
        far = ((first + offset) // _TILE).clamp(max=num_tiles - 1).view(batch, num_tiles, _TILE)
        wanted.scatter_(2, far, True)
    wanted &= tiles <= tiles[:, None]

    def sees(row: Any, _head: Any, query: Any, key: Any) -> Any:
        return is_seen(query, key, first[row, query], window_tokens, num_global)

    return flex.BlockMask.from_kv_blocks(
        wanted.sum(2, dtype=torch.int32)[:, None],
        wanted.int().argsort(dim=2, descending=True, stable=True).int()[:, None],
        BLOCK_SIZE=_TILE,
        mask_mod=sees,
        seq_lengths=(length, length),
    )


@functools.cache
def make_attention() -> Any:
    """Make the attention function; torch is imported here, since compiled code must not import."""
    torch = need("torch", extra="train")
    flex = need("torch.nn.attention.flex_attention", extra="train").flex_attention
    compiled_flex = torch.compile(flex) if torch.cuda.is_available() else flex  # compiled at its first call

    def sparse_attention(
        module: Any,
        query_BNTH: Any,
        key_BKTH: Any,
        value_BKTH: Any,
        attention_mask: Any,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        softcap: float | None = None,
        s_aux: Any = None,
        **_kwargs: Any,
    ) -> tuple[Any, None]:
        _check(module, dropout, softcap, s_aux)
        if isinstance(attention_mask, Blocks):
            out = blocked_attention(query_BNTH, key_BKTH, value_BKTH, attention_mask, scaling)
        elif isinstance(attention_mask, Seen):
            num_shared = query_BNTH.shape[1] // key_BKTH.shape[1]
            key, value = (each.repeat_interleave(num_shared, 1) for each in (key_BKTH, value_BKTH))
            out = torch.nn.functional.scaled_dot_product_attention(
                query_BNTH, key, value, attn_mask=attention_mask.mask, scale=scaling
            )
        elif attention_mask is None or torch.is_tensor(attention_mask):
            raise BurnishError(
                "attention with a window was given a mask made elsewhere (a prefix makes one), which would undo it; "
                "use method lora, prompt or full, or attention full_attention"
            )
        else:
            attend = flex if torch.compiler.is_compiling() or not query_BNTH.is_cuda else compiled_flex
            out = attend(
                query_BNTH, key_BKTH, value_BKTH, block_mask=attention_mask, scale=scaling,
                enable_gqa=query_BNTH.shape[1] != key_BKTH.shape[1],
            )  # fmt: skip
        return out.transpose(1, 2).contiguous(), None

    return sparse_attention


def _head_width(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _check(module: Any, dropout: float, softcap: float | None, sinks: Any) -> None:
    """Refuse what would be left out in silence.

    Raises:
        BurnishError: the architecture asks for it.
    """
    asked = [name for name, value in (("dropout", dropout), ("softcap", softcap), ("sinks", sinks)) if value]
    if asked:
        raise BurnishError(
            f"{module.config.model_type} asks for attention with {', '.join(asked)}, which attention with a window does "
            "not know; leave `attention` out, or take a base of another family, such as Qwen or Llama"
        )
