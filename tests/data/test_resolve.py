"""Resolve: of copies the best stays, every other one is like a record that stays, and nothing else goes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.duplicates.resolve import Copies, Rank, Removal, resolve

THRESHOLD = 0.8
Found = tuple[dict[int, Rank], list[list[int]], dict[tuple[int, int], float]]


@st.composite
def found(draw: st.DrawFn) -> Found:
    """Draw the ranks of good rows, sets of exact copies, and similarities of pairs of their first rows."""
    num_rows = draw(st.integers(2, 12))
    of_set = draw(st.lists(st.integers(0, num_rows - 1), min_size=num_rows, max_size=num_rows))
    sets: dict[int, list[int]] = {}
    for row, number in enumerate(of_set):
        sets.setdefault(number, []).append(row)
    firsts = [rows[0] for rows in sets.values()]
    pairs = [(a, b) for a in firsts for b in firsts if a < b]
    similar = st.sampled_from([0.7, 0.79, 0.8, 0.9, 1.0])
    near = draw(st.dictionaries(st.sampled_from(pairs), similar, max_size=20)) if pairs else {}
    ids = draw(st.permutations([f"r{row:02}" for row in range(num_rows)]))
    damage, length = st.sampled_from([0.0, 0.01]), st.integers(-3, 0)
    ranks = {row: (draw(damage), float(draw(length)), ids[row]) for row in range(num_rows) if draw(st.integers(0, 5))}
    return ranks, list(sets.values()), near


def copies_of(sets: list[list[int]], near: dict[tuple[int, int], float]) -> Copies:
    exact = [(row, rows[0]) for rows in sets for row in rows[1:]]
    return Copies(
        np.array(exact, np.int64).reshape(-1, 2),
        np.array(list(near), np.int64).reshape(-1, 2),
        np.array(list(near.values()), np.float64),
    )


def similarity(one: int, other: int, sets: list[list[int]], near: dict[tuple[int, int], float]) -> float:
    first = {row: rows[0] for rows in sets for row in rows}
    left, right = sorted((first[one], first[other]))
    return 1.0 if left == right else near.get((left, right), 0.0)


@settings(max_examples=500, deadline=None)
@given(found())
def test_what_goes_is_like_what_stays_and_what_stays_is_not_alike(drawn: Found) -> None:
    ranks, sets, near = drawn
    removed = resolve(copies_of(sets, near), ranks, THRESHOLD)
    assert set(removed) <= set(ranks)
    for row, removal in removed.items():
        assert removal.partner in ranks
        assert removal.partner not in removed
        assert removal.similarity == similarity(row, removal.partner, sets, near) >= THRESHOLD
        is_same = any(row in rows and removal.partner in rows for rows in sets)
        assert removal.is_exact == is_same
    kept = [row for row in ranks if row not in removed]
    for one in kept:
        assert all(similarity(one, other, sets, near) < THRESHOLD for other in kept if other != one)


@settings(max_examples=300, deadline=None)
@given(found())
def test_the_best_stays(drawn: Found) -> None:
    ranks, sets, near = drawn
    removed = resolve(copies_of(sets, near), ranks, THRESHOLD)
    best = [min((row for row in rows if row in ranks), key=lambda row: ranks[row], default=-1) for rows in sets]
    alike = {
        row: sum(other not in (row, -1) and similarity(row, other, sets, near) >= THRESHOLD for other in best)
        for row in best
        if row >= 0
    }
    for row, removal in removed.items():
        if removal.is_exact:
            assert ranks[removal.partner] < ranks[row]
        elif row in best:
            partner = removal.partner
            assert (ranks[partner][0], -alike[partner], ranks[partner]) < (ranks[row][0], -alike[row], ranks[row])
    assert all(row in removed for rows in sets for row in rows if row in ranks and row not in best)


@settings(max_examples=300, deadline=None)
@given(found(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(drawn: Found, random: object) -> None:
    ranks, sets, near = drawn
    names = [row for rows in sets for row in rows]
    moved = names[:]
    random.shuffle(moved)  # type: ignore[attr-defined]
    to = dict(zip(names, moved, strict=True))
    new_sets = [sorted(to[row] for row in rows) for rows in sets]
    first = {rows[0]: new[0] for rows, new in zip(sets, new_sets, strict=True)}
    new_near = {tuple(sorted((first[a], first[b]))): value for (a, b), value in near.items()}
    before = resolve(copies_of(sets, near), ranks, THRESHOLD)
    new_ranks = {to[row]: rank for row, rank in ranks.items()}
    after = resolve(copies_of(new_sets, new_near), new_ranks, THRESHOLD)  # type: ignore[arg-type]
    assert by_id(before, ranks) == by_id(after, new_ranks)


def by_id(removed: dict[int, Removal], ranks: dict[int, Rank]) -> dict[str, tuple[str, float, bool]]:
    return {ranks[row][2]: (ranks[r.partner][2], r.similarity, r.is_exact) for row, r in removed.items()}


def ranked(*ids: str) -> dict[int, Rank]:
    return {row: (0.0, -10.0, name) for row, name in enumerate(ids)}


def test_a_chain_of_likenesses_is_not_dropped_whole() -> None:
    chain = {(0, 1): 0.9, (1, 2): 0.9}
    assert resolve(copies_of([], chain), ranked("a", "b", "c"), 0.8) == {
        0: Removal(1, 0.9, is_exact=False),
        2: Removal(1, 0.9, is_exact=False),
    }  # the middle is like the most others
    ends_first = {0: (0.0, -10.0, "a"), 1: (0.5, -10.0, "b"), 2: (0.0, -10.0, "c")}
    assert resolve(copies_of([], chain), ends_first, 0.8) == {1: Removal(0, 0.9, is_exact=False)}


def test_the_partner_is_the_most_alike_of_those_that_stay() -> None:
    near = {(0, 2): 0.85, (1, 2): 0.95}
    ranks = ranked("a", "b", "c") | {2: (0.5, -10.0, "c")}
    assert resolve(copies_of([], near), ranks, 0.8) == {2: Removal(1, 0.95, is_exact=False)}


@pytest.mark.parametrize(
    ("ranks", "kept"),
    [
        ({0: (0.0, -10.0, "a"), 1: (0.0, -20.0, "b")}, "b"),  # longer
        ({0: (0.1, -20.0, "a"), 1: (0.0, -10.0, "b")}, "b"),  # less damaged, though shorter
        ({0: (0.0, -10.0, "b"), 1: (0.0, -10.0, "a")}, "a"),  # the smaller id
        ({1: (0.9, -1.0, "b")}, "b"),  # the other is not good enough
    ],
)
def test_which_copy_is_best(ranks: dict[int, Rank], kept: str) -> None:
    for copies in (copies_of([[0, 1]], {}), copies_of([], {(0, 1): 0.9})):
        removed = resolve(copies, ranks, 0.8)
        assert [ranks[row][2] for row in ranks if row not in removed] == [kept]


def test_copies_of_a_copy_name_the_record_that_stays() -> None:
    ranks = {0: (0.0, -9.0, "a"), 1: (0.0, -8.0, "b"), 2: (0.0, -20.0, "c")}
    removed = resolve(copies_of([[0, 1]], {(0, 2): 0.9}), ranks, 0.8)
    assert removed == {0: Removal(2, 0.9, is_exact=False), 1: Removal(2, 0.9, is_exact=False)}


def test_a_copy_stands_in_for_the_first_of_its_set_where_that_is_not_good_enough() -> None:
    removed = resolve(copies_of([[0, 1]], {(0, 2): 0.9}), {1: (0.0, -20.0, "b"), 2: (0.0, -9.0, "c")}, 0.8)
    assert removed == {2: Removal(1, 0.9, is_exact=False)}


def test_similarity_is_asked_anew() -> None:
    copies = copies_of([], {(0, 1): 0.75, (2, 3): 0.85})
    ranks = ranked("a", "b", "c", "d")
    assert [set(resolve(copies, ranks, least)) for least in (0.7, 0.8, 0.9)] == [{1, 3}, {3}, set()]
