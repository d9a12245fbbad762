"""Evidence of a quantised model: bytes, bits and errors, for the whole and for each kind of matrix."""

import math
from collections.abc import Mapping

from burnish.artifacts import Measurement
from burnish.compress.allocate import Allocation
from burnish.compress.bits import kind_of

FLOAT_BITS = 32.0


def evidence_of(
    shapes: Mapping[str, tuple[int, ...]], bits: Mapping[str, float], errors: Mapping[str, float]
) -> tuple[Measurement, ...]:
    """Sum up a model.

    Args:
        shapes: of each weight.
        bits: a number of each weight, as `bits_of` lists them.
        errors: of each weight on a grid, the Frobenius norm of its error over its own.
    """
    sizes = {name: math.prod(shapes[name]) for name in bits}
    total = sum(sizes.values())
    num_bytes = sum(sizes[name] * bits[name] for name in bits) / 8
    how = "weights, scales and zero points packed as an export packs them; what stays float at 32 bits"
    evidence = [
        Measurement("size_bytes", round(num_bytes), "bytes", 1, how=how),
        Measurement("num_bits_mean", 8 * num_bytes / total, "bits", total, how="weights and scales"),
        _worst("relative_error_max", errors),
    ]
    for kind in ("attention", "ffn", "head"):
        names = [name for name in bits if kind_of(name) == kind and len(shapes[name]) == 2]
        size = sum(sizes[name] for name in names)
        mean = sum(sizes[name] * bits[name] for name in names) / size
        how = "matrices and their scales; 32 where left in float"
        evidence.append(Measurement(f"num_bits_{kind}_mean", mean, "bits", size, how=how))
        on_grid = {name: errors[name] for name in names if name in errors}
        if on_grid:
            evidence.append(_worst(f"relative_error_{kind}_max", on_grid))
    return tuple(evidence)


def allocation_evidence(found: Allocation | None) -> tuple[Measurement, ...]:
    """Say what allotting the bits was worth, beside one grid for all within the same bytes."""
    if found is None:
        return ()
    n = found.num_positions
    how = "KL of the float model's predictions to those with the decoder's layers on their grids, calibration text"
    evidence = [
        Measurement(
            "num_bits_allocated_mean", found.num_bits_mean, "bits", found.num_weights, how="units, with scales"
        ),
        Measurement("kl_allocated_nats", found.kl_nats, "nats", n, how=f"{how}; bits as allotted, nearest rounding"),
    ]
    if found.uniform is not None:
        at, kl_nats = found.uniform
        same = f"{how}; the best candidate for all alike in the same bytes: {found.candidates[at]}"
        evidence.append(Measurement("kl_uniform_nats", kl_nats, "nats", n, how=same))
    return tuple(evidence)


def _worst(name: str, errors: Mapping[str, float]) -> Measurement:
    worst = max(errors, key=lambda each: errors[each])
    how = f"Frobenius norm of the error over that of the weight, worst matrix ({worst})"
    return Measurement(name, errors[worst], "1", len(errors), how=how)
