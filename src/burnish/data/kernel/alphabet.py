"""Alphabet: what the kernel knows of each code point, as tables made from Python's own Unicode data.

Code points above U+FFFF follow a few ranges instead of a table: `decode.astral_kind`.
"""

import re
import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from burnish.data.repairs.repair import INVALID_CLASS, SPACE_CLASS
from burnish.data.repairs.repair_hanzi import common_hanzi
from burnish.data.repairs.repair_mojibake import latin_signs
from burnish.data.repairs.repair_signs import LONE_LATIN

# Kinds of characters.
SPACE, NEWLINE, LOWER, UPPER, LETTER, DIGIT, IDEOGRAPH, KANA, HANGUL, PUNCTUATION, SYMBOL, APOSTROPHE = range(12)
INVALID = 12  # what no text should hold: controls, zero-width and direction marks, noncharacters
REPLACEMENT = 13  # U+FFFD: a character was lost here
WIDE_SPACE = 14  # any space but the plain one and the tab
NUM_KINDS = 15

# Marks of a character, as bits. LATIN_SIGN: of damage beside any character that is not ASCII; LONE_SIGN: anywhere.
# IN_CONTEXT: sound or not, by what stands beside it.
COMMON_HANZI, LATIN_SIGN, LONE_SIGN, NOT_NFC, LINE_END, BULLET, IN_CONTEXT = (1 << bit for bit in range(7))

SIZE = 0x10000
_INVALID = re.compile(f"[{INVALID_CLASS}]")
_WIDE = re.compile(f"[{SPACE_CLASS}]")
_APOSTROPHES = "'\u2018\u2019\u02bc`\u00b4"
_LINE_BREAKS = "\n\x0b\x0c\r\x1c\x1d\x1e\u0085\u2028\u2029"
_LINE_ENDS = ".!?。！？…\"'”’」』:：;；)）"
_BULLETS = "•-*‣◦·●"
_KINDS = {"Ll": LOWER, "Lu": UPPER, "Lt": UPPER}


@lru_cache(maxsize=1)
def tables() -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint8]]:
    """Make the tables, each of 65,536: kind, folded code point (case, width), marks."""
    kinds = np.fromiter((_kind(code) for code in range(SIZE)), np.uint8, SIZE)
    folds = np.fromiter((_fold(code) for code in range(SIZE)), np.uint16, SIZE)
    marks = np.zeros(SIZE, np.uint8)
    for code in range(0x80, SIZE):
        character = chr(code)
        if not 0xD800 <= code <= 0xDFFF and _composes(character):
            marks[code] |= NOT_NFC
    for character, bit in (
        *((character, COMMON_HANZI) for character in common_hanzi()),
        *((character, LATIN_SIGN) for character in latin_signs()),
        *((character, LONE_SIGN) for character in f"{LONE_LATIN}\x85"),  # U+0085 is a new line, or Windows' ellipsis
        *((character, LINE_END) for character in _LINE_ENDS),
        *((character, BULLET) for character in _BULLETS),
        *((chr(code), IN_CONTEXT) for code in (0x200C, 0x200D)),
    ):
        marks[ord(character)] |= bit
    return kinds, folds, marks


def _kind(code: int) -> int:
    character = chr(code)
    category = unicodedata.category(character)
    if character in _LINE_BREAKS:
        return NEWLINE
    if character in " \t":
        return SPACE
    if code == 0xFFFD:
        return REPLACEMENT
    if _INVALID.match(character):
        return INVALID
    if character in _APOSTROPHES or category == "Cf" or 0xFE00 <= code <= 0xFE0F:
        return APOSTROPHE
    if (script := _cjk_kind(code)) is not None:
        return script
    if _WIDE.match(character):
        return WIDE_SPACE
    if category in _KINDS:
        return _KINDS[category]
    return {"L": LETTER, "M": LETTER, "N": DIGIT, "S": SYMBOL}.get(category[0], PUNCTUATION)


def _cjk_kind(code: int) -> int | None:
    if code in (0x3005, 0x3007) or 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF:
        return IDEOGRAPH
    if 0x3041 <= code <= 0x309F or 0x30A1 <= code <= 0x30FF or 0x31F0 <= code <= 0x31FF or 0xFF66 <= code <= 0xFF9D:
        return KANA
    return HANGUL if 0xAC00 <= code <= 0xD7A3 or 0x1100 <= code <= 0x11FF else None


def _fold(code: int) -> int:
    if 0xD800 <= code <= 0xDFFF:
        return 0xFFFD
    folded = unicodedata.normalize("NFKC", chr(code)).casefold()
    return ord(folded) if len(folded) == 1 and ord(folded) < SIZE else code


def _composes(character: str) -> bool:
    """Tell a character that may make a text differ from its NFC form: it changes alone, or joins the one before."""
    if unicodedata.normalize("NFC", character) != character or unicodedata.combining(character):
        return True
    return 0x1161 <= ord(character) <= 0x11C2
