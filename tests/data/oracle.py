"""The oracle: what the kernel measures of a text, written from its docstrings in the plainest Python.

Nothing here is fast, hashed, or shared with the kernel, but for lists of words and letters that are data.
"""

import codecs
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import burnish.data.kernel.letters
from burnish.data.function_words import chinese_characters, english_words
from burnish.data.kernel.wordlist import _ENGLISH_ONLY
from burnish.data.repairs.repair import INVALID_CLASS, SPACE_CLASS
from burnish.data.repairs.repair_hanzi import common_hanzi

LINE_BREAKS = "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029"
APOSTROPHES = "'\u2018\u2019\u02bc`\u00b4"
BULLETS = "•-*‣◦·●"
LINE_ENDS = ".!?。！？…\"'”’」』:：;；)）"

_INVALID = re.compile(f"[{INVALID_CLASS}]")
_WIDE = re.compile(f"[{SPACE_CLASS}]")
_ELLIPSIS = re.compile(r"\.{3,}|…")
_SURPRISE = json.loads(Path(burnish.data.kernel.letters.__file__).with_name("letter_pairs.json").read_text("ascii"))

codecs.register_error("one_each", lambda error: ("\ufffd", error.start + 1))  # type: ignore[attr-defined]


def decoded(data: bytes) -> str:
    """Read UTF-8; each byte that is none is one U+FFFD."""
    return data.decode("utf-8", errors="one_each")


def kind(character: str) -> str:
    """Name what a character is."""
    code, category = ord(character), unicodedata.category(character)
    if code >= 0x10000:
        return _astral_kind(code)
    for name, is_so in (
        ("newline", character in LINE_BREAKS),
        ("space", character in " \t"),
        ("replacement", character == "\ufffd"),
        ("invalid", _INVALID.match(character)),
        ("apostrophe", character in APOSTROPHES or category == "Cf" or "\ufe00" <= character <= "\ufe0f"),
        ("ideograph", character in "々〇" or re.match("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]", character)),
        ("kana", re.match("[\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9d]", character)),
        ("hangul", re.match("[\uac00-\ud7a3\u1100-\u11ff]", character)),
        ("wide space", _WIDE.match(character)),
        ("lower", category == "Ll"),
        ("upper", category in ("Lu", "Lt")),
        ("letter", category[0] in "LM"),
        ("digit", category[0] == "N"),
        ("symbol", category[0] == "S"),
    ):
        if is_so:
            return name
    return "punctuation"


def _astral_kind(code: int) -> str:
    if 0x20000 <= code <= 0x3FFFD:
        return "ideograph"
    if 0x1F000 <= code <= 0x1FAFF or 0x1D000 <= code <= 0x1D3FF:
        return "symbol"
    return "apostrophe" if 0xE0000 <= code <= 0xE0FFF else "letter"


def folded(character: str) -> str:
    """Fold case and width away, where that is one character of the Basic Multilingual Plane for another."""
    fold = unicodedata.normalize("NFKC", character).casefold() if ord(character) < 0x10000 else character
    return fold if len(fold) == 1 and ord(fold) < 0x10000 else character


@dataclass
class Word:
    """A word: its characters as they stand, and as they count."""

    is_spaced: bool
    raw: str = ""
    spelled: str = ""

    @property
    def is_latin(self) -> bool:
        return any(c < "\u0250" and kind(c) in ("lower", "upper", "letter") for c in self.raw)

    @property
    def is_number(self) -> bool:
        return all(kind(c) in ("digit", "apostrophe") for c in self.raw)

    @property
    def is_mixed(self) -> bool:
        """Tell `x9Kq`: a digit beside a letter, a capital after a small letter; an apostrophe parts them."""
        for before, after in itertools.pairwise(self.raw):
            one, other = kind(before), kind(after)
            if other == "digit" and one in ("lower", "upper"):
                return True
            if one == "digit" and other in ("lower", "upper", "letter", "hangul"):
                return True
            if (one, other) == ("lower", "upper"):
                return True
        return False


def read(text: str) -> tuple[list[Word], list[tuple[int, str]]]:
    """Give the words, and the symbols with the number of words before each."""
    words: list[Word] = []
    symbols: list[tuple[int, str]] = []
    is_open = False
    for character in text:
        what = kind(character)
        if what in ("lower", "upper", "letter", "digit", "hangul"):
            if not is_open:
                words.append(Word(is_spaced=True))
            words[-1].raw += character
            words[-1].spelled += folded(character)
            is_open = True
        elif what == "apostrophe":
            if is_open:
                words[-1].raw += character
        else:
            is_open = False
            if what in ("ideograph", "kana"):
                words.append(Word(False, character, folded(character)))
            elif what == "symbol":
                symbols.append((len(words), folded(character)))
    return words, symbols


def exact_key(text: str) -> Hashable:
    """Give what exact copies share."""
    words, symbols = read(text)
    if not words and not symbols:
        return text
    return tuple(word.spelled for word in words), tuple(symbols)


def word_shingles(text: str, length: int) -> set[Hashable]:
    """Give the different runs of `length` words; a shorter text is its own only one."""
    return set(_runs([word.spelled for word in read(text)[0]], length))


def byte_shingles(text: str, length: int) -> set[Hashable]:
    """Give the different runs of `length` bytes of the folded characters, one space between words spelled out."""
    parts: list[str] = []
    was_spelled = is_gap = False
    for character in text:
        what = kind(character)
        if is_spelled := what in ("lower", "upper", "letter", "digit", "hangul"):
            parts += [" "] if is_gap and was_spelled else []
        if is_spelled or what in ("ideograph", "kana", "symbol"):
            parts.append(folded(character))
            was_spelled, is_gap = is_spelled, False
        else:
            is_gap = is_gap or what != "apostrophe"
    return set(_runs(list("".join(parts).encode()), length))


