"""Text units: what counts as a word, and which texts are the same text."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.text import normal_form, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop: it’s only 12.5%!", ["dont", "stop", "its", "only", "12", "5"]),
        ("iPhone手机很好", ["iphone", "手", "机", "很", "好"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("red-eyed_shadow", ["red", "eyed", "shadow"]),
        ("Größe naïve", ["grösse", "naïve"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("?!… — 😀 $", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Café au lait", "CAFE\u0301  AU\u00a0LAIT."),
        ("ＡＢＣ１２３", "abc123"),
        ("don't", "DON’T"),
        ("中国 银行，上海", "中国银行上海"),
        ("用 iPhone 拍照", "用iPhone拍照"),
        ("zero\u200bwidth", "zerowidth"),
        ("good😀+1", "Good 😀 + 1!"),
    ],
)
def test_copies_have_one_normal_form(left: str, right: str) -> None:
    assert normal_form(left) == normal_form(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [("ice cream", "icecream"), ("profit +5", "profit 5"), ("good 😀", "good 😡"), ("买", "卖"), ("resume", "résumé")],
)
def test_different_texts_stay_different(left: str, right: str) -> None:
    assert normal_form(left) != normal_form(right)


def test_text_without_content_folds_to_nothing() -> None:
    assert normal_form(" … ?!\n") == ""


@given(st.text())
def test_normal_form_is_final(text: str) -> None:
    once = normal_form(text)
    assert normal_form(once) == once
    assert words(once) == words(text)


@given(st.text(string.ascii_letters + string.digits, min_size=1), st.text(" \n\t\u3000", min_size=1))
def test_space_splits_latin_words_however_long_it_is(word: str, space: str) -> None:
    assert words(word + space + word) == [word.casefold()] * 2
