"""Bands: the pairs of signatures that are worth a closer look, and how alike two sets of shingles are."""

from typing import Any

import numpy as np

from burnish.data.kernel.hashing import mix
from burnish.data.kernel.jit import compiled
from burnish.data.sketches import NUM_SLOTS

_HUBS = 16  # of a large bucket: the best records, which every other one is compared with
_WINDOW = 16  # and the neighbours in rank


@compiled()
def band_keys(signatures: Any, first: int, num_slots: int) -> Any:
    """Hash `num_slots` slots of each signature, from `first`."""
    keys = np.zeros(len(signatures), np.uint64)
    for row in range(len(signatures)):
        value = np.uint64(first)
        for slot in range(first, first + num_slots):
            value = mix(value ^ np.uint64(signatures[row, slot]))
        keys[row] = value
    return keys


@compiled()
def bucket_pairs(keys: Any, order: Any) -> Any:
    """Pair what shares a key.

    All pairs of a bucket of up to 32; in a larger one each record with the 16 best and with its 16 neighbours in
    rank, so that the work stays linear. What is a copy of all the best is found all the same.

    Args:
        order: rows by key, and within a key by rank, best first.

    Returns:
        (P, 2) uint32 of rows, the better one first.
    """
    count = _walk(keys, order, np.zeros((0, 2), np.uint32))
    pairs = np.zeros((count, 2), np.uint32)
    _walk(keys, order, pairs)
    return pairs


@compiled()
def _walk(keys: Any, order: Any, pairs: Any) -> int:
    """Count the pairs; write them where there is room for them."""
    count, start = 0, 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and keys[order[stop]] == keys[order[start]]:
            stop += 1
        for place in range(start + 1, stop):
            num_hubs = min(_HUBS, place - start)
            window = max(start + num_hubs, place - _WINDOW)
            for step in range(num_hubs + place - window):
                other = start + step if step < num_hubs else window + step - num_hubs
                if len(pairs):
                    pairs[count, 0], pairs[count, 1] = order[other], order[place]
                count += 1
        start = stop
    return count


@compiled()
def agreement(signatures: Any, pairs: Any) -> Any:
    """Estimate the similarity of each pair: the share of slots in which they agree."""
    found = np.zeros(len(pairs), np.float32)
    for index in range(len(pairs)):
        left, right = pairs[index, 0], pairs[index, 1]
        same = 0
        for slot in range(NUM_SLOTS):
            same += signatures[left, slot] == signatures[right, slot]
        found[index] = same / NUM_SLOTS
    return found


@compiled()
def similarities(flat: Any, ends: Any, pairs: Any) -> Any:
    """Measure the Jaccard similarity of each pair of sets; set k is `flat[ends[k] : ends[k + 1]]`, sorted."""
    found = np.zeros(len(pairs), np.float64)
    for index in range(len(pairs)):
        left, right = pairs[index, 0], pairs[index, 1]
        found[index] = jaccard(flat[ends[left] : ends[left + 1]], flat[ends[right] : ends[right + 1]])
    return found


@compiled()
def jaccard(left: Any, right: Any) -> float:
    """Measure what two sorted sets share, of what they have together."""
    shared = i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            shared, i, j = shared + 1, i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return shared / max(1, len(left) + len(right) - shared)
