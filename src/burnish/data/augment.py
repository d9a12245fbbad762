"""Augment: add copies of records in other words, each checked against its source, its label kept."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement, counted
from burnish.data.augmenting.copy_methods import Method, Words
from burnish.data.augmenting.copy_shard import FOLDERS, HELD_OUT, STEP, CopyShard
from burnish.data.augmenting.label_guard import LabelGuard, LabelSample, train_guard
from burnish.data.augmenting.near_copy_check import RULES, Bounds
from burnish.data.augmenting.synonyms import Synonyms, open_sources
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import num_records
from burnish.data.shards import kept_schema, of_split, read_tables, shard_paths
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need
from burnish.runtime.recipes import choice_name

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal


@dataclass(frozen=True)
class AugmentConfig:
    """Say how to make copies and what they may be.

    Attributes:
        methods: each makes copies of its own.
        copies_per_record: of each method; back-translation makes one a pivot language, at most so many.
        labels: copy only records with these labels, the rare ones; None copies all.
        bounds: what a copy may be.
        seed: another seed is other copies; a record's copies follow from it and the record's id alone.
        engine: where shards are worked on.
    """

    methods: tuple[Method, ...] = (Synonyms(),)
    copies_per_record: int = 1
    labels: tuple[str, ...] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        if not self.methods or self.copies_per_record < 1:
            raise RecipeError(
                f"methods has {len(self.methods)} entries, copies_per_record is {self.copies_per_record}; both must be "
                "at least 1"
            )
        if self.labels is not None and not self.labels:
            raise RecipeError("labels is empty; name the labels to copy, or leave it out for all")


def augment(out: Workdir, records: DatasetArtifact, *, config: AugmentConfig) -> Draft[DatasetArtifact]:
    """Write every record, each followed by its copies that pass the check; held-out splits stay as they are.

    A copy has its source's label and `source`, the id of its source with a suffix (`…+syn1`), and in `meta` how it was
    made. Refused copies are kept aside with the rule that they broke.

    Raises:
        RecipeError: the dataset is augmented already, has none of the labels asked for, or no copy passed.
    """
    shards = shard_paths(records)
    _warn_if_unsplit(out, shards)
    sample = _look_through(shards, config)
    if any(isinstance(method, Synonyms) for method in config.methods):
        open_sources(out.warn)  # fetched here once, not by every worker
    guard = _guard(out, sample, config.bounds)
    work = CopyShard(
        config.methods,
        config.copies_per_record,
        config.labels,
        config.bounds,
        Words(frozenset(map(normal_form, sample.counts)), config.seed),
        guard,
    )
    counts = Counter[str]()
    sums = [0.0, 0.0]
    for shard, folder in run_shards(out, shards, work, step=STEP, engine=config.engine):
        found = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        counts.update(found["counts"])
        sums = [total + part for total, part in zip(sums, found["similarity"], strict=True)]
        for name in FOLDERS:
            (folder / f"{name}.parquet").rename(out / f"{name}/{shard.name}")
    _refuse_none_added(counts)
    evidence = (*_evidence(counts, sums, config), *(() if guard is None else (guard.accuracy,)))
    names = ", ".join(choice_name(type(method)) for method in config.methods)
    summary = (
        f"{counts['added']:,} copies added to {counts['in']:,} records by {names}; {_num_refused(counts):,} refused."
    )
    return Draft(DatasetArtifact, evidence, summary)


def _guard(out: Workdir, sample: LabelSample, bounds: Bounds) -> LabelGuard | None:
    guard = train_guard(sample) if bounds.guard_records else "guard_records is 0"
    if isinstance(guard, LabelGuard):
        return guard
    out.warn(f"no classifier guards the labels of copies, only their negations are: {guard}")
    return None


def _look_through(shards: list[Path], config: AugmentConfig) -> LabelSample:
    """Count labels and sample labelled records of what will be copied, before any copy is made."""
    arrow = need("pyarrow", extra="data")
    schema = arrow.schema([kept_schema().field(name) for name in ("id", "text", "label", "meta")])
    sample = LabelSample(config.bounds.guard_records, config.seed)
    for shard in shards:
        if of_split(shard.name, HELD_OUT):
            continue
        for table in read_tables(shard, schema=schema):
            for row in table.to_pylist():
                if '"augmented":' in (row["meta"] or ""):
                    raise RecipeError(
                        f"record {row['id']} is a made copy already; give the dataset from before that was augmented"
                    )
                if row["label"] is not None:
                    sample.add(row["id"], row["text"], row["label"])
    unknown = [label for label in config.labels or () if label not in sample.counts]
    if unknown:
        there = ", ".join(f"{label} ({count})" for label, count in sample.counts.most_common()) or "none"
        raise RecipeError(f"no record has the label {unknown[0]!r}; labels here: {there}")
    return sample


def _warn_if_unsplit(out: Workdir, shards: list[Path]) -> None:
    if not any(of_split(shard.name, ("train",)) for shard in shards):
        out.warn(
            "the dataset is not split yet: a later split may put a record in one part and its copy in another. "
            "Split first; held-out parts are then left as they are"
        )


def _num_refused(counts: Counter[str]) -> int:
    return sum(counts[f"refused_{rule}"] for rule in RULES)


def _refuse_none_added(counts: Counter[str]) -> None:
    if not counts["added"]:
        refused = {rule: counts[f"refused_{rule}"] for rule in RULES}
        most = max(refused, key=lambda rule: refused[rule])
        raise RecipeError(
            f"no copy was added: of {_num_refused(counts)} that were made {refused[most]} broke {most}; change more words, "
            "loosen bounds, or give another method"
        )


def _evidence(counts: Counter[str], sums: list[float], config: AugmentConfig) -> Iterator[Measurement]:
    made = counts["added"] + _num_refused(counts)
    yield num_records("records_in", counts["in"], of=counts["in"], how="count, held-out splits included")
    yield num_records("source_records", counts["sources"], of=counts["in"], how="records that copies were made of")
    yield num_records("augmented_records", counts["added"], of=made, how="copies that passed, of all that were made")
    for name in dict.fromkeys(choice_name(type(method)) for method in config.methods):
        yield num_records(f"augmented_{name}_records", counts[f"by_{name}"], of=made, how="copies of this method")
    for rule in RULES:
        how = "copies made, first rule broken, in order"
        yield num_records(f"refused_{rule}_records", counts[f"refused_{rule}"], of=made, how=how)
    yield counted("augmented_frac", counts["added"], of=made, how="copies that passed, of all that were made")
    mean = sums[0] / counts["added"]
    spread = math.sqrt(max(0.0, sums[1] / counts["added"] - mean * mean) / counts["added"])
    yield Measurement(
        "mean_similarity",
        mean,
        "1",
        counts["added"],
        mean - _Z_95 * spread,
        mean + _Z_95 * spread,
        "Jaccard of 4-byte shingles of copy and source, over copies that passed; normal 95 %",
    )
