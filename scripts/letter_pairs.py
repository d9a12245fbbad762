"""Make the table of letter pairs from the general English texts of the `text-compression` asset."""

import json
import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from burnish.runtime.assets import fetch

_TABLE = Path(__file__).parents[1] / "src/burnish/data/kernel/letter_pairs.json"
_TYPES = ("wikipedia", "c4", "openwebtext", "oscar")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main() -> None:
    """Count pairs within words, add one to each, and write tenths of bits."""
    rows = [json.loads(line) for line in fetch("text-compression").read_text(encoding="utf-8").splitlines()]
    words = re.findall("[a-z]+", " ".join(row["text"] for row in rows if row["type"] in _TYPES).lower())
    pairs = Counter(pair for word in words for pair in pairwise(word))
    table = []
    for first in _LETTERS:
        total = sum(pairs[first, second] + 1 for second in _LETTERS)
        table.append([round(-10 * math.log2((pairs[first, second] + 1) / total)) for second in _LETTERS])
    _TABLE.write_text("[\n" + ",\n".join(json.dumps(row) for row in table) + "\n]\n", encoding="ascii")
    print(f"{len(words):,} words, {sum(pairs.values()):,} pairs -> {_TABLE}")


if __name__ == "__main__":
    main()
