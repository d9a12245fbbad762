"""Alphabet: the tables say of each character what Unicode says; astral ranges agree with it where it matters."""

import unicodedata

import numpy as np
import oracle

from burnish.data.kernel import alphabet
from burnish.data.kernel.alphabet import COMMON_HANZI, LINE_END, SIZE, tables
from burnish.data.kernel.decode import astral_kind
from burnish.data.kernel.wordlist import ENGLISH, FUNCTION, traits_of, word_hash, word_table
from burnish.data.repairs.repair_hanzi import common_hanzi

_NAMES = (
    "space", "newline", "lower", "upper", "letter", "digit", "ideograph", "kana", "hangul", "punctuation", "symbol",
    "apostrophe", "invalid", "replacement", "wide space",
)  # fmt: skip
CODES = [code for code in range(SIZE) if not 0xD800 <= code <= 0xDFFF]


def test_kinds_of_the_first_plane() -> None:
    kinds = tables()[0]
    assert len(_NAMES) == alphabet.NUM_KINDS
    assert [_NAMES[kinds[code]] for code in CODES] == [oracle.kind(chr(code)) for code in CODES]


def test_folds_of_the_first_plane() -> None:
    folds = tables()[1]
    assert [chr(folds[code]) for code in CODES] == [oracle.folded(chr(code)) for code in CODES]
    assert (folds[folds] == folds)[0x20:0x250].all()  # folding twice is folding once


def test_marks() -> None:
    marks = tables()[2]
    assert {chr(code) for code in np.flatnonzero(marks & COMMON_HANZI)} == common_hanzi()
    assert {chr(code) for code in np.flatnonzero(marks & LINE_END)} == set(oracle.LINE_ENDS)


def test_astral_kinds_agree_with_unicode_on_ideographs_emoji_letters_and_what_nobody_sees() -> None:
    allowed: tuple[str, ...]
    wrong = []
    for code in range(SIZE, 0x110000):
        category, name = unicodedata.category(chr(code)), _NAMES[astral_kind(code)]
        assert name == oracle.kind(chr(code))
        is_ideograph = unicodedata.name(chr(code), "").startswith("CJK ")
        if category in ("Lo", "Ll", "Lu", "Mn") and code < 0xE0000:
            allowed = ("ideograph",) if is_ideograph else ("letter", "symbol")
        elif category == "So" and 0x1F000 <= code <= 0x1FAFF:
            allowed = ("symbol",)
        elif category == "Cf" or 0xE0100 <= code <= 0xE01EF:
            allowed = ("apostrophe", "letter", "symbol")
        else:
            continue
        if name not in allowed:
            wrong.append((hex(code), category, name))
    assert wrong == []


def test_the_word_table_knows_its_words_and_no_other() -> None:
    table = word_table()
    for word in ("the", "which", "dont", "不", "們"):
        assert traits_of(table, np.uint64(word_hash(word))) & FUNCTION, word
    assert traits_of(table, np.uint64(word_hash("the"))) & ENGLISH
    for word in ("thee", "bank", "银", "the the", ""):
        assert traits_of(table, np.uint64(word_hash(word))) == 0, word
