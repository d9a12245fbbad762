"""Shingles: what near copies share, as a choice of the recipe."""

from dataclasses import dataclass

from burnish.errors import RecipeError


@dataclass(frozen=True)
class Words:
    """Cut a text into its runs of `length` words; a Chinese character is a word here. Suits documents.

    Source: five words, as in Lee et al. 2022, arXiv:2107.06499, appendix A.
    """

    length: int = 5

    def __post_init__(self) -> None:
        _check(self.length)


@dataclass(frozen=True)
class Bytes:
    """Cut a text into its runs of `length` bytes, folded: one changed word costs little. Suits headlines and sentences.

    Attributes:
        length: one Chinese character is three bytes, and says about as much as three letters; so one length
            serves all scripts. 3 finds more edits in headlines, 4 suits records of any length.
    """

    length: int = 4

    def __post_init__(self) -> None:
        _check(self.length)


Shingle = Words | Bytes


def _check(length: int) -> None:
    if length < 1:
        raise RecipeError(f"shingle.length is {length}; it must be at least 1")
