"""Seen ids: the first of an id is fresh, every later one is not, in few bytes."""

import pyarrow
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.readers.seen import SeenIds

IDS = st.text(st.sampled_from("ab中"), max_size=3)


@given(st.lists(st.lists(IDS, max_size=20), max_size=8))
@settings(deadline=None, max_examples=100)
def test_an_id_is_fresh_once(calls: list[list[str]]) -> None:
    seen, known = SeenIds(), set[str]()
    for ids in calls:
        expected = []
        for identity in ids:
            expected.append(identity in known)
            known.add(identity)
        assert seen.are_repeated(pyarrow.array(ids, pyarrow.string())).tolist() == expected
    assert len(seen) == len(known)
    assert all(seen.holds(identity) for identity in known)
    assert not seen.holds("never")


def test_a_million_ids_are_told_apart_in_eight_bytes_each() -> None:
    seen = SeenIds()
    for start in range(0, 1_000_000, 50_000):
        assert not seen.are_repeated(pyarrow.array([f"id-{n}" for n in range(start, start + 50_000)])).any()
    assert len(seen) == 1_000_000
    assert sum(run.nbytes for run in seen._runs) == 8_000_000
    assert len(seen._runs) <= 20
    assert seen.are_repeated(pyarrow.array([f"id-{n}" for n in range(0, 1_000_000, 97)])).all()
