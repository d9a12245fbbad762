"""Knowledge text: how facts stand in a text or before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from burnish.data.graphs.relevance import Chosen
from burnish.errors import RecipeError


@dataclass(frozen=True)
class InText:
    """Tell facts in the training text itself, as running text.

    Attributes:
        place: before the text, after it, or inline: in brackets behind the first mention of what they are about.
    """

    place: Literal["before", "after", "inline"] = "after"


@dataclass(frozen=True)
class InPrompt:
    """Tell facts as a block before the text, a line each, as a server would put them before a question.

    Attributes:
        header: above the block, of an English text.
        header_zh: of a Chinese one.
    """

    header: str = "Facts:"
    header_zh: str = "已知事实："

    def __post_init__(self) -> None:
        if not self.header.strip() or not self.header_zh.strip():
            raise RecipeError("header and header_zh must not be blank; they part the facts from the text")

    def block(self, sentences: Sequence[str], language: str) -> str:
        """Give the block with the blank line that ends it; nothing where there are no facts."""
        header = self.header_zh if language == "zh" else self.header
        return (
            "".join(f"{line}\n" for line in (header, *(f"- {sentence}" for sentence in sentences), ""))
            if sentences
            else ""
        )


@dataclass(frozen=True)
class OwnRecords:
    """Leave the texts as they are, and add each fact that any of them calls for as one record of its own."""


Mode = InText | InPrompt | OwnRecords


def tell(text: str, facts: Sequence[Chosen], mode: Mode, language: str) -> str:
    """Give the text with its facts, at least one."""
    sentences = [fact.sentence for fact in facts]
    match mode:
        case InText(place="before"):
            return f"{_joined(sentences, language)}\n{text}"
        case InText(place="after"):
            return f"{text}\n{_joined(sentences, language)}"
        case InText():
            return _inline(text, facts, language)
        case InPrompt():
            return mode.block(sentences, language) + text
        case OwnRecords():
            return text
        case _:
            assert_never(mode)


def _joined(sentences: Sequence[str], language: str) -> str:
    return ("" if language == "zh" else " ").join(sentences)


def _inline(text: str, facts: Sequence[Chosen], language: str) -> str:
    """Put the facts behind the names that they are about, the last name first, so that places stay true."""
    by_end: dict[int, list[str]] = {}
    for fact in facts:
        by_end.setdefault(fact.link.end, []).append(fact.sentence.rstrip(".。"))
    for end in sorted(by_end, reverse=True):
        told = f"（{'；'.join(by_end[end])}）" if language == "zh" else f" ({'; '.join(by_end[end])})"
        text = text[:end] + told + text[end:]
    return text
