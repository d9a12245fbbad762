"""Weights as ggml stores them: blocks of 32 inputs behind a float16 scale, and which of our grids each type holds.

Layouts: llama.cpp, ggml/src/ggml-common.h (`block_q4_0`, `block_q4_1`, `block_q8_0`). The low half of a 4-bit block's
bytes is its first 16 values, the high half the other 16.

Legend: O output rows, I input columns, G groups of a row, B blocks of a row.
"""

from typing import TYPE_CHECKING, Literal, assert_never

from burnish.compress.grids import Fp8Grid, IntGrid, Placed
from burnish.errors import BurnishError

if TYPE_CHECKING:
    import numpy as np

BLOCK = 32  # inputs of a block, of all three types

BlockType = Literal["Q4_0", "Q4_1", "Q8_0"]


def block_type(name: str, weight: Placed) -> BlockType:
    """Choose the smallest type that holds a grid's values.

    A grid with zero points fits a type without them where value minus zero point does.

    Raises:
        BurnishError: no type holds it.
    """
    grid, num_inputs = weight.grid, int(weight.values_OI.shape[1])
    if isinstance(grid, Fp8Grid):
        raise BurnishError(f"{name} is on {grid}; GGUF has no 8-bit floats: take int8, or export compressed-tensors")
    if num_inputs % BLOCK or (grid.group_size or BLOCK) % BLOCK:
        raise BurnishError(
            f"{name} has {num_inputs} inputs on {grid}; GGUF stores blocks of {BLOCK} inputs with one scale each: take "
            f"group_size {BLOCK} or a multiple of it, and leave matrices whose width is none in float"
        )
    match grid:
        case IntGrid(num_bits=8, is_symmetric=False):
            raise BurnishError(
                f"{name} is on {grid}; GGUF holds 8-bit values without a zero point only: take is_symmetric true"
            )
        case IntGrid(num_bits=4, is_symmetric=False):
            return "Q4_1"
        case IntGrid(num_bits=num_bits, is_symmetric=symmetric) if num_bits + (not symmetric) <= 4:
            return "Q4_0"
        case IntGrid():
            return "Q8_0"
        case _:
            assert_never(grid)


def pack(weight: Placed, kind: BlockType) -> "np.ndarray":
    """Give the bytes of all rows, uint8 (O, bytes of a row).

    Q4_0 and Q8_0 hold the weight exactly. Q4_1 stores the group's least value in float16, so that the product of scale
    and zero point is rounded (at most 2^-11 of itself).
    """
    import numpy as np

    values_OI = weight.values_OI.numpy().astype(np.int16)
    rows = values_OI.shape[0]
    blocks = values_OI.shape[1] // BLOCK
    repeats = blocks // weight.scale_OG.shape[1]
    scale_OB = np.repeat(weight.scale_OG.numpy(), repeats, axis=1)
    zero_OB = np.zeros((rows, blocks), np.int16)
    if weight.zero_OG is not None:
        zero_OB = np.repeat(weight.zero_OG.numpy().astype(np.int16), repeats, axis=1)
    values_OBS = values_OI.reshape(rows, blocks, BLOCK)
    head = [scale_OB[..., None].view(np.uint8)]
    match kind:
        case "Q8_0":
            body = (values_OBS - zero_OB[..., None]).astype(np.int8).view(np.uint8)
        case "Q4_0":
            body = _nibbles(values_OBS - zero_OB[..., None] + 8)
        case "Q4_1":
            least = -(zero_OB.astype(np.float32) * scale_OB.astype(np.float32))
            head.append(least.astype(np.float16)[..., None].view(np.uint8))
            body = _nibbles(values_OBS)
        case _:
            assert_never(kind)
    return np.concatenate([*head, body], axis=-1).reshape(rows, -1)


def _nibbles(values_OBS: "np.ndarray") -> "np.ndarray":
    import numpy as np

    low, high = values_OBS[..., : BLOCK // 2], values_OBS[..., BLOCK // 2 :]
    packed: np.ndarray = (low | (high << 4)).astype(np.uint8)
    return packed
