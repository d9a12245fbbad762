"""Packed attention on the GPU: each example of a row attends within itself, and no mask is ever made.

Registered with transformers under a name, so that any of its decoders uses it by configuration.

Legend: B rows (1), N query heads, K key heads, T tokens, H width of a head, E examples of a row.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from burnish.runtime import need

NAME = "burnish_varlen"


@dataclass
class Sizes:
    """Sizes that all rows share, each a power of two that only grows: compiled code is made again for each new one.

    The kernel works through as many blocks as they ask for, so both begin small.

    Attributes:
        num_borders: of a row's examples, its end among them.
        max_length_tokens: of an example; 128 is a block of the kernel.
    """

    num_borders: int = 16
    max_length_tokens: int = 128

    def grow(self, num_borders: int, length_tokens: int) -> None:
        """Make room for a row."""
        self.num_borders = max(self.num_borders, _power_of_two(num_borders))
        self.max_length_tokens = max(self.max_length_tokens, _power_of_two(length_tokens))


_SIZES = Sizes()  # of this process


def register_varlen(window_tokens: int | None = None) -> str:
    """Make the attention known to transformers, and give its name; a window is that of all layers."""
    transformers = need("transformers", extra="train")
    name = NAME if window_tokens is None else f"{NAME}_window_{window_tokens}"
    transformers.AttentionInterface.register(name, make_varlen_attention(window_tokens))
    transformers.AttentionMaskInterface.register(name, _no_mask)
    return name


def is_varlen(model_config: Any) -> bool:
    """Tell whether a model attends so, and needs the borders of its examples."""
    return str(model_config._attn_implementation).startswith(NAME)


def packed(positions: Sequence[int], device: Any, sizes: Sizes = _SIZES) -> dict[str, Any]:
    """Tell the attention where the examples of a row lie.

    Args:
        positions: of the row's tokens, restarting at 0 with each example.
        sizes: grow where the row asks for it.

    Returns:
        `cu_seq_lens_q`: where each example begins, and the row's end, repeated to fill up: (E + 1 or more) int32;
        `max_length_q`: at least the tokens of the longest example.
    """
    torch = need("torch", extra="train")
    starts = [index for index, position in enumerate(positions) if position == 0]
    end = len(positions)
    longest = max(after - start for start, after in zip(starts, [*starts[1:], end], strict=True))
    sizes.grow(len(starts) + 1, longest)
    borders = starts + [end] * (sizes.num_borders - len(starts))
    return {
        "cu_seq_lens_q": torch.tensor(borders, dtype=torch.int32, device=device),
        "max_length_q": sizes.max_length_tokens,
    }


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def make_varlen_attention(window_tokens: int | None = None) -> Any:
    """Make the attention function; torch is imported here, since compiled code must not import.

    It attends causally within the examples that `cu_seq_lens_q` borders, by FlashAttention's packed kernel.
    Source: Dao 2023, arXiv 2307.08691; `torch.nn.attention.varlen`.
    """
    varlen_attn = need("torch.nn.attention.varlen", extra="train").varlen_attn
    has_gqa = "enable_gqa" in inspect.signature(varlen_attn).parameters

    def varlen_attention(
        _module: Any,
        query_BNTH: Any,
        key_BKTH: Any,
        value_BKTH: Any,
        _mask: Any = None,
        *,
        scaling: float | None = None,
        sliding_window: int | None = None,
        cu_seq_lens_q: Any = None,
        max_length_q: int = 0,
        **_kwargs: Any,
    ) -> tuple[Any, None]:
        query, key, value = (each[0].transpose(0, 1) for each in (query_BNTH, key_BKTH, value_BKTH))
        options: dict[str, Any] = {"enable_gqa": True} if has_gqa else {}
        num_seen = sliding_window if window_tokens is None else window_tokens
        window = (-1 if num_seen is None else num_seen - 1, 0)
        out = varlen_attn(
            query, key, value, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q,
            scale=scaling, window_size=window, **options,
        )  # fmt: skip
        return out[None], None

    return varlen_attention


def _no_mask(*_args: Any, **_kwargs: Any) -> None:
    return None
