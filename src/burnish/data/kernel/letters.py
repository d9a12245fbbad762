"""Letters: how surprising it is, in English, that one Latin letter follows another.

Random letters are as surprising as any; words of European languages, names and code are far less so.
`letter_pairs.json` holds -log2 P(second | first) in tenths of a bit, made by `scripts/letter_pairs.py`.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=1)
def surprises() -> NDArray[np.float32]:
    """Read the table, (26, 26), in bits."""
    tenths = json.loads(Path(__file__).with_name("letter_pairs.json").read_text(encoding="ascii"))
    return np.array(tenths, np.float32) / np.float32(10)
