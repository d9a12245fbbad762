"""Hashing: a mixer, and a counting hash table that is emptied by a number instead of by writing."""

from typing import Any

import numpy as np

from burnish.data.kernel.jit import compiled

Slots = Any  # (entries uint64 (2^k, 2): key; epoch << 32 | times, state int64 (2,): epoch, mask)


def make_slots(num_keys: int) -> Slots:
    """Make a table for at most `num_keys` different keys in one epoch, at most half full."""
    size = 1 << max(4, (2 * num_keys).bit_length())
    return np.zeros((size, 2), np.uint64), np.array([0, size - 1], np.int64)


@compiled(inline="always")
def mix(value: Any) -> Any:
    """Spread a 64-bit hash over all its bits. Source: MurmurHash3's finaliser (Appleby 2011, public domain)."""
    mixed = np.uint64(value)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(33))


@compiled()
def clear(slots: Slots, num_keys: int) -> None:
    """Begin an epoch for at most `num_keys` keys; the part of the table that is used stays small and near."""
    entries, state = slots
    state[0] += 1
    size = 16
    while size < 2 * num_keys:
        size *= 2
    state[1] = min(size, len(entries)) - 1


@compiled(inline="always")
def add(slots: Slots, key: Any) -> Any:
    """Count a mixed key; give how often it was added in this epoch, this time included."""
    entries, state = slots
    epoch, mask = np.uint64(state[0]), state[1]
    place = np.int64(key & np.uint64(mask))
    while entries[place, 1] >> np.uint64(32) == epoch:
        if entries[place, 0] == key:
            entries[place, 1] += np.uint64(1)
            return np.int64(entries[place, 1] & np.uint64(0xFFFFFFFF))
        place = (place + 1) & mask
    entries[place, 0], entries[place, 1] = key, epoch << np.uint64(32) | np.uint64(1)
    return np.int64(1)
