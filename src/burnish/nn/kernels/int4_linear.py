"""Linear layers whose weights are 4-bit integers with a scale for 32, 64 or 128 inputs, for few rows of activations.

One row of activations needs each weight once, so that time is bytes over memory bandwidth: weights are read in 16-byte
pieces that lie side by side, a chunk of 128 inputs after the other, and become 16-bit floats in registers.

Legend: M rows of activations, O outputs, I inputs, G groups of a row, C chunks of 128 inputs, W the 16 words (32 bits) of
an output's chunk.
"""

import functools
from dataclasses import dataclass
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need

CHUNK = 128
GROUP_SIZES = (32, 64, 128)
_MIDDLE = 8  # is added to symmetric values, -8 to 7, so that all are held as 0 to 15
_PROGRAMS = 528  # four for each of an H100's 132 multiprocessors; a choice made before any was timed
_RESTORED_OUTPUTS = 64


@dataclass(frozen=True)
class Int4Weight:
    """A packed weight.

    Input 128 c + 32 i + 8 s + 2 t + b of an output is in chunk c, word 4 t + i, from bit 4 s + 16 b on. A thread that
    loads words 4 t to 4 t + 3 then holds what the 16-bit matrix instruction asks of thread t of four.

    Attributes:
        words_COW: int32; inputs past the last are there, and meet activations of zero.
        scale_GO: floats, as the grid has them.
        zero_GO: uint8; None where the values are symmetric, and 8 is the zero.
        locks: int32 zeros, a number for each 16 outputs. Launches that share them must not run at the same time.
        group_size: 32, 64 or 128 inputs.
    """

    words_COW: Any
    scale_GO: Any
    zero_GO: Any
    locks: Any
    num_inputs: int
    group_size: int

    @property
    def num_outputs(self) -> int:
        """Count the outputs."""
        return int(self.words_COW.shape[1])


@dataclass(frozen=True)
class Tile:
    """Say how a product is cut.

    Attributes:
        block_n: outputs of a program; a multiple of 16.
        block_k: inputs that it takes at a time: 128 or 256.
        split_k: programs that share an output tile, each with its part of the inputs; None fills the GPU.
    """

    block_n: int = 64
    block_k: int = 128
    split_k: int | None = None
    num_warps: int = 4
    num_stages: int = 4


# rows of activations at most -> tile. Read off compiled code (registers, loads), not off a clock.
TILES: tuple[tuple[int, Tile], ...] = (
    (16, Tile(block_n=64, num_warps=4, num_stages=4)),
    (32, Tile(block_n=64, num_warps=4, num_stages=4)),
    (64, Tile(block_n=64, num_warps=4, num_stages=3)),
)
MAX_ROWS = TILES[-1][0]


