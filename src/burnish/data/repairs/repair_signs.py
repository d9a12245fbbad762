"""Signs: what a text must hold for `repair` to change it, so that sound text can be told by looking at code points.

A fast path that decodes UTF-8 anyway looks each code point up in `code_point_flags` and needs nothing else of Unicode;
`may_need_repair` is the same test in plain Python.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from burnish.data.repairs.repair import INVALID_CLASS, JOINER_CLASS, SPACE_CLASS
from burnish.data.repairs.repair_hanzi import LOST, common_hanzi, gbk_signs
from burnish.data.repairs.repair_mojibake import latin_signs
from burnish.runtime import need

NUM_CODE_POINTS = 0x110000

ODD = 1  # a character that repair takes out, replaces or looks at closely: a sign by itself
COMPOSES = 2  # a character that the normal form NFC may change: a sign by itself
LATIN = 4  # a sign beside any other non-ASCII character: one-byte code pages show UTF-8 as such pairs
OPENING, ENDS, LINK, TAILS, COMMON = 8, 16, 32, 64, 128  # `gbk_signs`: OPENING ENDS, or OPENING LINK TAILS

_NON_ASCII = 256
_ASCII_SIGNS = re.compile(r"&[#A-Za-z]|<[A-Za-z!/]|[ \t]\n|\n\n\n|\A[ \t\n]|[ \t\n]\Z")
LONE_LATIN = "\u00c2\u00c3\u0152\u0153"  # ftfy takes them for damage beside ASCII too


def may_need_repair(text: str) -> bool:
    """Tell whether `repair` might change a text; where this is False, it does not."""
    if _ASCII_SIGNS.search(text):
        return True
    table = code_point_flags()
    before_last = last = 0
    for character in text:
        here = int(table[ord(character)]) | (0 if character.isascii() else _NON_ASCII)
        is_latin = last & here & _NON_ASCII and (last | here) & LATIN
        if here & (ODD | COMPOSES) or is_latin or _is_gbk(before_last, last, here):
            return True
        before_last, last = last, here
    return False


def _is_gbk(before_last: int, last: int, here: int) -> bool:
    if last & OPENING and here & ENDS and not last & here & COMMON:
        return True
    return bool(before_last & OPENING and last & LINK and here & TAILS) and not before_last & last & here & COMMON


@lru_cache(maxsize=1)
def code_point_flags() -> Any:
    """Give the flags of every code point: (1114112,) uint8, 1.1 MB."""
    numpy = need("numpy", extra="data")
    flags = numpy.zeros(NUM_CODE_POINTS, dtype=numpy.uint8)
    signs = gbk_signs()
    every = "".join(map(chr, range(NUM_CODE_POINTS)))
    odd = re.compile(f"[{INVALID_CLASS}{SPACE_CLASS}{JOINER_CLASS}{LOST}{LONE_LATIN}]")
    for flag, characters in (
        (ODD, odd.findall(every)),
        (COMPOSES, _composing()),
        (LATIN, latin_signs()),
        (OPENING, signs.openings),
        (ENDS, signs.ends),
        (LINK, signs.links),
        (TAILS, signs.tails),
        (COMMON, common_hanzi()),
    ):
        flags[[ord(character) for character in characters]] |= flag
    return flags


def _composing() -> Iterable[str]:
    """List what NFC may change: what decomposes for good, what combines, and what a letter before it may take in.

    Source: Unicode Standard Annex 15, NFC_Quick_Check other than Yes, or a combining class other than 0.
    """
    for code_point in range(0x80, NUM_CODE_POINTS):
        character = chr(code_point)
        mapping = unicodedata.decomposition(character)
        if unicodedata.combining(character) or not unicodedata.is_normalized("NFC", character):
            yield character
        elif mapping and not mapping.startswith("<"):
            yield from (chr(int(part, 16)) for part in mapping.split()[1:])
    yield from map(chr, (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)))  # vowels and finals that Hangul takes in
