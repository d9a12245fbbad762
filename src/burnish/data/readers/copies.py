"""Planted copies: duplicates made on purpose, so that deduplication can be measured against known truth."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from burnish.data.records import Record
from burnish.data.sources import PlantedCopies, by_chance
from burnish.errors import RecipeError

Edit = Callable[[str, random.Random], str]


def plant_copies(originals: Sequence[Record], source: PlantedCopies, seed: int) -> list[Record]:
    """Copy some of `originals`; label and source stay, the id is the original's with a suffix, so it sorts after it.

    Raises:
        RecipeError: there are fewer originals than copies asked for.
    """
    for name, num_copies in (("num_exact", source.num_exact), ("num_near", source.num_near)):
        if num_copies > len(originals):
            raise RecipeError(f"{name} is {num_copies}; the sources before it gave {len(originals)} records to copy")
    exact = by_chance(originals, seed, "exact_copy")[: source.num_exact]
    near = by_chance(originals, seed, "near_copy")[: source.num_near]
    return [
        *(replace(record, id=f"{record.id}+exact", planted="exact_copy") for record in exact),
        *(
            replace(
                record,
                id=f"{record.id}+near",
                text=near_copy(record.text, random.Random(f"{seed}/{record.id}")),
                planted="near_copy",
            )
            for record in near
        ),
    ]


def near_copy(text: str, rng: random.Random) -> str:
    """Edit a text in one small place; the result always differs from `text`."""
    edits: tuple[Edit, ...] = (_drop_word, _swap_letters, _change_case, _add_mark)
    edited = rng.choice(edits)(text, rng)
    return edited if edited != text else _add_mark(text, rng)


def _drop_word(text: str, rng: random.Random) -> str:
    parts = text.split(" ")
    glue = " "
    if len(parts) < 3:  # Chinese, or too short to lose a word: drop a character
        parts, glue = list(text), ""
    if len(parts) < 2:
        return text
    del parts[rng.randrange(len(parts))]
    return glue.join(parts)


def _swap_letters(text: str, rng: random.Random) -> str:
    places = [i for i in range(len(text) - 1) if text[i : i + 2].isalpha() and text[i] != text[i + 1]]
    if not places:
        return text
    i = rng.choice(places)
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def _change_case(text: str, _: random.Random) -> str:
    return text.upper() if text != text.upper() else text.lower()


def _add_mark(text: str, rng: random.Random) -> str:
    return text + rng.choice("!?.…")
