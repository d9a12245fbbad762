"""Bands: the pairs are those that the docstrings promise, and the work does not grow with the square of a bucket."""

import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.kernel.bands import agreement, band_keys, bucket_pairs, similarities
from burnish.data.sketches import NUM_SLOTS


def expected_pairs(keys: list[int], ranks: list[int]) -> set[tuple[int, int]]:
    buckets: dict[int, list[int]] = defaultdict(list)
    for row in sorted(range(len(keys)), key=lambda row: ranks[row]):
        buckets[keys[row]].append(row)
    return {
        (rows[one], rows[other])
        for rows in buckets.values()
        for other in range(len(rows))
        for one in range(other)
        if one < 16 or other - one <= 16
    }


def pairs_of(keys: list[int], ranks: list[int]) -> list[tuple[int, int]]:
    array = np.array(keys, np.uint64)
    return [(int(a), int(b)) for a, b in bucket_pairs(array, np.lexsort((np.array(ranks, np.int64), array)))]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=120).flatmap(lambda k: st.tuples(st.just(k), st.permutations(range(len(k)))))
)
def test_pairs_of_a_bucket(drawn: tuple[list[int], list[int]]) -> None:
    keys, ranks = drawn
    found = pairs_of(keys, ranks)
    assert len(found) == len(set(found))
    assert set(found) == expected_pairs(keys, ranks)


def test_all_pairs_of_a_small_bucket_and_all_hubs_of_a_large_one() -> None:
    assert len(pairs_of([7] * 32, list(range(32)))) == 32 * 31 // 2
    large = pairs_of([7] * 500, list(range(500)))
    assert len(large) < 500 * 32
    assert {(hub, row) for hub in range(16) for row in range(hub + 1, 500)} <= set(large)


def test_a_huge_bucket_takes_linear_time() -> None:
    pairs_of([1, 1], [0, 1])  # compiled
    keys, order = np.zeros(200_000, np.uint64), np.arange(200_000)
    start_s = time.process_time()
    pairs = bucket_pairs(keys, order)
    assert time.process_time() - start_s < 2  # all pairs, or looking at all, would take minutes
    assert len(pairs) < 32 * 200_000


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=20), st.integers(0, 3))
def test_band_keys_are_equal_where_all_slots_of_the_band_are(rows: list[list[int]], band: int) -> None:
    signatures = np.tile(np.array(rows, np.uint16), NUM_SLOTS // 4)
    for first, num_slots in ((band, 1), (band, 2), (0, 4)):
        found = band_keys(signatures, first, num_slots)
        cut = [tuple(row[first : first + num_slots]) for row in signatures.tolist()]
        for place, key in enumerate(found):
            assert [key == other for other in found] == [cut[place] == other for other in cut]


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 30)), min_size=2, max_size=8), st.data())
def test_similarities_and_agreement_by_definition(sets: list[set[int]], choose: st.DataObject) -> None:
    index = st.integers(0, len(sets) - 1)
    pairs = choose.draw(st.lists(st.tuples(index, index), min_size=1, max_size=8))
    flat = np.array([value for each in sets for value in sorted(each)], np.uint32)
    ends = np.cumsum([0, *map(len, sets)])
    expected = [len(sets[a] & sets[b]) / max(1, len(sets[a] | sets[b])) for a, b in pairs]
    assert similarities(flat, ends, np.array(pairs, np.int64)).tolist() == pytest.approx(expected)
    signatures = np.zeros((len(sets), NUM_SLOTS), np.uint16)
    for row, each in enumerate(sets):
        signatures[row, list(each)] = 1
    same = [1 - len(sets[a] ^ sets[b]) / NUM_SLOTS for a, b in pairs]
    assert agreement(signatures, np.array(pairs, np.uint32)).tolist() == pytest.approx(same)
