"""Back-translation: a text goes into another language and comes back in other words.

Source: Sennrich et al. 2016, arXiv:1511.06709 (monolingual text through a translation model); Yu et al. 2018,
arXiv:1804.09541 (there and back, to paraphrase).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.data.augmenting.openai_translator import OpenaiEndpoint
from burnish.data.augmenting.translators import FastTranslate, LocalModels, Translator
from burnish.data.augmenting.word_spans import is_chinese
from burnish.errors import RecipeError

_CHINESE = "zh"


@dataclass(frozen=True)
class BackTranslation:
    """Translate there and back again; one copy a pivot language.

    Attributes:
        translator: who translates.
        pivots: languages to go through, such as en for Chinese, zh for English; a text takes those that are not its
            own and that the translator speaks both ways.
        other_language: of texts that are not in Chinese characters.
    """

    translator: OpenaiEndpoint | LocalModels | FastTranslate
    pivots: tuple[str, ...] = ("en", "zh")
    other_language: str = "en"

    def __post_init__(self) -> None:
        if not any(self.pivots_of(language) for language in (_CHINESE, self.other_language)):
            raise RecipeError(
                f"pivots is {list(self.pivots)}; the translator speaks none of them both ways with zh or "
                f"{self.other_language}"
            )

    def pivots_of(self, language: str) -> list[str]:
        """List the pivots that texts of a language take."""
        speaks = self.translator.speaks
        return [p for p in self.pivots if p != language and speaks(language, p) and speaks(p, language)]


def back_translations(texts: Sequence[str], config: BackTranslation, num_copies: int) -> list[list[str | None]]:
    """Give each text's copies, one a pivot and at most `num_copies`; None where a translation is missing.

    A text whose language no pivot serves has one copy that is None.
    """
    found: list[list[str | None]] = [[] for _ in texts]
    languages = [_CHINESE if is_chinese(text) else config.other_language for text in texts]
    for language in sorted(set(languages)):
        rows = [row for row, other in enumerate(languages) if other == language]
        pivots = config.pivots_of(language)[:num_copies]
        if not pivots:
            for row in rows:
                found[row].append(None)
        for pivot in pivots:
            copies = there_and_back([texts[row] for row in rows], config.translator, language, pivot)
            for row, copy in zip(rows, copies, strict=True):
                found[row].append(copy)
    return found


def there_and_back(texts: Sequence[str], translator: Translator, language: str, pivot: str) -> list[str | None]:
    """Translate texts into the pivot and back; None where either way failed."""
    there = translator.translate(texts, language, pivot)
    rows = [row for row, text in enumerate(there) if text]
    back = translator.translate([there[row] or "" for row in rows], pivot, language) if rows else []
    found: list[str | None] = [None] * len(texts)
    for row, copy in zip(rows, back, strict=True):
        found[row] = copy
    return found
