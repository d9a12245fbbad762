"""Disguise: letters that look like others, characters that cannot be seen, words split or respelt.

Source: Unicode Technical Standard 39 (mixed scripts, confusables); Boucher et al. 2021, arXiv:2106.09898.
"""

import base64
import binascii
import re
import unicodedata
from itertools import pairwise

from burnish.data.text import IDEOGRAPH, KANA

_LATIN = "A-Za-z\u00c0-\u024f"
_CYRILLIC = "\u0400-\u052f"
# Greek letters that a Latin one resembles. Not those that science writes beside Latin letters: µm, Δt, kΩ, πr.
_GREEK_DOUBLES = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧνορυικϲ"
_ARMENIAN_CHEROKEE = "\u0531-\u0587\u13a0-\u13ff\uab70-\uabbf"
_STYLED = "\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff\u2460-\u24ff"  # full-width, mathematical, circled
_OTHER = f"{_CYRILLIC}{_GREEK_DOUBLES}{_ARMENIAN_CHEROKEE}{_STYLED}"
_MIXED = re.compile(f"[{_LATIN}][{_OTHER}]|[{_OTHER}][{_LATIN}]")
_WORD = re.compile(r"[^\W_]+")
_RADICAL = re.compile("[\u2e80-\u2fd5]")

# Zero-width and word joiners, direction marks and overrides, fillers, tags (a copy of ASCII that nothing shows),
# variation selectors of the supplement. Not the soft hyphen, which web pages are full of.
_INVISIBLE = re.compile(
    "[\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u3164\ufeff\uffa0"
    "\U000e0000-\U000e01ef]"
)
# The two joiners belong to Indic, Arabic and Khmer script and to emoji; beside these letters and marks they hide.
_PLAIN = f"{_LATIN}{_CYRILLIC}{IDEOGRAPH}{KANA}0-9\u3000-\u303f\uff00-\uff65"
_JOINER = re.compile(f"(?<=[{_PLAIN}])[\u200c\u200d]|[\u200c\u200d](?=[{_PLAIN}])")

_SPLIT_LATIN = re.compile(rf"(?<![\w.\-*])[{_LATIN}]([.\-_*·•]|[ \u00a0])(?:[{_LATIN}]\1){{2,}}[{_LATIN}](?![\w])")
_SPLIT_HANZI = re.compile(rf"[{IDEOGRAPH}]([.\-_*·•/|]| )(?:[{IDEOGRAPH}]\1){{2,}}[{IDEOGRAPH}]")
_SPACED_HANZI = re.compile(rf"(?<=[{IDEOGRAPH}]) (?=[{IDEOGRAPH}])")
_HANZI = re.compile(f"[{IDEOGRAPH}]")
_MAX_SPACED_FRAC = (
    0.1  # of its Chinese characters: manuals typed with spaces between words have 0.14 and more, others 0.003
)
_RESPELT = re.compile(r"(?<![\w$@])(?=[\w$@]*[A-Za-z])(?=[\w$@]*[013457$@])[A-Za-z013457$@]{4,}(?![\w$@])")
_LEET = str.maketrans("0134$57@", "oieassta")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_DOUBLES = str.maketrans(
    "асеіјорѕхуһкмнтвАВСЕНІЈКМОРЅТХУЗαοερνυικχАΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aceijopsxyhkmhtbABCEHIJKMOPSTXY3aoepvuikxABEZHIKMNOPTYX"
)


def num_mixed_words(text: str) -> int:
    """Count words that mix look-alike letters of two scripts, and Chinese radicals written in place of characters."""
    if text.isascii():
        return 0
    mixed = sum(_MIXED.search(word) is not None for word in _WORD.findall(text)) if _MIXED.search(text) else 0
    return mixed + len(_RADICAL.findall(text))


def num_invisible(text: str) -> int:
    """Count characters that show nothing and change what is read; a byte order mark at the start is none."""
    if text.isascii():
        return 0
    return len(_INVISIBLE.findall(text.removeprefix("\ufeff"))) + len(_JOINER.findall(text))


def rejoined_words(text: str) -> list[str]:
    """List words whose letters stand apart (`i.g.n.o.r.e`), joined again; initials and the alphabet are none.

    Nor are Chinese characters with spaces between them, in a text that is typed so everywhere.
    """
    joined = [match[0].replace(match[1], "") for match in _SPLIT_LATIN.finditer(text)]
    words = [word for word in joined if not word.isupper() and len(set(word.lower())) > 2 and not _is_row(word.lower())]
    split = list(_SPLIT_HANZI.finditer(text))
    if any(match[1] == " " for match in split) and _is_spaced(_SPLIT_HANZI.sub("", text)):
        split = [match for match in split if match[1] != " "]
    return words + [match[0].replace(match[1], "") for match in split]


def respelt_words(text: str) -> list[tuple[str, str]]:
    """List words that mix letters with digits or marks that stand for letters, each with its likely spelling."""
    return [(word, word.translate(_LEET)) for word in _RESPELT.findall(text)]


def undisguised(text: str) -> str:
    """Undo every disguise, for rules that read words; base64 that decodes to text is appended in clear."""
    plain = unicodedata.normalize("NFKC", _JOINER.sub("", _INVISIBLE.sub("", text)))
    plain = _WORD.sub(_one_script, plain) if _MIXED.search(plain) else plain
    plain = _SPLIT_HANZI.sub(_rejoin, _SPLIT_LATIN.sub(_rejoin, plain))
    hidden = [decoded for match in _BASE64.finditer(plain) if (decoded := _decoded(match[0]))]
    return "\n".join([plain, *hidden])


def _one_script(match: re.Match[str]) -> str:
    word = match[0]
    return word.translate(_DOUBLES) if _MIXED.search(word) else word


def _rejoin(match: re.Match[str]) -> str:
    return match[0].replace(match[1], "")


def _is_spaced(text: str) -> bool:
    return len(_SPACED_HANZI.findall(text)) > _MAX_SPACED_FRAC * len(_HANZI.findall(text))


def _is_row(word: str) -> bool:
    """Tell a stretch of the alphabet, as lists of options are."""
    return all(ord(after) - ord(before) == 1 for before, after in pairwise(word))


def _decoded(code: str) -> str:
    try:
        text = base64.b64decode(code + "=" * (-len(code) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.isprintable() or " " in text else ""
