"""Word spans: a text's words with their places, in English and Chinese alike, so that words can change where they stand.

Chinese runs are cut into real words with their parts of speech; a text that mixes scripts has words of both. What
stands between the words (spaces, marks, line ends) is kept as it is by whoever puts words back.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from burnish.data.function_words import is_function_word
from burnish.data.text import IDEOGRAPH, KANA, normal_form
from burnish.runtime import need

_RUN = re.compile(rf"(?P<chinese>[{IDEOGRAPH}]+)|[^\W_{IDEOGRAPH}]+(?:['\u2019\-][^\W_{IDEOGRAPH}]+)*")
_KANA = re.compile(f"[{KANA}]")

# Closed classes. A Chinese word that starts with a negating character, or has a plain "not" within (买不到), negates,
# unless it is among those whose character lost that meaning long ago.
_CHINESE_NEGATION = "不没沒无無非未别別勿莫毋"
_CHINESE_NOT = "不没沒"
_NO_NEGATION = frozenset(
    word
    for line in (
        "不错 不錯 不过 不過 不仅 不僅 不但 不同 不断 不斷 不管 不论 不論 不久 不止 不少 不禁 不妨 不愧 不得不 不由得 不只 不光",
        "不单 差不多 对不起 對不起 了不起 好不容易 要不 要不然 非凡 非得 非要 无论 無論 无非 無非 别人 別人 别的 別的 别处 別處",
        "别名 別名 别致 別緻 莫非 没准 沒準",
    )
    for word in line.split()
)
_NO_NEGATION_STARTS = ("无线", "無線", "无锡", "無錫", "未来", "未來", "非洲", "非常", "别墅", "別墅", "莫名")
_ENGLISH_NEGATION = frozenset(
    word.replace("'", "")
    for line in (
        "no not never none nobody nothing nowhere neither nor without cannot hardly scarcely barely seldom rarely",
        "don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't couldn't wouldn't shouldn't mustn't",
        "won't can't",
    )
    for word in line.split()
)


@dataclass(frozen=True, slots=True)
class Word:
    """Hold one word of a text.

    Attributes:
        start, end: its place: `text[start:end]`.
        tag: part of speech in the notation of the Peking University corpus (n, v, a, nr …); empty in other scripts.
        clause: number of the clause it stands in; between two words of one clause there is nothing, or a space.
    """

    text: str
    start: int
    end: int
    tag: str
    clause: int

    @property
    def is_chinese(self) -> bool:
        """Tell whether the word is in Chinese characters."""
        return bool(self.tag)

    @property
    def is_negation(self) -> bool:
        """Tell whether the word negates."""
        if not self.is_chinese:
            lower = self.text.lower().replace("\u2019", "'")
            return lower.endswith("n't") or lower.replace("'", "") in _ENGLISH_NEGATION
        starts = self.text[0] in _CHINESE_NEGATION or any(mark in self.text for mark in _CHINESE_NOT)
        return starts and self.text not in _NO_NEGATION and not self.text.startswith(_NO_NEGATION_STARTS)

    @property
    def is_open(self) -> bool:
        """Tell a word that may be changed or left out: neither a function word, nor a negation, nor a number."""
        if self.is_negation or not self.text.replace("-", "").replace("'", "").isalpha():
            return False
        return self.is_chinese or not is_function_word(normal_form(self.text))


def words_with_places(text: str) -> list[Word]:
    """Cut a text into its words, in order; a Japanese text, which this cannot cut, has none."""
    if _KANA.search(text):
        return []
    found: list[Word] = []
    clause, last = 0, 0
    for run in _RUN.finditer(text):
        gap = text[last : run.start()]
        clause += bool(gap.strip(" ")) and bool(found)
        start = run.start()
        parts = _segmenter().tag(run[0]) if run["chinese"] else [(run[0], "")]
        for part, tag in parts:
            found.append(Word(part, start, start + len(part), tag, clause))
            start += len(part)
        last = run.end()
    return found


def is_chinese(text: str) -> bool:
    """Tell whether most of a text's letters are Chinese characters."""
    num_chinese = sum(len(run) for run in re.findall(f"[{IDEOGRAPH}]+", text))
    return num_chinese > 0 and not _KANA.search(text) and 2 * num_chinese >= sum(map(str.isalpha, text))


def num_negations(text: str) -> int:
    """Count the words of a text that negate."""
    return sum(word.is_negation for word in words_with_places(text))


def replaced(text: str, changes: dict[Word, str]) -> str:
    """Put other words in the places of some."""
    parts: list[str] = []
    last = 0
    for word in sorted(changes, key=lambda w: w.start):
        parts += (text[last : word.start], changes[word])
        last = word.end
    return "".join((*parts, text[last:]))


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    return need("rjieba", extra="data")
