"""Attention in blocks, where FlexAttention has no kernel: blocks of queries against the few keys that they see.

Legend: B rows, N query heads, K key heads, R = N / K, T tokens, H width of a head, L blocks of queries, C their length,
S keys that a block sees, G global tokens.
"""

from dataclasses import dataclass
from typing import Any

from burnish.runtime import need

_MIN_BLOCK = 64  # shorter blocks of queries leave the kernel little to do
_BLOCKS_A_WINDOW = 2  # measured on two cores, window 256: a fifth faster than one, and less copied than four


@dataclass(frozen=True)
class Blocks:
    """What the blocks of queries of a row see, the same for all layers.

    Attributes:
        mask: 0 where seen, −inf elsewhere, (B · L, 1, R · C, S).
        globals_BLG: places of the global tokens that lie before a block's own keys.
        num_previous: blocks of keys before a block's own.
    """

    mask: Any
    globals_BLG: Any
    block_tokens: int
    num_previous: int


def make_blocks(first_BT: Any, window_tokens: int, num_global: int, num_shared: int, dtype: Any) -> Blocks:
    """Cut a row into blocks of queries, and say what each sees: its own keys, those before, and global tokens.

    Only the document of a block's first token can have global tokens before the block's keys.

    Args:
        first_BT: first token of each token's document.
        num_shared: query heads that share a key head.
    """
    torch = need("torch", extra="train")
    batch, length = first_BT.shape
    window = min(window_tokens, length)
    size = min(length, max(_MIN_BLOCK, -(-window // _BLOCKS_A_WINDOW)))
    num_blocks, num_previous = -(-length // size), -(-(window - 1) // size)
    places = torch.arange(num_blocks * size, device=first_BT.device)
    missing = num_blocks * size - length
    filler = places[length:].expand(batch, missing)  # each sees itself alone
    first_BLC = torch.cat([first_BT, filler], 1).view(batch, num_blocks, size)
    begins_L = places[::size]
    queries_LC1 = places.view(num_blocks, size, 1)
    first_BLC1 = first_BLC[..., None]
    own_LS = begins_L[:, None] + torch.arange(-num_previous * size, size, device=places.device)
    sees = is_seen(queries_LC1, own_LS[:, None], first_BLC1, window, num_global)
    globals_BLG = first_BLC[:, :, :1] + torch.arange(num_global, device=places.device)
    far_BL1G = globals_BLG[:, :, None]
    is_before = far_BL1G < own_LS[:, None, :1]
    sees_far = is_before & (far_BL1G >= first_BLC1) & (far_BL1G < first_BLC1 + num_global)
    sees = torch.cat([sees, sees_far], 3)
    num_seen = sees.shape[-1]
    mask = torch.zeros(batch, num_blocks, num_shared, size, num_seen, dtype=dtype, device=places.device)
    mask.masked_fill_(~sees[:, :, None], -torch.inf)
    return Blocks(
        mask.view(batch * num_blocks, 1, num_shared * size, num_seen),
        globals_BLG.clamp(max=length - 1),
        size,
        num_previous,
    )


def blocked_attention(query_BNTH: Any, key_BKTH: Any, value_BKTH: Any, blocks: Blocks, scale: float | None) -> Any:
    """Attend block by block, (B, N, T, H); time and memory grow with T."""
    torch = need("torch", extra="train")
    batch, num_heads, length, _ = query_BNTH.shape
    num_keys, size = key_BKTH.shape[1], blocks.block_tokens
    num_blocks = -(-length // size)
    missing, shared = num_blocks * size - length, num_heads // num_keys
    query = torch.nn.functional.pad(query_BNTH, (0, 0, 0, missing))
    query = query.view(batch, num_keys, shared, num_blocks, size, -1).permute(0, 3, 1, 2, 4, 5)
    key, value = (_around(each, blocks, missing) for each in (key_BKTH, value_BKTH))
    out = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(batch * num_blocks, num_keys, shared * size, -1), key, value, attn_mask=blocks.mask, scale=scale
    )
    out = out.view(batch, num_blocks, num_keys, shared, size, -1).permute(0, 2, 3, 1, 4, 5)
    return out.reshape(batch, num_heads, num_blocks * size, -1)[:, :, :length]


def is_seen(query: Any, key: Any, first: Any, window_tokens: int, num_global: int) -> Any:
    """Tell what a query sees: of its own document, not after it, in the window or among the first."""
    return (key >= first) & (key <= query) & ((key > query - window_tokens) | (key < first + num_global))


def _around(keys_BKTH: Any, blocks: Blocks, missing: int) -> Any:
    """Lay out what each block of queries may see, (B · L, K, S, H)."""
    torch = need("torch", extra="train")
    batch, num_keys, _, width = keys_BKTH.shape
    size, before = blocks.block_tokens, blocks.num_previous * blocks.block_tokens
    padded = torch.nn.functional.pad(keys_BKTH, (0, 0, before, missing))
    own = padded.unfold(2, before + size, size).permute(0, 2, 1, 4, 3)
    _, num_blocks, num_global = blocks.globals_BLG.shape
    places = blocks.globals_BLG.view(batch, 1, num_blocks * num_global, 1).expand(-1, num_keys, -1, width)
    far = keys_BKTH.gather(2, places).view(batch, num_keys, num_blocks, num_global, width).transpose(1, 2)
    return torch.cat([own, far], 3).flatten(0, 1)