def _runs(units: Sequence[Hashable], length: int) -> list[Hashable]:
    span = min(length, len(units))
    return [tuple(units[start : start + span]) for start in range(len(units) - span + 1)] if units else []


def jaccard(one: set[Hashable], other: set[Hashable]) -> float:
    """Compare by definition."""
    return len(one & other) / max(1, len(one | other))


def measures(data: bytes) -> dict[str, float]:
    """Measure a tidy text."""
    text = decoded(data)
    words, _ = read(text)
    return {"num_bytes": len(data), **_characters(text), **_words(words), **_lines(data, len(words))}


def _characters(text: str) -> dict[str, float]:
    kinds = Counter(map(kind, text))
    letters = sum(kinds[name] for name in ("lower", "upper", "letter", "ideograph", "kana", "hangul"))
    hanzi = [c for c in text if kind(c) == "ideograph"]
    latin = [c for c in text if c < "\u0250" and kind(c) in ("lower", "upper", "letter")]
    visible = [c for c in text if kind(c) not in ("space", "wide space", "newline")]
    again = sum(a == b and kind(a) in MARKS for a, b in itertools.pairwise(text))
    pairs = [pair for pair in map(_letter_pair, text, text[1:]) if pair]
    return {
        "num_chars": len(text),
        "ideograph_frac": len(hanzi) / max(1, letters),
        "kana_frac": kinds["kana"] / max(1, kinds["kana"] + len(hanzi)),
        "hangul_frac": kinds["hangul"] / max(1, letters),
        "latin_frac": len(latin) / max(1, letters),
        "letter_frac": (letters + kinds["digit"] + 2 * len(hanzi)) / max(1, len(visible) - again + 2 * len(hanzi)),
        "letter_surprise_bits": sum(_SURPRISE[a][b] / 10 for a, b in pairs) / max(1, len(pairs)),
        "rare_hanzi_frac": sum(c not in common_hanzi() for c in hanzi) / max(1, len(hanzi)),
        "replacement_frac": kinds["replacement"] / max(1, len(text)),
    }


MARKS = ("punctuation", "symbol", "apostrophe", "invalid", "replacement")


def _letter_pair(one: str, other: str) -> tuple[int, int] | None:
    if max(one, other) >= "\u0250":
        return None
    first, second = folded(one), folded(other)
    return (ord(first) - 97, ord(second) - 97) if all("a" <= c <= "z" for c in (first, second)) else None


def _words(words: list[Word]) -> dict[str, float]:
    spelled = [word.spelled for word in words]
    spaced = [word for word in words if word.is_spaced]
    known = english_words() | chinese_characters() | set(_ENGLISH_ONLY)
    num_function = sum(word in known for word in spelled)
    total, num_spaced = max(1, len(words)), max(1, len(spaced))
    factor = 1 if 2 * len(spaced) > len(words) else 2
    return {
        "num_words": len(words),
        "num_function_words": num_function,
        "english_frac": sum(word.spelled in _ENGLISH_ONLY for word in spaced) / num_spaced,
        "function_word_frac": num_function / total,
        "mean_word_chars": sum(len(word.spelled) for word in spaced) / num_spaced,
        "mixed_word_frac": sum(word.is_mixed and word.is_latin for word in spaced) / total,
        "alphabetic_word_frac": sum(not word.is_number for word in words) / total,
        "spaced_frac": len(spaced) / total,
        **{f"phrase_{n}_frac": phrase_frac(spelled, n * factor) for n in (2, 3, 4)},
        "repeated_passage_frac": passage_frac(spelled, 5 * factor),
    }


def phrase_frac(words: Sequence[str], length: int) -> float:
    """Measure the share of words in the commonest run of `length`; 0 if none repeats."""
    times = max(Counter(_runs(words, length)).values(), default=0)
    return min(1.0, times * length / len(words)) if times > 1 else 0.0


def passage_frac(words: Sequence[str], length: int) -> float:
    """Measure the share of words in runs of `length` that were there before."""
    seen: set[Hashable] = set()
    repeated: set[int] = set()
    for start, run in enumerate(_runs(words, length)):
        if run in seen:
            repeated |= set(range(start, start + length))
        seen.add(run)
    return len(repeated) / max(1, len(words))


def _lines(data: bytes, num_words: int) -> dict[str, float]:
    raw = [line for line in data.split(b"\n") if line]
    lines = [decoded(line) for line in raw]
    sizes = [len(line) for line in raw]
    total = max(1, len(lines))
    again = sum(size for place, size in enumerate(sizes) if raw[place] in raw[:place])
    num_marks = data.count(b"#") + sum(len(_ELLIPSIS.findall(line)) for line in lines)
    return {
        "num_lines": len(lines),
        "symbol_frac": num_marks / max(1, num_words),
        "bullet_line_frac": sum(line.lstrip(" \t").startswith(tuple(BULLETS)) for line in lines) / total,
        "ellipsis_line_frac": sum(line.endswith(("...", "…")) for line in lines) / total,
        "line_end_frac": sum(line.endswith(tuple(LINE_ENDS)) for line in lines) / total,
        "short_line_frac": sum(size < 30 for size in sizes) / total,
        "repeated_line_frac": again / max(1, sum(sizes)),
    }