def pack_int4(values_OI: Any, scale_OG: Any, zero_OG: Any = None) -> Int4Weight:
    """Pack integers of at most 4 bits: -8 to 7, or 0 to 15 with zero points.

    A scale for a whole row, or for a multiple of 128 inputs, is repeated for each 128.

    Raises:
        BurnishError: the groups are of another size, or a value needs more bits.
    """
    torch = need("torch", extra="train")
    outputs, inputs = values_OI.shape
    num_groups = scale_OG.shape[1]
    size = inputs // num_groups
    if num_groups == 1 or (inputs % num_groups == 0 and size % CHUNK == 0):
        times = -(-inputs // CHUNK) if num_groups == 1 else size // CHUNK
        scale_OG, zero_OG = (each if each is None else each.repeat_interleave(times, 1) for each in (scale_OG, zero_OG))
        size = CHUNK
    elif inputs % num_groups or size not in GROUP_SIZES:
        raise BurnishError(
            f"{num_groups} groups of {inputs} inputs; 4-bit kernels take groups of {GROUP_SIZES} or a row"
        )
    held = values_OI.int() + (_MIDDLE if zero_OG is None else 0)
    if bool(((held < 0) | (held > 15)).any()):
        raise BurnishError(f"values from {int(values_OI.min())} to {int(values_OI.max())} do not fit 4 bits")
    pad = torch.nn.functional.pad
    chunks = -(-inputs // CHUNK)
    short = chunks * CHUNK // size - scale_OG.shape[1]
    held_OCISTB = pad(held, (0, chunks * CHUNK - inputs)).view(outputs, chunks, 4, 4, 4, 2)
    word_OCTI = torch.zeros(outputs, chunks, 4, 4, dtype=torch.int32, device=held.device)
    for s in range(4):
        for b in range(2):
            word_OCTI |= held_OCISTB[:, :, :, s, :, b].transpose(2, 3) << (4 * s + 16 * b)
    return Int4Weight(
        word_OCTI.flatten(2).transpose(0, 1).contiguous(),
        pad(scale_OG, (0, short)).t().contiguous(),
        None if zero_OG is None else pad(zero_OG, (0, short)).t().contiguous(),
        torch.zeros(-(-outputs // 16), dtype=torch.int32, device=held.device),
        inputs,
        size,
    )


def unpack_int4(weight: Int4Weight) -> Any:
    """Give the integers, 0 to 15, as uint8 (O, I)."""
    torch = need("torch", extra="train")
    chunks, outputs, _ = weight.words_COW.shape
    word_OCIT = weight.words_COW.view(chunks, outputs, 4, 4).permute(1, 0, 3, 2)
    parts = [torch.stack([word_OCIT >> (4 * s + 16 * b) & 15 for b in range(2)], -1) for s in range(4)]
    return torch.stack(parts, 3).flatten(1)[:, : weight.num_inputs].to(torch.uint8)


def restore_int4(weight: Int4Weight, dtype: Any) -> Any:
    """Give the weight that a packed one stands for, (O, I)."""
    if weight.words_COW.is_cuda:
        return launch_restore(weight, dtype)
    chunks, outputs, _ = weight.words_COW.shape
    pad = need("torch", extra="train").nn.functional.pad
    held = pad(unpack_int4(weight).float(), (0, chunks * CHUNK - weight.num_inputs))
    zero_GO = _MIDDLE if weight.zero_GO is None else weight.zero_GO.t()[..., None].float()
    held_OGS = (held.view(outputs, -1, weight.group_size) - zero_GO) * weight.scale_GO.t()[..., None].float()
    return held_OGS.flatten(1)[:, : weight.num_inputs].to(dtype)


def int4_linear(x_MI: Any, weight: Int4Weight, bias_O: Any = None) -> Any:
    """Multiply at most 64 rows; on a GPU in one kernel, else by the restored weight in float32."""
    if x_MI.is_cuda:
        return launch_int4(x_MI, weight, bias_O)
    torch = need("torch", extra="train")
    whole = restore_int4(weight, torch.float32)
    bias_O = None if bias_O is None else bias_O.float()
    return torch.nn.functional.linear(x_MI.float(), whole, bias_O).to(x_MI.dtype)


def tile_for(num_rows: int, num_outputs: int, num_inputs: int) -> Tile:
    """Choose a tile, with as many parts as fill the GPU."""
    tile = next(tile for bound, tile in TILES if num_rows <= bound)
    blocks = -(-num_inputs // tile.block_k)
    parts = max(1, min(blocks, round(_PROGRAMS * tile.block_n / num_outputs)))
    return Tile(tile.block_n, tile.block_k, parts, tile.num_warps, tile.num_stages)


def launch_int4(x_MI: Any, weight: Int4Weight, bias_O: Any = None, *, tile: Tile | None = None) -> Any:
    """Multiply by the kernel.

    Args:
        x_MI: contiguous bf16, at most 64 rows; float32 multiplies in float32.

    Raises:
        BurnishError: there are more rows.
    """
    torch = need("torch", extra="train")
    rows, outputs = x_MI.shape[0], weight.num_outputs
    if rows > MAX_ROWS:
        raise BurnishError(f"{rows} rows; the 4-bit kernel takes at most {MAX_ROWS}")
    tile = tile or tile_for(rows, outputs, weight.num_inputs)
    parts = tile.split_k or 1
    y_MO = torch.empty(rows, outputs, dtype=x_MI.dtype, device=x_MI.device)
    sums = torch.empty(parts, rows, outputs, dtype=torch.float32, device=x_MI.device) if parts > 1 else y_MO
    _kernels().int4_kernel[(-(-outputs // tile.block_n), parts)](
        x_MI, weight.words_COW, weight.scale_GO, _or(weight.zero_GO, weight.scale_GO), _or(bias_O, y_MO), y_MO, sums,
        weight.locks, rows, outputs, weight.num_inputs, len(weight.words_COW), len(weight.scale_GO),
        BLOCK_M=max(16, 1 << (rows - 1).bit_length()), BLOCK_N=tile.block_n, BLOCK_K=tile.block_k, SPLIT_K=parts,
        GROUP=weight.group_size, HAS_ZERO=weight.zero_GO is not None, HAS_BIAS=bias_O is not None,
        num_warps=tile.num_warps, num_stages=tile.num_stages,
    )  # fmt: skip
    return y_MO


def launch_restore(weight: Int4Weight, dtype: Any) -> Any:
    """Restore the weight by the kernel."""
    torch = need("torch", extra="train")
    chunks, outputs, _ = weight.words_COW.shape
    whole_OI = torch.empty(outputs, weight.num_inputs, dtype=dtype, device=weight.words_COW.device)
    _kernels().restore_kernel[(-(-outputs // _RESTORED_OUTPUTS), chunks)](
        weight.words_COW, weight.scale_GO, _or(weight.zero_GO, weight.scale_GO), whole_OI, outputs, weight.num_inputs,
        len(weight.scale_GO), BLOCK_N=_RESTORED_OUTPUTS, GROUP=weight.group_size, HAS_ZERO=weight.zero_GO is not None,
    )  # fmt: skip
    return whole_OI


def _or(tensor: Any, unread: Any) -> Any:
    """Give a tensor, or one that stands in its place and is not read."""
    return unread if tensor is None else tensor


@functools.cache
def _kernels() -> Any:
    """Make the kernels; Triton is imported no earlier."""
    need("triton", extra="train")
    from burnish.nn.kernels import int4_linear_triton

    return int4_linear_triton
