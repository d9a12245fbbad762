"""Sketch: keys are equal for exact copies and for nothing else; signatures estimate what the oracle counts."""

import math
import random
import unicodedata

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_texts import arrays, readings, texts

from burnish.data.kernel.bands import agreement, jaccard
from burnish.data.kernel.measure import shingle_sets
from burnish.data.sketches import NUM_SLOTS


def keys(given_texts: list[str]) -> list[tuple[int, int]]:
    return [(int(one), int(other)) for one, other in readings([text.encode() for text in given_texts]).keys]


def variants(text: str) -> list[str]:
    """Give texts that differ in form, some of them in more."""
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    parted = [text.replace(" ", mark) for mark in (", ", "。", "-", "")]
    return [
        text.upper(), text.lower(), wide, *parted, text.replace("'", ""), text + "!", text[1:], text.replace("+", "-"),
        unicodedata.normalize("NFD", text), text[::-1],
    ]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(texts, texts)
def test_keys_are_equal_where_folded_words_and_symbols_are(one: str, other: str) -> None:
    batch = [one, other, one + other, *variants(one)]
    found, expected = keys(batch), [oracle.exact_key(text) for text in batch]
    for place, key in enumerate(found):
        assert [key == each for each in found] == [expected[place] == each for each in expected]


@pytest.mark.parametrize(
    ("left", "right", "is_copy"),
    [
        ("Café, au lait!", "CAFÉ AU LAIT", True),
        ("中国银行，上海", "中国 银行 上海", True),
        ("ＡＢＣ　def", "abc DEF.", True),
        ("Don’t stop", "dont stop", True),
        ("１＋１＝２", "1+1=2", True),
        ("I ❤ it", "I ❤\ufe0f it", True),
        ("up 5% to $5", "up 5% to €5", False),
        ("it is +5", "it is -5", False),
        ("a < b", "a > b", False),
        ("ab c", "a bc", False),
        ("❤ ❤", "❤❤", True),
        ("???", "???", True),
        ("???", "!!!", False),
        ("", "…", False),
    ],
)
def test_by_example(left: str, right: str, is_copy: bool) -> None:
    one, other = keys([left, right])
    assert (one == other) is is_copy


@settings(max_examples=300, deadline=None)
@given(texts, texts, st.integers(1, 6), st.booleans())
def test_shingles_are_the_oracles(one: str, other: str, length: int, is_bytes: bool) -> None:
    cut = oracle.byte_shingles if is_bytes else oracle.word_shingles
    batch = [one, other, one + other, one[2:], one + " " + other]
    sets = shingle_sets(*arrays(batch), length=length, is_bytes=is_bytes)
    expected = [cut(text, length) for text in batch]
    assert [len(each) for each in sets] == [len(each) for each in expected]
    for left, right in ((0, 1), (0, 2), (0, 3), (2, 4)):
        assert jaccard(sets[left], sets[right]) == pytest.approx(oracle.jaccard(expected[left], expected[right]))


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(1, 6), st.booleans())
def test_texts_with_the_same_key_have_the_same_shingles(text: str, length: int, is_bytes: bool) -> None:
    batch = [text, *variants(text), text.replace("+", " + "), text.replace("$", "$ ")]
    sets = shingle_sets(*arrays(batch), length=length, is_bytes=is_bytes)
    first, *others = keys(batch)
    for key, each in zip(others, sets[1:], strict=True):
        assert key != first or np.array_equal(each, sets[0])


def pairs_of(similarity: float, count: int, rng: random.Random) -> list[tuple[str, str]]:
    """Make pairs of texts with a known similarity of their words, each word once."""
    num_words = 300
    shared = round(2 * num_words * similarity / (1 + similarity))
    made = []
    for _ in range(count):
        words = [f"{rng.getrandbits(40):x}" for _ in range(2 * num_words - shared)]
        left, right = words[:num_words], words[num_words - shared :]
        rng.shuffle(right)
        made.append((" ".join(left), " ".join(right)))
    return made


@pytest.mark.parametrize("similarity", [0.05, 0.3, 0.5, 0.7, 0.8, 0.95])
def test_signatures_estimate_similarity_within_five_standard_errors(similarity: float) -> None:
    pairs = pairs_of(similarity, 60, random.Random(similarity))
    flat = [text for pair in pairs for text in pair]
    sets = shingle_sets(*arrays(flat), length=1, is_bytes=False)
    true = np.array([jaccard(*sets[place : place + 2]) for place in range(0, len(flat), 2)])
    signatures = readings([text.encode() for text in flat], length=1).signatures
    assert signatures.shape == (len(flat), NUM_SLOTS)
    indices = np.arange(len(flat), dtype=np.uint32).reshape(-1, 2)
    errors = agreement(signatures, indices) - true - (1 - true) / 65_536
    error = math.sqrt(similarity * (1 - similarity) / NUM_SLOTS)
    assert np.abs(errors).max() <= 5 * error
    assert abs(errors.mean()) <= 5 * error / math.sqrt(len(pairs))
    assert errors.std() == pytest.approx(error, rel=0.35)  # the slots are independent: no more spread, no less


def test_a_signature_is_of_the_set_of_shingles_alone() -> None:
    batch = [b"a b c a b c a b c", b"A, b. C a b c?", b"", b"!!!", "中文".encode()]
    signatures = readings(batch, length=2).signatures
    assert (signatures[0] == signatures[1]).all()
    assert (signatures[2] == signatures[3]).all()
    assert not (signatures[0] == signatures[4]).all()
    sets = shingle_sets(*arrays([text.decode() for text in batch]), length=2, is_bytes=False)
    assert jaccard(sets[2], sets[3]) == 0  # texts without a word share nothing
