"""Rules: when a text is no text to learn from, judged from its measures alone; no rule reads a text.

Each group is a part of the recipe with its bounds. The defaults lose at most 2 % of clean documents of a mixed
Chinese and English corpus of technical prose, verse and manuals, all rules together; the published bounds, which stand
beside them, lose 15 %, since tables, menus and reference pages repeat themselves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.ledger import FloatArray, Verdict, at_least, at_most
from burnish.errors import RecipeError

Columns = Callable[[str], FloatArray]  # gives (N,) of a measure by its name, and of `KNOWS_FUNCTION_WORDS`

KNOWS_FUNCTION_WORDS = "knows_function_words"  # 1 where a text's language is one of `function_words`

GIBBERISH_RULES = (
    "few_letters",
    "mixed_words",
    "word_salad",
    "random_letters",
    "random_ideographs",
    "lost_characters",
)
DOCUMENT_RULES = (
    "short_words",
    "long_words",
    "symbols",
    "few_alphabetic_words",
    "few_function_words",
    "repeated_phrase_2",
    "repeated_phrase_3",
    "repeated_phrase_4",
    "repeated_passages",
)
LINE_RULES = ("bullets", "ellipses", "line_ends", "repeated_lines", "short_lines")

_UNSPACED_FACTOR = 2  # Chinese characters that count as one word in lengths
_MIN_LINES = 5  # a share of fewer lines says nothing
_MIN_SALAD_WORDS = 3  # two long words are what many short titles are
_MIN_LATIN_WORDS = 3
_MIN_IDEOGRAPHS = 7.5  # eight, of which a name with two rare characters makes up a quarter
_PHRASE_WORDS = (2, 3, 4)


@dataclass(frozen=True)
class Gibberish:
    """Say when a text of any length counts as random.

    Measured on 28,614 headlines, 100 rows of random characters and words, and 9,644 documents of a corpus with 202
    random ones.

    Attributes:
        min_letter_frac: least share of letters and digits among the characters that are no spaces; an ideograph
            counts as three. Headlines have 0.78 and more, random characters 0.25 to 0.8.
        max_mixed_word_frac: largest share of words such as `x9Kq`; headlines have 0.2 at most.
        max_salad_word_chars: longest mean length of words that nothing joins: random words of a dictionary have 9 to
            10 letters and next to no function words among them. 0.3 % of headlines are like that.
        max_salad_function_frac: share of function words from which a text is no word salad.
        max_letter_surprise_bits: mean surprise of the next Latin letter, by English; English prose has 3.4, names
            and code up to 5.5, random letters 7 and more.
        max_rare_ideograph_frac: of ideographs, those outside the two lists of common ones; clean text has up to
            0.1, random ideographs 0.7.
        max_lost_frac: of characters, those that were lost (U+FFFD).
    """

    min_letter_frac: float = 0.6
    max_mixed_word_frac: float = 0.4
    max_salad_word_chars: float = 8.0
    max_salad_function_frac: float = 0.1
    max_letter_surprise_bits: float = 6.0
    max_rare_ideograph_frac: float = 0.3
    max_lost_frac: float = 0.01

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Documents:
    """Rules for running text of `min_words` and more; shorter records pass.

    A Chinese character counts as half a word in lengths; word length is measured on words that are spelled out.

    Source: Rae et al. 2021, arXiv:2112.11446, table A1 and section A.1.1 (Gopher). Its bounds: symbols 0.1,
    alphabetic 0.8, two stop words of eight, phrases of 2, 3, 4 words 0.20, 0.18, 0.16, passages of 5 words 0.15.

    Attributes:
        max_symbol_frac: of `#` and ellipses to words.
        min_function_words: of English and Chinese.
        max_phrase_fracs: share of words in the commonest phrase of 2, 3 and 4 words, where it repeats.
        max_passage_frac: share of words in passages of 5 words that were there before.
    """

    min_words: int = 50
    min_mean_word_chars: float = 3.0
    max_mean_word_chars: float = 10.0
    max_symbol_frac: float = 0.1
    min_alphabetic_word_frac: float = 0.5
    min_function_words: int = 1
    max_phrase_fracs: tuple[float, ...] = (0.3, 0.3, 0.3)
    max_passage_frac: float = 0.6

    def __post_init__(self) -> None:
        _check(self)
        if len(self.max_phrase_fracs) != 3:
            raise RecipeError(f"max_phrase_fracs has {len(self.max_phrase_fracs)} values; it must have 3")


@dataclass(frozen=True)
class Lines:
    """Rules on the lines of a document of `min_words` and more that has five lines or more.

    Source: Rae et al. 2021 (bullets 0.9, ellipses 0.3); Penedo et al. 2024, arXiv:2406.17557, section 3.6 (FineWeb),
    whose bounds are: line ends 0.12, repeated lines 0.1, short lines 0.67.

    Attributes:
        min_line_end_frac: of lines that end with a mark; 0 asks nothing, since manuals are broken where they please.
        max_repeated_line_frac: of bytes in lines that were there before.
        max_short_line_frac: of lines under 30 bytes: 30 Latin characters, 10 Chinese ones.
    """

    min_words: int = 50
    max_bullet_line_frac: float = 0.9
    max_ellipsis_line_frac: float = 0.3
    min_line_end_frac: float = 0.0
    max_repeated_line_frac: float = 0.5
    max_short_line_frac: float = 0.95

    def __post_init__(self) -> None:
        _check(self)


def judge_gibberish(columns: Columns, config: Gibberish) -> Iterator[Verdict]:
    """Judge whether texts are random."""
    num_words = columns("num_words")
    yield at_least("few_letters", columns("letter_frac"), config.min_letter_frac)
    yield at_most("mixed_words", columns("mixed_word_frac"), config.max_mixed_word_frac)
    is_spaced = columns("spaced_frac") > 0.5
    is_unjoined = columns("function_word_frac") < config.max_salad_function_frac
    is_unjoined &= columns(KNOWS_FUNCTION_WORDS) > 0
    salad = np.where(is_spaced & is_unjoined & (num_words >= _MIN_SALAD_WORDS), columns("mean_word_chars"), np.nan)
    yield at_most("word_salad", salad, config.max_salad_word_chars)
    is_latin = (columns("latin_frac") > 0.5) & (num_words >= _MIN_LATIN_WORDS)
    surprise = np.where(is_latin, columns("letter_surprise_bits"), np.nan)
    yield at_most("random_letters", surprise, config.max_letter_surprise_bits)
    num_ideographs = num_words * (1 - columns("spaced_frac")) * (1 - columns("kana_frac"))
    rare = _where(num_ideographs >= _MIN_IDEOGRAPHS, columns("rare_hanzi_frac"))
    yield at_most("random_ideographs", rare, config.max_rare_ideograph_frac)
    yield at_most("lost_characters", columns("replacement_frac"), config.max_lost_frac)


def judge_documents(columns: Columns, config: Documents) -> Iterator[Verdict]:
    """Judge running text."""
    is_long = _is_long(columns, config.min_words)
    length = _where(is_long & (columns("spaced_frac") > 0.5), columns("mean_word_chars"))
    yield at_least("short_words", length, config.min_mean_word_chars)
    yield at_most("long_words", length, config.max_mean_word_chars)
    yield at_most("symbols", _where(is_long, columns("symbol_frac")), config.max_symbol_frac)
    words = _where(is_long, columns("alphabetic_word_frac"))
    yield at_least("few_alphabetic_words", words, config.min_alphabetic_word_frac)
    knows = columns(KNOWS_FUNCTION_WORDS) > 0
    yield at_least(
        "few_function_words", _where(is_long & knows, columns("num_function_words")), config.min_function_words
    )
    for num_words, limit in zip(_PHRASE_WORDS, config.max_phrase_fracs, strict=True):
        yield at_most(f"repeated_phrase_{num_words}", _where(is_long, columns(f"phrase_{num_words}_frac")), limit)
    yield at_most("repeated_passages", _where(is_long, columns("repeated_passage_frac")), config.max_passage_frac)


def judge_lines(columns: Columns, config: Lines) -> Iterator[Verdict]:
    """Judge the lines of documents."""
    has_lines = _is_long(columns, config.min_words) & (columns("num_lines") >= _MIN_LINES)
    yield at_most("bullets", _where(has_lines, columns("bullet_line_frac")), config.max_bullet_line_frac)
    yield at_most("ellipses", _where(has_lines, columns("ellipsis_line_frac")), config.max_ellipsis_line_frac)
    yield at_least("line_ends", _where(has_lines, columns("line_end_frac")), config.min_line_end_frac)
    repeated = _where(has_lines, columns("repeated_line_frac"))
    yield at_most("repeated_lines", repeated, config.max_repeated_line_frac)
    yield at_most("short_lines", _where(has_lines, columns("short_line_frac")), config.max_short_line_frac)


def _is_long(columns: Columns, min_words: int) -> NDArray[np.bool_]:
    factor = np.where(columns("spaced_frac") > 0.5, 1, _UNSPACED_FACTOR)
    long: NDArray[np.bool_] = columns("num_words") >= min_words * factor
    return long


def _where(rows: NDArray[np.bool_], values: FloatArray) -> FloatArray:
    return np.where(rows, values, np.nan)


def _check(config: Gibberish | Documents | Lines) -> None:
    if not isinstance(config, Gibberish) and config.min_words < 1:
        raise RecipeError(f"min_words is {config.min_words}; it must be at least 1")
    for name, value in vars(config).items():
        for each in value if isinstance(value, tuple) else (value,):
            if name.endswith(("_frac", "_fracs")) and not 0 <= each <= 1:
                raise RecipeError(f"{name} is {each}; it must be in [0, 1]")
