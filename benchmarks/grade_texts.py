"""Grade kept texts: are personal data gone, and are broken encodings and markup residue undone."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# A text counts as restored when nine tenths of its wrong characters are right again.
MAX_STILL_WRONG_FRAC = 0.1
# what a cleaner may rightly write in ASCII, and often does
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "‑": "-"})


def masked(truth: Iterable[Mapping[str, Any]], kept: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Give kind and whether it is gone, for each planted personal datum in a kept document."""
    for row in truth:
        if row["id"] in kept:
            for kind, value in row.get("pii", {}).items():
                yield kind, value not in kept[row["id"]]


def restored(
    originals: Iterable[Mapping[str, str]], kept: Mapping[str, str], corpus: Mapping[str, str]
) -> Iterator[tuple[str, bool]]:
    """Give how it was spoiled and whether that is undone, for each kept document that was spoiled.

    A document that the fault did not change (plain ASCII read as another encoding) is passed over.
    """
    for row in originals:
        name = row["id"]
        if name in kept and (before := num_wrong(corpus[name], row["text"])):
            yield row["how"], num_wrong(kept[name], row["text"]) <= MAX_STILL_WRONG_FRAC * before


def num_wrong(text: str, original: str) -> int:
    """Count the characters that are too many or too few in `text`, order aside.

    ASCII letters, digits and white space do not count: faults do not touch them, and what else a cleaner takes out
    (a header, a masked number) would. Width, typographic quotes and dashes do not count as differences.
    """
    is_now, was = _signs(text), _signs(original)
    return (is_now - was).total() + (was - is_now).total()


def _signs(text: str) -> Counter[str]:
    plain = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    return Counter(char for char in plain if not (char.isspace() or (char.isascii() and char.isalnum())))
