"""A document: one text with the forms that quality rules read, each made once."""

from dataclasses import dataclass
from functools import cached_property

from burnish.data.text import normal_form, words_of_normal


@dataclass(frozen=True)
class Document:
    """Hold a text."""

    text: str

    @cached_property
    def normal(self) -> str:
        """Give the normal form."""
        return normal_form(self.text)

    @cached_property
    def words(self) -> list[str]:
        """List the words, in normal form."""
        return words_of_normal(self.normal)

    @cached_property
    def lines(self) -> list[str]:
        """List the lines that are not blank."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]
