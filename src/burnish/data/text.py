"""Text units: the normal form in which texts are compared, and what counts as a word.

A word is a run of letters and digits; each Chinese character and each kana counts as one word, since those
scripts write no spaces. `repairs.segment` finds real Chinese words.
"""

import re
import unicodedata
from functools import lru_cache

IDEOGRAPH = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
KANA = r"\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff"

_UNSPACED = re.compile(rf"([{IDEOGRAPH}{KANA}])")
_SPACE_BESIDE_UNSPACED = re.compile(rf"(?<=[{IDEOGRAPH}{KANA}]) | (?=[{IDEOGRAPH}{KANA}])")
_APOSTROPHES = "'\u2018\u2019\u02bc`\u00b4"


class _Folding(dict[int, str]):
    """Map one code point for `str.translate`; looked up once a code point, then remembered."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        category = unicodedata.category(character)
        if character in _APOSTROPHES or category == "Cf" or 0xFE00 <= code_point <= 0xFE0F:
            folded = ""
        elif category[0] in "PZ" or category == "Cc":
            folded = " "
        elif category[0] == "S":
            folded = f" {character} "
        else:
            folded = character
        self[code_point] = folded
        return folded


_FOLDING = _Folding()


def normal_form(text: str) -> str:
    """Fold away what two copies of a text may differ in: case, width, accents' encoding, spaces, punctuation.

    Symbols stay (`+5` and `-5` differ in many ways, `$` and a smile carry meaning); apostrophes vanish, so
    that `don't` is one word in any spelling of the mark. Idempotent. A text without letters, digits or
    symbols folds to the empty string.
    """
    folded = _compatible(_compatible(text).casefold()).translate(_FOLDING)
    return _SPACE_BESIDE_UNSPACED.sub("", " ".join(folded.split()))


def words(text: str) -> list[str]:
    """Split a text into its words, in normal form."""
    return words_of_normal(normal_form(text))


def words_of_normal(normal: str) -> list[str]:
    """Split a text that is in normal form already."""
    return [word for word in _UNSPACED.sub(r" \1 ", normal).split() if _is_word(word)]


@lru_cache(maxsize=1 << 16)
def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token)


def _compatible(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
