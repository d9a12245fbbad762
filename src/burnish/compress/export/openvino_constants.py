"""Weights as OpenVINO constants: whole numbers in the fewest bits that the engine keeps, and the steps back to floats.

The steps are those by which OpenVINO knows compressed weights (Convert, Subtract, Multiply, Reshape, Convert), so that
its engine keeps the whole numbers in memory and multiplies them out in its kernels.

Legend: O output rows, I input columns, G groups of a row, S inputs of a group.
"""

from typing import TYPE_CHECKING, Any

from burnish.compress.grids import Fp8Grid, Placed
from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np


def constant(weight: "np.ndarray | Placed") -> Any:
    """Give the graph of one weight: a node of float32 numbers.

    Grids of 5 to 7 bits are kept in 8, those of 2 and 3 in 4.

    Raises:
        BurnishError: OpenVINO's engine has no place for the grid.
    """
    import numpy as np

    op = need("openvino.opset13", extra="compress")
    if not isinstance(weight, Placed):
        return op.constant(weight.astype(np.float32))
    kind = _kind(weight)
    values_OI = weight.values_OI.numpy()
    rows, groups = weight.scale_OG.shape
    whole = [rows, weight.values_OI.shape[1]]
    parts, ones = (whole, [rows, 1]) if groups == 1 else ([rows, groups, -1], [rows, groups, 1])
    found = op.convert(op.constant(values_OI.reshape(parts), dtype=kind), "f16")
    if weight.zero_OG is not None:
        zero = op.constant(weight.zero_OG.numpy().reshape(ones), dtype=kind)
        found = op.subtract(found, op.convert(zero, "f16"))
    found = op.multiply(found, op.constant(weight.scale_OG.numpy().reshape(ones)))
    if groups > 1:
        found = op.reshape(found, op.constant(np.array(whole, dtype=np.int64)), special_zero=False)
    return op.convert(found, "f32")


def _kind(weight: Placed) -> Any:
    """Give OpenVINO's element type for the values."""
    kinds = need("openvino", extra="compress").Type
    if isinstance(weight.grid, Fp8Grid):
        raise BurnishError("OpenVINO's CPU engine has no place for fp8 weights; quantise to an integer grid of 8 bits")
    is_small = weight.grid.num_bits <= 4
    if weight.grid.is_symmetric:
        return kinds.i4 if is_small else kinds.i8
    return kinds.u4 if is_small else kinds.u8
