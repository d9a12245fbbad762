"""Weights on a grid as onnxruntime multiplies them: blocks of unsigned values with a float32 scale each.

Source: onnxruntime, docs/ContribOperators.md, com.microsoft.MatMulNBits: a block has 2^n inputs, at least 16; without
zero points a value of 2^(bits - 1) means zero; the first of two 4-bit values lies in a byte's low half.

Legend: O output rows, I input columns, G groups of a row, B blocks of a row, P bytes of a block.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from burnish.compress.grids import Fp8Grid, IntGrid, Placed
from burnish.errors import BurnishError

if TYPE_CHECKING:
    import numpy as np

_LEAST_BLOCK = 16
_MOST_BLOCK = 128  # of a scale for the whole row, which is repeated: the largest block that all of its kernels know


@dataclass(frozen=True)
class Blocks:
    """A matrix in blocks.

    Attributes:
        values_OBP: uint8, packed.
        scale_OB: float32, exactly the grid's float16.
        zero_OZ: packed along the row, or None where zero is the middle.
        repeated_bytes: bytes that repeated scales cost.
    """

    num_bits: int
    block_size: int
    values_OBP: "np.ndarray"
    scale_OB: "np.ndarray"
    zero_OZ: "np.ndarray | None"
    repeated_bytes: int


def blocks_of(name: str, weight: Placed) -> Blocks:
    """Put a weight into blocks, its values as they are.

    Raises:
        BurnishError: the operator has no place for the grid.
    """
    import numpy as np

    grid, num_inputs = weight.grid, int(weight.values_OI.shape[1])
    if isinstance(grid, Fp8Grid):
        raise BurnishError(
            f"{name} is on {grid}; onnxruntime multiplies integers of 4 and 8 bits: take int8, or export "
            "compressed-tensors, which holds fp8"
        )
    block_size = _block_size(name, grid, num_inputs)
    num_bits = 4 if grid.num_bits <= 4 else 8
    rows, blocks = weight.values_OI.shape[0], num_inputs // block_size
    repeats = blocks // weight.scale_OG.shape[1]
    middle = 1 << (num_bits - 1) if grid.is_symmetric else 0
    values_OBS = (weight.values_OI.numpy().astype(np.int16) + middle).astype(np.uint8).reshape(rows, blocks, -1)
    scale_OB = np.repeat(weight.scale_OG.numpy().astype(np.float32), repeats, axis=1)
    zero_OZ = None
    if weight.zero_OG is not None:
        zero_OZ = _packed(np.repeat(weight.zero_OG.numpy(), repeats, axis=1), num_bits)
    repeated_bytes = 4 * (scale_OB.size - weight.scale_OG.numel())
    return Blocks(num_bits, block_size, _packed(values_OBS, num_bits), scale_OB, zero_OZ, repeated_bytes)


def _block_size(name: str, grid: IntGrid, num_inputs: int) -> int:
    span = grid.group_size or num_inputs
    block_size = span & -span  # the largest power of two that divides it
    if grid.group_size is None:
        block_size = min(block_size, _MOST_BLOCK)
    if block_size < _LEAST_BLOCK:
        raise BurnishError(
            f"{name} has {num_inputs} inputs on {grid}; ONNX MatMulNBits has blocks of 16, 32, 64 … inputs: take "
            "group_size 32 or 128, and leave matrices whose width is no multiple of 16 in float"
        )
    return block_size


def _packed(values: "np.ndarray", num_bits: int) -> "np.ndarray":
    """Put two 4-bit values into a byte along the last dimension; a lone last one has an empty half beside it."""
    import numpy as np

    if num_bits == 8:
        return values
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    packed: np.ndarray = values[..., 0::2] | (values[..., 1::2] << 4)
    return packed
