"""Stop strings across pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.serve.stops import StopFinder

LETTERS = st.text(alphabet="ab\n", max_size=30)


def through(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    finder = StopFinder(stops)
    out = ""
    for piece in pieces:
        out += finder.add(piece)
        if finder.is_found:
            return out, True
    return out + finder.flush(), False


def naive(stops: list[str], text: str) -> tuple[str, bool]:
    """Read letter by letter, and stop at the first stop string that is whole."""
    for end in range(1, len(text) + 1):
        whole = [stop for stop in stops if text[:end].endswith(stop)]
        if whole:
            return text[: end - len(max(whole, key=len))], True
    return text, False


@given(st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3), st.lists(LETTERS, max_size=8))
def test_any_cut_of_a_text_gives_the_same(stops: list[str], pieces: list[str]) -> None:
    assert through(stops, pieces) == naive(stops, "".join(pieces))


@pytest.mark.parametrize("pieces", [["one\n\ntwo"], ["one\n", "\ntwo"], ["one", "\n", "\n", "two"]])
def test_a_stop_string_is_not_given_out(pieces: list[str]) -> None:
    assert through(["\n\n", "###"], pieces) == ("one", True)


def test_what_cannot_become_a_stop_string_is_not_held_back() -> None:
    finder = StopFinder(["END"])
    assert finder.add("the EN") == "the "
    assert finder.add("C") == "ENC"
