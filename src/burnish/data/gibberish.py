"""Gibberish: signs that a text is random characters or random words, short texts included.

Rules made for documents (`heuristics`) say nothing of a headline of seven words. These do. Random characters
show in their share of letters and in words that mix letters with digits or capitals. Random words from a
dictionary look like language letter by letter; what gives them away is that they are in no other record,
and that nothing joins them: no article, no preposition, no particle.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from burnish.data.document import Document
from burnish.data.function_words import function_word_frac, is_function_word
from burnish.data.records import Rejection
from burnish.data.text import IDEOGRAPH
from burnish.errors import RecipeError

RULES = ("few_letters", "mixed_words", "word_salad")

_IDEOGRAPHS = re.compile(f"[{IDEOGRAPH}]+")
_WORD = re.compile(r"[A-Za-z0-9]+")
_MIXED = re.compile(r"[a-z][A-Z]|[A-Za-z][0-9]|[0-9][A-Za-z]")
_REPEATED_MARK = re.compile(r"([^\w\s])\1+")
_MIN_UNITS = 3  # with two words, "both are new" is what half of all short headlines are


@dataclass(frozen=True)
class Gibberish:
    """Say when a text counts as random. Defaults are measured on 28,614 headlines and 100 random rows.

    Attributes:
        min_letter_frac: least share of letters and digits among the characters that are no spaces; the
            headlines' least is 0.78, random characters have 0.4 to 0.8.
        max_mixed_word_frac: largest share of Latin words such as `x9Kq`; the headlines' largest is 0.2.
        max_novel_frac: largest share of words that no other record has, for a text of three words or more.
        min_function_word_frac: a text with this share of function words (English and Chinese are known) is
            no word salad, however new its other words are.
        min_records: word salad is looked for only among so many records of a script, since in a small set
            most words are new. It takes 0.1 to 0.3 % of 3,000 real headlines, 1 to 2 % of 500, 3 to 5 % of 200.
    """

    min_letter_frac: float = 0.75
    max_mixed_word_frac: float = 0.3
    max_novel_frac: float = 0.75
    min_function_word_frac: float = 0.1
    min_records: int = 500

    def __post_init__(self) -> None:
        for name in ("min_letter_frac", "max_mixed_word_frac", "max_novel_frac", "min_function_word_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be in [0, 1]")
        if self.min_records < 1:
            raise RecipeError(f"min_records is {self.min_records}; it must be at least 1")


class Vocabulary:
    """Know which units (words; pairs of neighbouring Chinese characters) are in more than one of the documents."""

    def __init__(self, documents: Iterable[Document]) -> None:
        seen: set[str] = set()
        self._shared: set[str] = set()
        self._num_records = {True: 0, False: 0}
        for document in documents:
            units = units_of(document)
            self._shared |= seen.intersection(units)
            seen.update(units)
            self._num_records[is_chinese(units)] += 1

    def num_records(self, *, chinese: bool) -> int:
        """Count the documents of one script."""
        return self._num_records[chinese]

    def novel_frac(self, units: list[str]) -> float:
        """Measure the share of units that no other document has and that are no function words."""
        return sum(unit not in self._shared and not is_function_word(unit) for unit in units) / len(units)


def find_gibberish(document: Document, vocabulary: Vocabulary, config: Gibberish) -> Iterator[Rejection]:
    """Give each sign of randomness in a document."""
    letters = letter_frac(document.text)
    if letters < config.min_letter_frac:
        yield Rejection("few_letters", letters, config.min_letter_frac)
    mixed = mixed_word_frac(document)
    if mixed > config.max_mixed_word_frac:
        yield Rejection("mixed_words", mixed, config.max_mixed_word_frac)
    units = units_of(document)
    if len(units) < _MIN_UNITS or vocabulary.num_records(chinese=is_chinese(units)) < config.min_records:
        return
    novel = vocabulary.novel_frac(units)
    if novel > config.max_novel_frac and function_word_frac(units) < config.min_function_word_frac:
        yield Rejection("word_salad", novel, config.max_novel_frac)


def letter_frac(text: str) -> float:
    """Measure the share of letters and digits among the characters that are no spaces.

    A Chinese character counts as three letters, about what it says; a mark that is repeated counts once.
    """
    visible = _REPEATED_MARK.sub(r"\1", "".join(text.split()))
    num_letters = sum(character.isalnum() for character in visible)
    extra = 2 * sum(map(len, _IDEOGRAPHS.findall(visible)))
    return (num_letters + extra) / max(1, len(visible) + extra)


def mixed_word_frac(document: Document) -> float:
    """Measure the share of words that are Latin and mix letters with digits, or have a capital after a small letter."""
    num_mixed = sum(_MIXED.search(word) is not None for word in _WORD.findall(document.text))
    return min(1.0, num_mixed / max(1, len(document.words)))


def units_of(document: Document) -> list[str]:
    """List what is looked up: words that are no numbers, and for Chinese the pairs of neighbours.

    Single Chinese characters are few enough that random text has none that is new; its pairs nearly all are.
    """
    latin = [word for word in document.words if not word.isdigit() and not _IDEOGRAPHS.fullmatch(word)]
    pairs = [
        run[start : start + 2] for run in _IDEOGRAPHS.findall(document.normal) for start in range(max(1, len(run) - 1))
    ]
    return latin + pairs


def is_chinese(units: list[str]) -> bool:
    """Tell whether most units are Chinese."""
    return 2 * sum(_IDEOGRAPHS.match(unit) is not None for unit in units) > len(units)
