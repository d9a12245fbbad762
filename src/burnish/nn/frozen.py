"""Frozen linear layers in 8 or 4 bits: the base below an adapter, restored wherever it multiplies.

Source: Dettmers et al. 2023, arXiv 2305.14314 (QLoRA), sections 2 and 3, of which each scheme says how ours differs.

Legend: T tokens, I inputs, O outputs, B blocks of a weight, G groups of blocks.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from burnish.errors import BurnishError
from burnish.runtime import need

_BLOCK = 64  # weights that share a scale in 4 bits; QLoRA, section 3
_GROUP = 256  # scales that share a scale of their own; likewise
_INT8_MAX = 127
_FLOAT8_MAX = 448.0  # of e4m3

# QLoRA, appendix E: means of neighbouring quantiles of a normal distribution, scaled to [-1, 1], with an exact 0
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


@dataclass(frozen=True)
class Int8:
    """8-bit integers with a float32 scale an output channel, which is its largest magnitude over 127.

    A weight moves by at most half a scale: 0.4 % of its channel's largest. Source: QLoRA, equation 1, for each row.
    """


@dataclass(frozen=True)
class Nf4:
    """4-bit NormalFloat: the nearest of 16 levels, times the largest magnitude of 64 weights that lie together.

    A weight moves by at most 15.2 % of its block's largest, where the levels are farthest apart.

    Attributes:
        is_double_quantised: the blocks' scales are kept in 8 bits too, less their mean, 256 to a scale: 4.13 bits a
            weight in place of 4.5. Ours are e4m3 floats.
    """

    is_double_quantised: bool = False


Scheme = Int8 | Nf4
Packed = tuple[Any, ...]  # tensors: the codes, then what scales them


def freeze_linears(model: Any, scheme: Scheme) -> int:
    """Put packed layers in place of all of a model's linear layers but its output head.

    Packed layers do not train. Expert weights that an architecture keeps in one stacked parameter (DeepSeek-V3's,
    Qwen3-MoE's) are no linear layers, and stay as they are.

    Returns:
        number of layers.

    Raises:
        BurnishError: a weight is not finite.
    """
    torch = need("torch", extra="train")
    head = model.get_output_embeddings()
    found = [
        (name, module)
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and module is not head
    ]
    make = _layer()
    for name, module in found:
        if not torch.isfinite(module.weight).all():
            raise BurnishError(f"{name}.weight holds numbers that are not finite; the base model is damaged")
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, make(module, scheme))
    return len(found)


def num_weights(model: Any) -> int:
    """Count a model's numbers, those of packed layers as what they stand for."""
    packed = [module for module in model.modules() if hasattr(module, "num_packed")]
    count: int = sum(p.numel() for p in model.parameters()) + sum(module.num_packed for module in packed)
    return count


def weights_bytes(model: Any) -> int:
    """Add up the memory of a model's parameters and packed layers; tied ones count once."""
    tensors = {id(p): p for p in model.parameters()}
    for module in model.modules():
        if hasattr(module, "num_packed"):
            tensors |= {id(buffer): buffer for buffer in module.buffers(recurse=False)}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def pack(weight_OI: Any, scheme: Scheme) -> Packed:
    """Quantise a weight.

    Returns:
        for Int8 codes (O, I) and scales (O, 1); for Nf4 codes, two a byte, and the blocks' scales (B), or the
        scales' codes (B), their own scales (G) and their mean (1).
    """
    torch = need("torch", extra="train")
    weight_OI = weight_OI.detach().float()
    match scheme:
        case Int8():
            scale_O1 = _above_zero(weight_OI.abs().amax(1, keepdim=True) / _INT8_MAX)
            return (weight_OI / scale_O1).round().clamp(-_INT8_MAX, _INT8_MAX).to(torch.int8), scale_O1
        case Nf4():
            block_BW = _in_rows(weight_OI, _BLOCK)
            scale_B = block_BW.abs().amax(1)
            levels = torch.tensor(NF4, device=weight_OI.device)
            borders = (levels[1:] + levels[:-1]) / 2
            codes = torch.bucketize(block_BW / _above_zero(scale_B)[:, None], borders, out_int32=True).flatten()
            pairs = (codes[::2] << 4 | codes[1::2]).to(torch.uint8)
            return pairs, *(_pack_scales(scale_B) if scheme.is_double_quantised else (scale_B,))
        case _:
            assert_never(scheme)


def unpack(packed: Sequence[Any], shape: tuple[int, int], dtype: Any) -> Any:
    """Restore the weight that a packed one stands for, (O, I)."""
    codes, *scales = packed
    if codes.dtype == need("torch", extra="train").int8:
        return (codes.float() * scales[0]).to(dtype)
    scale_B = scales[0] if len(scales) == 1 else _unpack_scales(*scales)
    weight = _pair_levels(codes.device)[codes.int()].view(-1, _BLOCK) * scale_B[:, None]
    return weight.flatten()[: math.prod(shape)].view(shape).to(dtype)


def _pack_scales(scale_B: Any) -> Packed:
    torch = need("torch", extra="train")
    mean = scale_B.mean(0, keepdim=True)
    group = _in_rows(scale_B - mean, _GROUP)
    scale_G = _above_zero(group.abs().amax(1) / _FLOAT8_MAX)
    codes = (group / scale_G[:, None]).clamp(-_FLOAT8_MAX, _FLOAT8_MAX).to(torch.float8_e4m3fn)
    return codes.flatten()[: len(scale_B)], scale_G, mean


def _unpack_scales(codes_B: Any, scale_G: Any, mean: Any) -> Any:
    each_B = scale_G.repeat_interleave(_GROUP, output_size=_GROUP * len(scale_G))[: len(codes_B)]
    return (codes_B.float() * each_B + mean).clamp_min(0)


def _in_rows(tensor: Any, length: int) -> Any:
    """Lay a tensor's numbers out in rows of equal length, the last one filled up with zeros."""
    pad = need("torch.nn.functional", extra="train").pad
    return pad(tensor.flatten(), (0, -tensor.numel() % length)).view(-1, length)


def _above_zero(scale: Any) -> Any:
    return need("torch", extra="train").where(scale > 0, scale, 1.0)


@functools.cache
def _pair_levels(device: Any) -> Any:
    """Give the two levels that each byte stands for, (256, 2)."""
    torch = need("torch", extra="train")
    levels, byte = torch.tensor(NF4, device=device), torch.arange(256, device=device)
    return torch.stack([levels[byte >> 4], levels[byte & 15]], 1)


@functools.cache
def _layer() -> Any:
    """Make the layer's class; torch is imported no earlier. To PEFT it is a linear layer like any other."""
    torch = need("torch", extra="train")
    linear = torch.nn.functional.linear

    class Product(torch.autograd.Function):  # type: ignore[misc, name-defined]
        """Multiply by the restored weight, and keep the packed one alone for the way back."""

        @staticmethod
        def forward(ctx: Any, x: Any, bias: Any, num_outputs: int, *packed: Any) -> Any:
            ctx.save_for_backward(*packed)
            ctx.shape = (num_outputs, x.shape[-1])
            return linear(x, unpack(packed, ctx.shape, x.dtype), bias)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> tuple[Any, ...]:
            packed = ctx.saved_tensors
            return dy @ unpack(packed, ctx.shape, dy.dtype), None, None, *(None for _ in packed)

    class FrozenLinear(torch.nn.Linear):  # type: ignore[misc, name-defined]
        """A linear layer whose weight is packed; `weight` restores it, and nothing of it trains."""

        def __init__(self, plain: Any, scheme: Scheme) -> None:
            torch.nn.Module.__init__(self)  # Linear's own would make a full weight
            self.in_features, self.out_features = plain.in_features, plain.out_features
            self.scheme, self.dtype = scheme, plain.weight.dtype
            packed = pack(plain.weight, scheme)
            self.names = tuple(f"packed_{number}" for number in range(len(packed)))
            for name, tensor in zip(self.names, packed, strict=True):
                self.register_buffer(name, tensor)
            self.register_buffer("bias", None if plain.bias is None else plain.bias.detach())
            self.num_packed = plain.weight.numel() + (0 if plain.bias is None else plain.bias.numel())

        @property
        def weight(self) -> Any:
            return unpack(self._packed(), (self.out_features, self.in_features), self.dtype)

        def forward(self, x: Any) -> Any:
            return Product.apply(x, self.bias, self.out_features, *self._packed())

        def extra_repr(self) -> str:
            return f"{super().extra_repr()}, scheme={self.scheme}"

        def _packed(self) -> Packed:
            return tuple(getattr(self, name) for name in self.names)

    return FrozenLinear
