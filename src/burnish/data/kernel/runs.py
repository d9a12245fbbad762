"""Runs: hashes of all runs of n neighbours, from one sum over the text.

Source: Karp & Rabin 1987, doi:10.1147/rd.312.0249: a polynomial in a fixed base, here modulo 2^64.
"""

from typing import Any

import numpy as np

from burnish.data.kernel.jit import compiled

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no word is lost in it


@compiled()
def add_up(units: Any, num_units: int, prefixes: Any) -> None:
    """Write the hash of the first k units to `prefixes[k]`, for k up to `num_units`."""
    total = np.uint64(0)
    prefixes[0] = total
    for place in range(num_units):
        total = total * _BASE + units[place]
        prefixes[place + 1] = total


@compiled(inline="always")
def weight_of(length: int) -> Any:
    """Give the weight with which what stands before a run counts in the prefix at its end."""
    weight = np.uint64(1)
    for _ in range(length):
        weight *= _BASE
    return weight


@compiled(inline="always")
def run(prefixes: Any, start: int, length: int, weight: Any) -> Any:
    """Hash the run of `length` units from `start`."""
    return prefixes[start + length] - prefixes[start] * weight
