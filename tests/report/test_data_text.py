"""Text of strangers: what cannot be seen is named, what is long is cut, what differs is marked."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.report.data_text import Pieces, around, clip, plain, side_by_side, visible

anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)
words = st.text(st.sampled_from("ab 中文\n,é\u202e\u0301"), max_size=300)


def joined(pieces: Pieces) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("half \ud800 pair", "half ⟨U+D800⟩ pair"),
        ("line\r\nline\ttab", "line\nline\ttab"),
        ("\u0645\u06cc\u200c\u062e 👩\u200d🚀", "\u0645\u06cc\u200c\u062e 👩\u200d🚀"),  # joiners that join
        ("中文，标点。", "中文，标点。"),
    ],
)
def test_what_shows_nothing_is_named(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(anything)
def test_nothing_unseen_is_left_and_all_can_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible(shown) == shown


@given(words, st.integers(1, 60))
def test_a_cut_text_is_a_start_of_the_text_and_says_that_it_was_cut(text: str, limit: int) -> None:
    before, window, after = clip(text, limit)
    assert before == ""
    assert text.startswith(window)
    assert len(window) <= limit
    assert window.count("\n") < 14
    assert (after == " …") == (window != text)


@given(words, words)
def test_both_sides_are_shown_as_they_are(left: str, right: str) -> None:
    for text, pieces in zip((left, right), side_by_side(left, right, 400), strict=True):
        shown = joined(pieces).removeprefix("… ").removesuffix(" …")
        assert shown in visible(text)


@given(words)
def test_equal_texts_have_no_mark(text: str) -> None:
    assert not any(piece.is_marked for side in side_by_side(text, text, 400) for piece in side)


@pytest.mark.parametrize(
    ("left", "right", "marked"),
    [
        ("rates fell on Friday again", "rates fell on Monday again", (["Friday"], ["Monday"])),
        ("净利润增长了百分之八", "净利润增长了百分之九", (["八"], ["九"])),
        ("one two", "one and two", ([], ["and "])),
        ("cafe\u0301 au lait", "café au lait", (["cafe\u0301"], ["café"])),
    ],
)
def test_what_differs_is_marked(left: str, right: str, marked: tuple[list[str], list[str]]) -> None:
    sides = side_by_side(left, right, 400)
    assert tuple([piece.text for piece in side if piece.is_marked] for side in sides) == marked


def test_the_window_goes_to_the_first_difference_at_the_start_of_a_word() -> None:
    same = "the same words again and again, " * 100
    left, right = side_by_side(f"{same}here it ends", f"{same}there it stops", 200)
    assert joined(left).startswith("… ")
    assert joined(left).removeprefix("… ").split()[0] in {"the", "same", "words", "again", "and", "again,"}
    assert [piece.text for piece in left if piece.is_marked] == ["here", "ends"]
    assert [piece.text for piece in right if piece.is_marked] == ["there", "stops"]


def test_the_end_of_a_window_is_no_difference() -> None:
    tail = " ".join(f"word{n}" for n in range(200))
    left, right = side_by_side(f"short {tail}", f"a much longer beginning of it {tail}", 120)
    for side in (left, right):
        assert side[-1].text == " …"
        assert not side[-2].is_marked


def test_a_mask_is_shown_even_far_down_a_text_of_short_lines() -> None:
    text = "一行\n" * 400 + "电话 <CN_MOBILE>。"
    shown = around(text, re.compile("<CN_MOBILE>"), 300)
    assert [piece.text for piece in shown if piece.is_marked] == ["<CN_MOBILE>"]
    assert len(joined(shown)) < 320


def test_a_short_text_is_shown_whole() -> None:
    assert joined(plain("床前明月光", 600)) == "床前明月光"
    assert plain("", 600) == ()
