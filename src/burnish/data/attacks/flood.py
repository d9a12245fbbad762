"""Flood: the longest time that a text says the same thing over and over, whatever its language."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.jit import compiled
from burnish.data.scoring.ngrams import code_points

_MAX_PERIOD = 64  # characters of what is repeated: a sentence
_MIN_RUN_CHARS = 30  # shorter, laughter and stammering count
_MAX_CHARS = 1 << 20
_SPACES = re.compile(r"\s+")
_NO_LETTER = re.compile(r"[\W\d_]")


def most_repeats(texts: Sequence[str]) -> NDArray[np.float64]:
    """Count how often each text repeats something with a letter in it without a break; 1 where it repeats nothing.

    Rules of lines, dots that lead to a page number and tables of zeros hold no letter.
    """
    most = np.ones(len(texts))
    for row, text in enumerate(texts):
        plain = _SPACES.sub(" ", text)
        for start in range(0, len(plain), _MAX_CHARS):
            part = plain[start : start + _MAX_CHARS]
            codes, _ = code_points([part])
            # Each letter is marked, so that the compiled part need not know scripts.
            letters, _ = code_points([_NO_LETTER.sub("\0", part)])
            most[row] = max(most[row], _longest(codes, letters, _MAX_PERIOD, _MIN_RUN_CHARS))
    return most


@compiled()
def _longest(codes: Any, letters: Any, max_period: int, min_run: int) -> Any:
    """Count the repeats of the unit that is repeated most, over all lengths of units."""
    best = 1.0
    for period in range(1, min(max_period, len(codes) // 2) + 1):
        run = 0
        for position in range(period, len(codes)):
            run = run + 1 if codes[position] == codes[position - period] else 0
            repeats = run // period + 1.0
            if repeats > best and run + period >= min_run:
                has_letter = False
                for place in range(position - period + 1, position + 1):
                    has_letter = has_letter or letters[place] != 0
                best = repeats if has_letter else best
    return best
