"""WordNet: synonyms of a lemma, found in the database's own files by binary search, so that nothing is loaded.

Source: Fellbaum 1998; the file formats are those of WordNet's manual page wndb(5).
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from burnish.errors import ArtifactError

Pos = Literal["noun", "verb", "adj", "adv"]
_MIN_LETTERS = 3  # shorter ones are abbreviations: yr, tv
PARTS: tuple[Pos, ...] = ("noun", "verb", "adj", "adv")


@dataclass(frozen=True)
class Entry:
    """Hold a lemma's senses in one part of speech.

    Attributes:
        synsets: byte offsets in the data file, the commonest sense first.
        num_tagged: how many of them the tagged corpus had; 0 is a word, or a use of it, that nobody wrote there.
    """

    synsets: tuple[int, ...]
    num_tagged: int


class WordNet:
    """Look words up in a folder with index.noun, data.noun and so on."""

    def __init__(self, folder: Path) -> None:
        self._index = {pos: _map(folder / f"index.{pos}") for pos in PARTS}
        self._data = {pos: _map(folder / f"data.{pos}") for pos in PARTS}

    def entry(self, lemma: str, pos: Pos) -> Entry | None:
        """Look a lemma in lower case up; its words are joined by spaces."""
        line = _find(self._index[pos], lemma.replace(" ", "_").encode())
        if line is None:
            return None
        fields = line.split()  # lemma pos synset_cnt p_cnt [symbol …] sense_cnt tagsense_cnt offset …
        after = 4 + int(fields[3])
        return Entry(tuple(map(int, fields[after + 2 :])), int(fields[after + 1]))

    def members(self, synset: int, pos: Pos) -> list[str]:
        """List the words of a synset as they are written, the case of names kept, with their marks such as `(p)`."""
        data = self._data[pos]
        fields = data[synset : data.find(b"\n", synset)].decode("latin-1").split(" ")
        if fields[0] != f"{synset:08}":
            raise ArtifactError(f"data.{pos} has no synset at byte {synset}; its line ends were changed, fetch it anew")
        num_words = int(fields[3], 16)  # offset lex_filenum ss_type w_cnt word lex_id …
        return [word.replace("_", " ") for word in fields[4 : 4 + 2 * num_words : 2]]

    def is_name(self, lemma: str) -> bool:
        """Tell whether a lemma is also a name (`bush`, `china`): written with a capital in one of its senses."""
        entry = self.entry(lemma, "noun")
        spellings = (word for synset in entry.synsets for word in self.members(synset, "noun")) if entry else ()
        return any(word.lower() == lemma and word != lemma for word in spellings)

    def synonyms(self, lemma: str, pos: Pos, *, max_senses: int) -> Iterator[str]:
        """Give the words that share a lemma's commonest sense.

        Only words whose own commonest sense it is too, and that the tagged corpus had: others are rare or would be
        read in another sense. Phrases stand for nouns and verbs alone, and not where they hold the lemma itself. A
        lemma of more than `max_senses` senses has none.
        """
        entry = self.entry(lemma, pos)
        if entry is None or len(entry.synsets) > max_senses:
            return
        for word in self.members(entry.synsets[0], pos):
            plain = word.replace("-", "").replace(" ", "")
            if lemma in word.split(" ") or not plain.isalpha() or plain.lower() != plain:
                continue
            if len(word) < _MIN_LETTERS or (" " in word and pos not in ("noun", "verb")):
                continue
            other = self.entry(word, pos)
            if other is not None and other.num_tagged and other.synsets[0] == entry.synsets[0]:
                yield word


@lru_cache(maxsize=1)
def open_wordnet(folder: Path) -> WordNet:
    """Open the database, once a process."""
    return WordNet(folder)


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); it must be a file of WordNet's dict folder") from error


def _find(lines: mmap.mmap, word: bytes) -> bytes | None:
    """Find the line that starts with a word, among lines sorted by bytes; the licence's lines start with spaces."""
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        start = lines.rfind(b"\n", 0, middle) + 1
        end = lines.find(b"\n", start)
        end = len(lines) if end < 0 else end
        first = lines[start:end].split(b" ", 1)[0]
        if first == word:
            return lines[start:end]
        low, high = (end + 1, high) if first < word else (low, start)
    return None
