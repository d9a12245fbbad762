"""Heuristics for documents: published rules that tell prose from menus, lists, boilerplate and repetition."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from burnish.data.document import Document
from burnish.data.function_words import is_function_word
from burnish.data.records import Rejection
from burnish.errors import RecipeError

GOPHER_RULES = (
    "word_length",
    "symbols",
    "bullets",
    "ellipses",
    "few_alphabetic_words",
    "few_stop_words",
    "repeated_phrase",
    "repeated_passages",
)
FINEWEB_RULES = ("line_ends", "repeated_lines", "short_lines")

_BULLETS = ("•", "-", "*", "‣", "◦", "·", "●")
_ELLIPSES = ("...", "…")
_ENDS = tuple(".!?。！？…\"'”’」』:：;；)）")
_PHRASE_WORDS = (2, 3, 4)
_PASSAGE_WORDS = 5
_CHARACTERS_PER_WORD = 2  # of Chinese, about; phrases and passages are measured in characters there
_MIN_LINES = 5  # a share of fewer lines says nothing


@dataclass(frozen=True)
class Gopher:
    """Rules for documents from the making of Gopher, applied to records of `min_words` and more.

    Source: Rae et al. 2021, arXiv:2112.11446, table A1 and section A.1.1. There shorter documents are dropped;
    here they pass, since cleaning has its own least length, and rules on lines need five of them. A Chinese
    character counts as half a word in lengths; word length is measured on the other scripts.

    Attributes:
        max_symbol_frac: of `#` and ellipses to words.
        min_stop_words: function words of English and Chinese; Gopher counts eight English ones.
        max_phrase_fracs: share of words in the commonest phrase of 2, 3 and 4 words, where it repeats.
        max_passage_frac: share of words in passages of 5 words that were there before.
    """

    min_words: int = 50
    min_mean_word_chars: float = 3.0
    max_mean_word_chars: float = 10.0
    max_symbol_frac: float = 0.1
    max_bullet_line_frac: float = 0.9
    max_ellipsis_line_frac: float = 0.3
    min_alphabetic_word_frac: float = 0.8
    min_stop_words: int = 2
    max_phrase_fracs: tuple[float, ...] = (0.20, 0.18, 0.16)
    max_passage_frac: float = 0.15

    def __post_init__(self) -> None:
        if self.min_words < _PASSAGE_WORDS:
            raise RecipeError(f"min_words is {self.min_words}; it must be at least {_PASSAGE_WORDS}")
        if len(self.max_phrase_fracs) != len(_PHRASE_WORDS):
            raise RecipeError(f"max_phrase_fracs has {len(self.max_phrase_fracs)} values; it must have 3")


@dataclass(frozen=True)
class FineWeb:
    """Rules on lines from the making of FineWeb, applied to records of five lines and more.

    Source: Penedo et al. 2024, arXiv:2406.17557, section 3.6.

    Attributes:
        min_line_end_frac: of lines that end with a mark.
        max_repeated_line_frac: of characters in lines that were there before.
        max_short_line_frac: of lines under 30 bytes: 30 Latin characters, 10 Chinese ones.
    """

    min_line_end_frac: float = 0.12
    max_repeated_line_frac: float = 0.1
    max_short_line_frac: float = 0.67


def find_gopher(document: Document, config: Gopher, *, knows_stop_words: bool) -> Iterator[Rejection]:
    """Give each Gopher rule that a document breaks.

    Args:
        knows_stop_words: False for a language whose function words are not known here; that rule is left out.
    """
    words, lines = document.words, document.lines
    spaced = [word for word in words if len(word) > 1 or word.isascii()]
    is_spaced = 2 * len(spaced) > len(words)
    length = 1 if is_spaced else _CHARACTERS_PER_WORD
    if len(words) < config.min_words * length:
        return
    if is_spaced:
        mean = sum(map(len, spaced)) / len(spaced)
        yield from _under("word_length", mean, config.min_mean_word_chars)
        yield from _over("word_length", mean, config.max_mean_word_chars)
    num_symbols = document.text.count("#") + sum(document.text.count(mark) for mark in _ELLIPSES)
    yield from _over("symbols", num_symbols / len(words), config.max_symbol_frac)
    if len(lines) >= _MIN_LINES:
        yield from _over("bullets", _share(lines, _BULLETS, at_start=True), config.max_bullet_line_frac)
        yield from _over("ellipses", _share(lines, _ELLIPSES), config.max_ellipsis_line_frac)
    alphabetic = sum(any(character.isalpha() for character in word) for word in words) / len(words)
    yield from _under("few_alphabetic_words", alphabetic, config.min_alphabetic_word_frac)
    if knows_stop_words:
        yield from _under("few_stop_words", sum(map(is_function_word, words)), config.min_stop_words)
    for num_words, limit in zip(_PHRASE_WORDS, config.max_phrase_fracs, strict=True):
        yield from _over("repeated_phrase", phrase_frac(words, num_words * length), limit)
    yield from _over("repeated_passages", passage_frac(words, _PASSAGE_WORDS * length), config.max_passage_frac)


def find_fineweb(document: Document, config: FineWeb) -> Iterator[Rejection]:
    """Give each FineWeb rule that a document breaks."""
    lines = document.lines
    if len(lines) < _MIN_LINES:
        return
    yield from _under("line_ends", _share(lines, _ENDS), config.min_line_end_frac)
    yield from _over("repeated_lines", repeated_line_frac(lines), config.max_repeated_line_frac)
    short = sum(len(line.encode()) < 30 for line in lines) / len(lines)
    yield from _over("short_lines", short, config.max_short_line_frac)


def phrase_frac(words: list[str], num_words: int) -> float:
    """Measure the share of words that stand in the commonest phrase of `num_words` words, 0 if none repeats."""
    phrases = Counter(zip(*(words[start:] for start in range(num_words)), strict=False))
    if not phrases:
        return 0.0
    times = max(phrases.values())
    return min(1.0, times * num_words / len(words)) if times > 1 else 0.0


def passage_frac(words: list[str], num_words: int) -> float:
    """Measure the share of words that stand in a run of `num_words` words which was there before."""
    seen: set[tuple[str, ...]] = set()
    repeated = set[int]()
    for start in range(len(words) - num_words + 1):
        passage = tuple(words[start : start + num_words])
        if passage in seen:
            repeated.update(range(start, start + num_words))
        seen.add(passage)
    return len(repeated) / max(1, len(words))


def repeated_line_frac(lines: list[str]) -> float:
    """Measure the share of characters that stand in lines which were there before."""
    seen: set[str] = set()
    repeated = 0
    for line in lines:
        repeated += len(line) * (line in seen)
        seen.add(line)
    return repeated / max(1, sum(map(len, lines)))


def _share(lines: list[str], marks: tuple[str, ...], *, at_start: bool = False) -> float:
    hits = (line.startswith(marks) if at_start else line.endswith(marks) for line in lines)
    return sum(hits) / max(1, len(lines))


def _over(rule: str, value: float, limit: float) -> Iterator[Rejection]:
    if value > limit:
        yield Rejection(rule, value, limit)


def _under(rule: str, value: float, limit: float) -> Iterator[Rejection]:
    if value < limit:
        yield Rejection(rule, value, limit)
