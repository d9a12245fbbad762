"""Perturbation of grammar: neighbouring words change places, words are left out; in Chinese, segmented words."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.data.augmenting.word_spans import Word, replaced, words_with_places
from burnish.errors import RecipeError


@dataclass(frozen=True)
class Perturb:
    """Disturb word order, leave words out, or both.

    Words change places with a neighbour of their clause, so that marks and clauses stay where they are. Negations
    and numbers neither move nor go; names may.

    Source: the swap and deletion of Wei and Zou 2019, arXiv:1901.11196, whose α are these shares; theirs swap any two
    words of a text.

    Attributes:
        order_frac: pairs of neighbours that change places, as a share of the words, in [0, 1]; at least one if above 0.
        omit_frac: share of the words to leave out, in [0, 1); at least one if above 0, never all of a clause.
    """

    order_frac: float = 0.1
    omit_frac: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.order_frac <= 1 or not 0 <= self.omit_frac < 1 or self.order_frac + self.omit_frac == 0:
            raise RecipeError(
                f"order_frac is {self.order_frac}, omit_frac {self.omit_frac}; the first must lie in [0, 1], the second "
                "in [0, 1), and one be above 0"
            )


def perturbed(text: str, config: Perturb, rng: random.Random) -> str:
    """Disturb a text; it comes back as it is where nothing may move or go."""
    words = words_with_places(text)
    text = _with_swaps(text, words, _wanted(config.order_frac, len(words)), rng)
    if config.omit_frac:
        words = words_with_places(text)
        text = _with_gaps(text, words, _wanted(config.omit_frac, len(words)), rng)
    return text


def _wanted(frac: float, num_words: int) -> int:
    return max(1, round(frac * num_words)) if frac else 0


def _with_swaps(text: str, words: Sequence[Word], wanted: int, rng: random.Random) -> str:
    changes: dict[Word, str] = {}
    places = list(range(len(words) - 1))
    rng.shuffle(places)
    for place in places:
        if len(changes) == 2 * wanted:
            break
        one, other = words[place], words[place + 1]
        if one.clause != other.clause or one in changes or other in changes:
            continue
        if _may_go(one, text) and _may_go(other, text) and one.text.lower() != other.text.lower():
            changes[one], changes[other] = _swapped(one.text, other.text)
    return replaced(text, changes)


def _swapped(one: str, other: str) -> tuple[str, str]:
    """Swap two words; a capital that only begins the sentence stays at its place."""
    if one[0].isupper() and one[1:].islower() and other.islower():
        return f"{other[0].upper()}{other[1:]}", f"{one[0].lower()}{one[1:]}"
    return other, one


def _with_gaps(text: str, words: Sequence[Word], wanted: int, rng: random.Random) -> str:
    left = Counter(word.clause for word in words)
    places = list(range(len(words)))
    rng.shuffle(places)
    gone: set[int] = set()
    for place in places:
        if len(gone) == wanted:
            break
        word = words[place]
        if _may_go(word, text) and left[word.clause] > 1:
            left[word.clause] -= 1
            gone.add(place)
    parts: list[str] = []
    last = 0
    for start, end in _runs(text, [words[place] for place in sorted(gone)]):
        parts.append(text[last:start])
        last = end
    return "".join((*parts, text[last:]))


def _runs(text: str, gone: Sequence[Word]) -> list[tuple[int, int]]:
    """Join words that stand side by side, and take one of the two spaces around each run."""
    runs: list[tuple[int, int]] = []
    for word in gone:
        if runs and not text[runs[-1][1] : word.start].strip(" "):
            runs[-1] = (runs[-1][0], word.end)
        else:
            runs.append((word.start, word.end))
    return [
        (start, end + 1) if text[end : end + 1] == " " else (start - (text[:start][-1:] == " "), end)
        for start, end in runs
    ]


def _may_go(word: Word, text: str) -> bool:
    """Tell a word that is neither a negation, nor a number, nor beside one (`7月`: the month stays with its number)."""
    around = f"{text[: word.start][-1:]}{word.text}{text[word.end : word.end + 1]}"
    return not word.is_negation and not any(character.isdigit() for character in around)
