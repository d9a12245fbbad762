"""Texts of all scripts and of none, and the kernel called on them."""

from collections.abc import Sequence

import numpy as np
import pyarrow
from hypothesis import strategies as st
from numpy.typing import NDArray

from burnish.data.kernel.batch import to_arrays, to_column
from burnish.data.kernel.measure import COLUMN, Readings, measure
from burnish.data.kernel.tidy import tidy

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]

ALPHABETS = {
    "ascii": "".join(map(chr, range(0x20, 0x7F))),
    "words": "aaeeiioottnnsshhrr  dlcumTHEA",
    "latin": "áàâäãåçéèêëíîñóöøœßúüýÿÀÉÖØÞßðþŁłŐőſªº",
    "simplified": "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动银行财务",
    "traditional": "這個們說會對與為於從還沒嗎讓給國學體應當實現歷臺灣觀點藝術",
    "rare": "犇猋骉麤龘靐齉爩厵灥㐀㐅㒓々〇豈更",
    "kana": "あいうえおかがきゃゅょっんアイウエオヴーカﾞｱｲｳﾞ",
    "hangul": "가나다라마한국어말씀각낭\u1100\u1161\u11a8",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي٠١٢٣\u064e\u0651",
    "cyrillic": "абвгдежзийАБВГДЕЖЗ",
    "indic": "अआइक\u094dषि\u0e01\u0e33\u0e48",
    "combining": "e\u0301a\u0308n\u0303\u0327\u20e3\u0345",
    "digits": "0123456789²½Ⅳ①０１２",
    "symbols": "+-<>=$€¥|~^`´¨©®°±×÷♥★＋＄￥～",
    "marks": ".,;:!?…“”‘’'\"()[]{}#*_-—·•●◦‣。，、；：？！「」『』（）",
    "wide": "ＡＢＣａｂｃ！，．",
    "emoji": "😀🎉🚀❤\ufe0f👨\u200d👩\u200d👧🏽🇨🇳",
    "astral": "𠀀𠮷𪚥𫝆𝒜𝄞𐐀𐎀\U000e0067\U000e0100",
    "hidden": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\x00\x07\x7f\ufffe\ufdd0",
    "spaces": " \t  \u00a0\u3000\u2003\u1680\u202f",
    "breaks": "\n\n\n\r\x0b\x0c\x1c\x1e\x85\u2028\u2029",
    "lost": "\ufffd",
}
_SNIPPETS = (
    "the ", "of ", "buy now ", "don't ", "rock ’n’ roll ", "x9Kq ", "iPhone ", "3rd ", "中国银行", "的", "非常不错的", "\r\n", "\n\n", "...", "....",
    "…\n", "- item\n", "• 项\n", "  * x\n", "#tag ", "a+b ", "A. B. C. ", "１２３", "ﬁ", "ǅ", "İ", "ß", "힣", "ẞ", "Å", "Ω", "K",
)  # fmt: skip


def _of(characters: str) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(characters), max_size=12)


scripts = st.sampled_from(sorted(ALPHABETS.values())).flatmap(_of)
pieces = scripts | st.sampled_from(_SNIPPETS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
texts = st.lists(pieces, max_size=14).map("".join) | st.lists(st.sampled_from(_SNIPPETS), max_size=60).map("".join)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Draw bytes that are nearly UTF-8: cut, with bytes changed, or any at all."""
    data = bytearray(draw(texts).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 4))):
        if data:
            place = draw(st.integers(0, len(data) - 1))
            data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(data[: draw(st.integers(0, len(data)))])


def arrays(given: Sequence[str]) -> Arrays:
    """Give texts as the kernel takes them from Arrow."""
    return to_arrays(pyarrow.array(given, pyarrow.string()))


def raw_arrays(given: Sequence[bytes]) -> Arrays:
    """Give bytes as the kernel takes texts that cleaning has written."""
    sizes = np.array([len(data) for data in given], np.int64)
    return np.frombuffer(bytearray(b"".join(given)), np.uint8), np.concatenate([np.zeros(1, np.int64), sizes.cumsum()])


def tidied(given: Sequence[str]) -> list[str]:
    """Tidy texts."""
    found: list[str] = to_column(*tidy(*arrays(given))).to_pylist()
    return found


def readings(given: Sequence[bytes], *, length: int = 5, is_bytes: bool = False) -> Readings:
    """Measure texts."""
    return measure(*raw_arrays(given), length=length, is_bytes=is_bytes)


def values(given: Sequence[bytes]) -> list[dict[str, float]]:
    """Measure texts; a dictionary for each."""
    return [{name: float(row[column]) for name, column in COLUMN.items()} for row in readings(given).values]
