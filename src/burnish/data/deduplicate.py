"""Deduplicate: exact copies by normal form, near copies by MinHash-LSH, every candidate verified."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, counted
from burnish.data.flow import carry_planted, measure_flow, num_planted
from burnish.data.records import Record, Rejected, Rejection, read_kept, write_kept, write_rejected
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

RULES = ("exact_copy", "near_copy")

_NUM_PERMUTATIONS = 120  # many divisors, so that bands fit any threshold
_MIN_RECALL = 0.99  # of pairs that lie exactly at the threshold; those above are found more surely
_SIGNATURE_SEED = 0
_BATCH_RECORDS = 4096


@dataclass(frozen=True)
class DeduplicateConfig:
    """Say what a near copy is.

    Attributes:
        threshold: least Jaccard similarity of two near copies, in (0, 1].
        shingle_bytes: length of a shingle, in bytes of the text's normal form as UTF-8: one Chinese character
            is three bytes and says about as much as three letters, so one length serves both scripts. 4 suits
            records of any length; 3 finds more edits in headlines; 5 and more is faster on long documents.
    """

    threshold: float = 0.8
    shingle_bytes: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise RecipeError(f"threshold is {self.threshold}; it must be above 0 and at most 1")
        if self.shingle_bytes < 1:
            raise RecipeError(f"shingle_bytes is {self.shingle_bytes}; it must be at least 1")


def deduplicate(out: Workdir, records: DatasetArtifact, *, config: DeduplicateConfig) -> Draft[DatasetArtifact]:
    """Set aside every copy of a record with a smaller id; each names the kept record that it repeats.

    The kept set follows from the set of records, not from their order.
    """
    before = read_kept(records)
    with out.progress("compare", total=len(before), unit="records") as bar:
        rejections = find_copies(before, config, advance=bar.advance)
    kept = [record for record in before if record.id not in rejections]
    rejected: list[Rejected] = [(record, rejections[record.id]) for record in before if record.id in rejections]
    write_kept(out, kept)
    write_rejected(out, rejected)
    evidence = [*measure_flow(before, kept, rejected, RULES), *carry_planted(records)]
    num_came = num_planted(before, "exact_copy", "near_copy")
    if num_came:
        num_caught = num_came - num_planted(kept, "exact_copy", "near_copy")
        how = "planted exact and near copies that came to this stage and were set aside"
        evidence.append(counted("planted_copy_caught_frac", num_caught, of=num_came, how=how))
    summary = f"{len(kept):,} of {len(before):,} records kept; near copies have similarity {config.threshold} or more."
    return Draft(DatasetArtifact, tuple(evidence), summary)


def find_copies(
    records: Sequence[Record], config: DeduplicateConfig, *, advance: Callable[[float], None] = lambda _: None
) -> dict[str, Rejection]:
    """Find the records to set aside, by id.

    Records are taken in the order of their ids and kept unless they copy one that is kept: so every copy's
    partner is itself kept and at least as similar as the threshold, and no two kept records are. Clusters
    joined by a chain of likenesses, as union-find would give, are not dropped whole.

    Args:
        advance: told of each number of records done.
    """
    normals = sorted((record.id, normal_form(record.text) or record.text) for record in records)
    rejections: dict[str, Rejection] = {}
    first: dict[str, str] = {}
    for identity, normal in normals:
        if normal in first:
            rejections[identity] = Rejection("exact_copy", 1.0, 1.0, first[normal], 1.0)
        else:
            first[normal] = identity
    advance(len(rejections))
    originals = [(identity, normal.encode()) for normal, identity in first.items()]
    return rejections | _near_copies(originals, config, advance)


def shingles(normal: bytes, num_bytes: int) -> set[bytes]:
    """Cut a text into all its runs of `num_bytes` bytes; a shorter text is its own only shingle."""
    return {normal[start : start + num_bytes] for start in range(max(1, len(normal) - num_bytes + 1))}


def jaccard(left: set[bytes], right: set[bytes]) -> float:
    """Measure what two sets share, of what they have together: in [0, 1]."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


def num_bands(threshold: float) -> int:
    """Choose the fewest LSH bands that find 99 % of the pairs at the threshold.

    Source: Leskovec, Rajaraman & Ullman 2020, Mining of Massive Datasets, 3.4.2: with b bands of r rows a
    pair of similarity s meets with probability 1 - (1 - s^r)^b.
    """
    for bands in (b for b in range(1, _NUM_PERMUTATIONS + 1) if _NUM_PERMUTATIONS % b == 0):
        rows = _NUM_PERMUTATIONS // bands
        if 1 - (1 - threshold**rows) ** bands >= _MIN_RECALL:
            return bands
    return _NUM_PERMUTATIONS


def _near_copies(
    originals: Sequence[tuple[str, bytes]], config: DeduplicateConfig, advance: Callable[[float], None]
) -> dict[str, Rejection]:
    """Compare each text, in the order of ids, with those kept before it.

    Source: Broder 1997, doi:10.1109/SEQUEN.1997.666900 (MinHash); rensa's R-MinHash makes the signatures.
    """
    rensa = need("rensa", extra="data")
    index = rensa.RMinHashLSH(
        threshold=config.threshold, num_perm=_NUM_PERMUTATIONS, num_bands=num_bands(config.threshold)
    )
    # An estimate from n slots has a standard error of sqrt(s (1 - s) / n); four of them below is no copy.
    slack = 4 * math.sqrt(config.threshold * (1 - config.threshold) / _NUM_PERMUTATIONS)
    kept: dict[int, Any] = {}
    rejections: dict[str, Rejection] = {}
    for start in range(0, len(originals), _BATCH_RECORDS):
        batch = originals[start : start + _BATCH_RECORDS]
        sets = [shingles(normal, config.shingle_bytes) for _, normal in batch]
        signatures = rensa.RMinHash.from_token_sets(sets, num_perm=_NUM_PERMUTATIONS, seed=_SIGNATURE_SEED)
        for position, (own, signature) in enumerate(zip(sets, signatures, strict=True), start):
            close = (
                other for other in index.query(signature) if signature.jaccard(kept[other]) >= config.threshold - slack
            )
            verified = [(jaccard(own, shingles(originals[other][1], config.shingle_bytes)), other) for other in close]
            similarity, partner = max(verified, key=lambda pair: (pair[0], -pair[1]), default=(0.0, position))
            if similarity >= config.threshold:
                partner_id = originals[partner][0]
                reason = Rejection("near_copy", similarity, config.threshold, partner_id, similarity)
                rejections[originals[position][0]] = reason
            else:
                kept[position] = signature
                index.insert(position, signature)
        advance(len(batch))
    return rejections
