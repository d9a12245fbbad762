"""Hanzi: which are common, and which make up text that GBK misread."""

import re
from dataclasses import dataclass
from functools import lru_cache

LOST = "\ufffd"


@lru_cache(maxsize=1)
def common_hanzi() -> frozenset[str]:
    """Give the 6,722 characters of GB 2312 level 1 or Big5 level 1, simplified and traditional ones in everyday use.

    Source: GB 2312-80, rows 16 to 55; Big5, 0xA440 to 0xC67E.
    """
    simplified = bytes(b for lead in range(0xB0, 0xD8) for trail in range(0xA1, 0xFF) for b in (lead, trail))
    traditional = bytes(
        b for lead in range(0xA4, 0xC7) for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF)) for b in (lead, trail)
    )
    end = traditional.index(b"\xc6\xa1")
    return frozenset(simplified.decode("gb2312", "ignore") + traditional[:end].decode("big5"))


@dataclass(frozen=True)
class GbkSigns:
    """Hold GBK's readings, two bytes each, of UTF-8's three-byte characters.

    Attributes:
        openings: the first two bytes of a character.
        ends: a last byte with an ASCII letter, or a lost byte.
        links: a last byte with the first of the next character.
        tails: the last two bytes, or a lost byte.
    """

    openings: frozenset[str]
    ends: frozenset[str]
    links: frozenset[str]
    tails: frozenset[str]


@lru_cache(maxsize=1)
def gbk_signs() -> GbkSigns:
    """Give what damaged text holds: an opening, then an end or else a link and tails, not all of them common hanzi."""
    leads = range(0xE2, 0xF0)  # first byte of U+2000 to U+FFFF: marks, kana, hanzi, full-width forms
    tails = range(0x80, 0xC0)
    closing = tails[1:]  # GBK has no character from 0x80 on
    lost = frozenset((LOST, "€", "?"))
    return GbkSigns(
        openings=_gbk_characters(leads, tails),
        ends=_gbk_characters(closing, range(0x40, 0x7F)) | lost,
        links=_gbk_characters(closing, leads),
        tails=_gbk_characters(closing, tails) | lost,
    )


def has_gbk_sign(text: str) -> bool:
    """Tell whether a text may hold UTF-8 read as GBK; without a sign nothing is read anew."""
    common = common_hanzi()
    return any(not common.issuperset(match[0]) for match in _gbk_sign().finditer(text))


def _gbk_characters(firsts: range, seconds: range) -> frozenset[str]:
    return frozenset(bytes((first, second)).decode("gb18030") for first in firsts for second in seconds)


@lru_cache(maxsize=1)
def _gbk_sign() -> re.Pattern[str]:
    signs = gbk_signs()
    opening, end, link, tail = (
        f"[{re.escape(''.join(sorted(characters)))}]"
        for characters in (signs.openings, signs.ends, signs.links, signs.tails)
    )
    return re.compile(f"{opening}(?:{end}|{link}{tail})")
