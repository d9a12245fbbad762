"""Find copies: which records repeat which, exactly or nearly; `select` decides which of them stays.

Exact copies share all words and symbols; a Bloom filter finds the few keys that occur twice, and only those are
held and compared. Near copies share shingles; MinHash-LSH finds the pairs, and each is measured exactly.
Memory: about 280 bytes a record, and never its text.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.data.duplicates.verify_copies import verified
from burnish.data.flow import carry_planted, num_records
from burnish.data.shards import read_column, write_table
from burnish.data.sketches import NUM_SLOTS, read_keys, read_signatures, sketch_paths
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

_MIN_RECALL = 0.995  # of pairs that lie exactly at the threshold; those above are found more surely


@dataclass(frozen=True)
class FindCopiesConfig:
    """Say how far to look.

    Attributes:
        min_similarity: least Jaccard similarity of a pair that is recorded, in (0, 1]; `select` may ask for more.
        false_positive_frac: of the Bloom filter. A false positive costs a look at its key, and drops nothing.
    """

    min_similarity: float = 0.7
    false_positive_frac: float = 0.001

    def __post_init__(self) -> None:
        if not 0 < self.min_similarity <= 1:
            raise RecipeError(f"min_similarity is {self.min_similarity}; it must be above 0 and at most 1")
        if not 0 < self.false_positive_frac < 1:
            raise RecipeError(f"false_positive_frac is {self.false_positive_frac}; it must be above 0 and below 1")


def find_copies(out: Workdir, cleaned: DatasetArtifact, *, config: FindCopiesConfig) -> Draft[DatasetArtifact]:
    """Write the pairs of copies; rows are counted over the shards in order.

    `pairs/exact.parquet` has row and first, the first row of the same key; `pairs/near.parquet` row, other, similarity.

    Source: Broder 1997, doi:10.1109/SEQUEN.1997.666900; Leskovec, Rajaraman & Ullman 2020, Mining of Massive
    Datasets, 3.4 (bands).
    """
    paths = sketch_paths(cleaned)
    with out.progress("exact copies", total=2 * len(paths), unit="shards") as bar:
        exact, num_suspects = exact_copies(paths, config.false_positive_frac, bar.advance)
    num_rows = sum(len(read_keys(path)) for path in paths)
    singles = np.ones(num_rows, np.bool_)
    singles[exact[:, 0]] = False
    rank = ranks(cleaned, paths)
    np.minimum.at(rank, exact[:, 1], rank[exact[:, 0]])  # the first stands for all with its key, in whatever order
    candidates = _candidates(out, paths, singles, rank, config.min_similarity)
    near, similarity = verified(out, cleaned, candidates, config.min_similarity)
    table = need("pyarrow", extra="data").table
    write_table(out / "pairs/exact.parquet", table({"row": exact[:, 0], "first": exact[:, 1]}))
    near_pairs = table({"row": near[:, 0], "other": near[:, 1], "similarity": similarity})
    write_table(out / "pairs/near.parquet", near_pairs)
    looked = json.dumps({"min_similarity": config.min_similarity})
    (out / "pairs/looked.json").write_text(looked, encoding="utf-8")
    how = f"Jaccard similarity of shingles at least {config.min_similarity}, measured exactly"
    evidence = (
        num_records("records_in", num_rows, of=num_rows, how="count"),
        num_records("exact_copy_records", len(exact), of=num_rows, how="records whose words and symbols came before"),
        Measurement("near_copy_pairs", float(len(near)), "pairs", num_rows, how=how),
        Measurement("candidate_pairs", float(len(candidates)), "pairs", num_rows, how="pairs that share a band"),
        num_records("bloom_suspects", num_suspects, of=num_rows, how="keys that the Bloom filter took for seen"),
        *carry_planted(cleaned),
    )
    return Draft(DatasetArtifact, evidence, f"{len(exact):,} exact copies and {len(near):,} near pairs found.")


def exact_copies(
    paths: Sequence[Path], false_positive_frac: float, advance: Callable[[float], None]
) -> tuple[NDArray[np.int64], int]:
    """Find rows whose key came before: (row, first row of the key), and how many keys the filter suspected.

    The filter holds the keys of all rows in about 14 bits each (at 0.001); only keys that it has seen twice are kept
    whole, and only rows with one of them are compared.
    """
    from burnish.data.duplicates.bloom import Bloom

    num_rows = sum(len(read_keys(path)) for path in paths)
    bloom = Bloom(num_rows, false_positive_frac)
    suspects = [np.zeros((0, 2), np.uint64)]
    for path in paths:
        keys = read_keys(path)
        suspects.append(np.unique(keys[bloom.add(keys)], axis=0))
        advance(1)
    twice = np.unique(np.concatenate(suspects), axis=0)
    rows, found = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]
    start = 0
    for path in paths:
        keys = read_keys(path)
        mine = np.flatnonzero(np.isin(keys[:, 0], twice[:, 0]))
        rows.append(mine + start)
        found.append(keys[mine])
        start += len(keys)
        advance(1)
    at, keys = np.concatenate(rows), np.concatenate(found)
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[group.ravel()] != np.arange(len(keys)))
    return np.stack([at[copies], at[first[group.ravel()][copies]]], axis=1), len(twice)


def ranks(cleaned: DatasetArtifact, paths: Sequence[Path]) -> NDArray[np.int64]:
    """Rank all rows, 0 is best: least damaged, then longest; what is left is settled by the key of the text."""
    measures = [cleaned.payload / "measures" / f"{path.stem}.parquet" for path in paths]
    damage = np.concatenate([read_column(path, "replacement_frac") for path in measures])
    length = np.concatenate([read_column(path, "num_chars") for path in measures])
    keys = np.concatenate([read_keys(path)[:, 0] for path in paths])
    rank = np.empty(len(keys), np.int64)
    rank[np.lexsort((keys, -length, damage))] = np.arange(len(keys))
    return rank


def num_bands(threshold: float) -> int:
    """Choose the fewest LSH bands of 120 slots that find 99.5 % of the pairs at the threshold.

    With b bands of r rows a pair of similarity s meets with probability 1 - (1 - s^r)^b.
    """
    for bands in (b for b in range(1, NUM_SLOTS + 1) if NUM_SLOTS % b == 0):
        if 1 - (1 - threshold ** (NUM_SLOTS // bands)) ** bands >= _MIN_RECALL:
            return bands
    return NUM_SLOTS


def _candidates(
    out: Workdir, paths: Sequence[Path], singles: NDArray[np.bool_], rank: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Give the pairs (P, 2) that share a band and whose signatures do not speak against the threshold."""
    from burnish.data.kernel.bands import agreement, band_keys, bucket_pairs

    starts = np.cumsum([0, *(len(read_keys(path)) for path in paths)])
    rows = np.flatnonzero(singles)
    signatures = np.empty((len(rows), NUM_SLOTS), np.uint16)  # most of the memory, so filled and never joined
    places = np.searchsorted(rows, starts)
    for index, path in enumerate(paths):
        mine = singles[starts[index] : starts[index + 1]]
        signatures[places[index] : places[index + 1]] = read_signatures(path)[mine]
    rank, bands = rank[rows], num_bands(threshold)
    slots = NUM_SLOTS // bands
    # An estimate from n slots has a standard error of sqrt(s (1 - s) / n); four of them below is no copy.
    least = threshold - 4 * math.sqrt(threshold * (1 - threshold) / NUM_SLOTS)
    found = np.zeros(0, np.uint64)
    with out.progress("near copies", total=bands, unit="bands") as bar:
        for band in range(bands):
            keys = band_keys(signatures, band * slots, slots)
            order = np.lexsort((rank, keys))
            pairs = bucket_pairs(keys, order)
            pairs = pairs[agreement(signatures, pairs) >= least].astype(np.uint64)
            found = np.union1d(found, pairs[:, 0] << np.uint64(32) | pairs[:, 1])
            bar.advance()
    left, right = (found >> np.uint64(32)).astype(np.int64), (found & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return np.stack([rows[left], rows[right]], axis=1)
