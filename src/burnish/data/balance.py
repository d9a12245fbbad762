"""Balance: bring the classes of a training set nearer to one size, so that a rare one is learnt too.

Ways to do it: set aside records of common classes, repeat those of rare ones, make new ones between them in a space of
features (SMOTE), or write rare texts in other words: that is `augment` with `labels` set to the rare classes, run
before this stage, which then counts the copies like other records. Held-out splits stay as they are.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import numpy as np

from burnish.artifacts import HOW, DatasetArtifact, Draft
from burnish.data.engine import Engine, Local
from burnish.data.flow import num_records
from burnish.data.shards import shard_paths
from burnish.data.weighing.features import Features, MetaColumns, TextVectors, read_features
from burnish.data.weighing.groups import ByLabel, Places, is_held_out, place_records
from burnish.data.weighing.quotas import ByName, ByQuota, Plan, Quota
from burnish.data.weighing.regroup import Flow, carry_out, imbalance, measure_groups, write_groups
from burnish.data.weighing.resample import near_miss, representatives, smote
from burnish.data.weighing.synthetic import write_features, write_synthetic
from burnish.errors import RecipeError
from burnish.runtime import Workdir
from burnish.runtime.recipes import choice_name


@dataclass(frozen=True)
class ByChance:
    """Draw by id: any number of records, none held in memory."""


@dataclass(frozen=True)
class NearMiss:
    """Keep those nearest to the rare class; try `by_chance` first. Source: Zhang and Mani 2003.

    On HIVA (3.5 % active) it took 0.15 off the area under the curve, where chance took 0.01.

    Attributes:
        version: 1: nearest to a few rare ones, 2: to all, 3: some for each rare one (it may keep fewer than asked).
    """

    features: Features = field(default_factory=TextVectors)
    version: int = 1

    def __post_init__(self) -> None:
        if self.version not in (1, 2, 3):
            raise RecipeError(f"version is {self.version}; it must be 1, 2 or 3")


@dataclass(frozen=True)
class Representatives:
    """Keep those nearest to the centres of as many clusters. Source: Yen and Lee 2009."""

    features: Features = field(default_factory=TextVectors)


Keep = ByChance | NearMiss | Representatives


@dataclass(frozen=True)
class Undersample:
    """Set aside records of every class that is more than `max_ratio` times the smallest.

    Attributes:
        keep: which stay.
    """

    max_ratio: float = 3.0
    keep: Keep = field(default_factory=ByChance)

    def __post_init__(self) -> None:
        _check_ratio(self.max_ratio)


@dataclass(frozen=True)
class Oversample:
    """Repeat records of every class that the largest is more than `max_ratio` times of.

    Attributes:
        max_repeats: of one record; a class may stay smaller for it. Up to 4 repeats are nearly as good as new data,
            source: Muennighoff et al. 2023, arXiv:2305.16264, section 5.
    """

    max_ratio: float = 3.0
    max_repeats: int = 4

    def __post_init__(self) -> None:
        _check_ratio(self.max_ratio)
        if self.max_repeats < 2:
            raise RecipeError(f"max_repeats is {self.max_repeats}; it must be at least 2 (1 = nothing is repeated)")


@dataclass(frozen=True)
class Smote:
    """Make records of every class that the largest is more than `max_ratio` times of, between those there are.

    They have features and no text, so they train classifiers on features, not language models. Source: Chawla et al.
    2002, arXiv:1106.1813; 5 neighbours are the paper's.
    """

    features: Features = field(default_factory=MetaColumns)
    max_ratio: float = 1.0
    num_neighbours: int = 5

    def __post_init__(self) -> None:
        _check_ratio(self.max_ratio)
        if self.num_neighbours < 1:
            raise RecipeError(f"num_neighbours is {self.num_neighbours}; it must be at least 1")


Sizes = dict[str | None, int]
Method = Undersample | Oversample | Smote


@dataclass(frozen=True)
class BalanceConfig:
    """Say how.

    Attributes:
        max_values: numbers that a method in a space of features may hold, 4 bytes each.
        seed: draws who stays, who is repeated, what is made.
        engine: where shards are worked on; methods in a space of features work in one process.
    """

    method: Method = field(default_factory=Undersample)
    max_values: int = 100_000_000
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)


def balance(out: Workdir, records: DatasetArtifact, *, config: BalanceConfig) -> Draft[DatasetArtifact]:
    """Write the training records with their classes balanced; records without a label stay.

    Raises:
        RecipeError: there are not two classes, or the method cannot work on these records.
    """
    places = place_records(out, records, ByLabel(), seed=config.seed, step="balance-count", engine=config.engine)
    classes: Sizes = {name: size for name, size in places.sizes.items() if name is not None}
    if len(classes) < 2:
        raise RecipeError(
            f"the records have {len(classes)} classes ({', '.join(map(str, classes))}); balancing needs at least 2"
        )
    targets = targets_of(classes, config.method)
    match config.method:
        case Undersample(keep=keep):
            plan = _choose(records, places, keep, targets, config)
            flow = _carry_out(out, records, plan, classes, config)
        case Oversample():
            flow = _carry_out(out, records, _by_quota(places, targets), classes, config)
        case Smote(features=features, num_neighbours=num_neighbours):
            write_features(out, records, features, engine=config.engine)
            table = read_features(_training(records), features, max_values=config.max_values)
            made = smote(table, _of_labels(targets), num_neighbours=num_neighbours, seed=config.seed)
            write_synthetic(out, table, made, is_split=any(map(is_held_out, shard_paths(records))))
            flow = Flow(classes, {name: size + made.labels.count(str(name)) for name, size in classes.items()}, 1)
        case _:
            assert_never(config.method)
    write_groups(out, flow)
    summary = (
        f"{len(classes)} classes by {choice_name(type(config.method))}: largest to smallest "
        f"{imbalance(flow.before):.1f} before, {imbalance(flow.after):.1f} after."
    )
    unlabelled = num_records(
        "unlabelled_records", places.sizes.get(None, 0), of=sum(places.sizes.values()), how="they stay"
    )
    return Draft(DatasetArtifact, (*measure_groups(flow), unlabelled), summary)


def targets_of(sizes: Sizes, method: Method) -> Sizes:
    """Give the number of records that each class shall have."""
    smallest, largest = min(sizes.values()), max(sizes.values())
    match method:
        case Undersample(max_ratio=max_ratio):
            return {name: min(size, math.floor(max_ratio * smallest)) for name, size in sizes.items()}
        case Oversample(max_ratio=max_ratio, max_repeats=most):
            least = math.ceil(largest / max_ratio)
            return {name: max(size, min(least, size * most)) for name, size in sizes.items()}
        case Smote(max_ratio=max_ratio):
            return {name: max(size, math.ceil(largest / max_ratio)) for name, size in sizes.items()}
        case _:
            assert_never(method)


def _carry_out(out: Workdir, records: DatasetArtifact, plan: Plan, sizes: Sizes, config: BalanceConfig) -> Flow:
    return carry_out(out, records, plan, sizes, step="balance", engine=config.engine)


def _by_quota(places: Places, targets: Sizes) -> ByQuota:
    return ByQuota(places, {name: Quota(size, targets.get(name, size)) for name, size in places.sizes.items()})


def _choose(records: DatasetArtifact, places: Places, keep: Keep, targets: Sizes, config: BalanceConfig) -> Plan:
    match keep:
        case ByChance():
            return _by_quota(places, targets)
        case NearMiss(features=features, version=version):
            table = read_features(_training(records), features, max_values=config.max_values)
            stays = near_miss(table, _of_labels(targets), version=version)
        case Representatives(features=features):
            table = read_features(_training(records), features, max_values=config.max_values)
            stays = representatives(table, _of_labels(targets), seed=config.seed)
        case _:
            assert_never(keep)
    return ByName(places.by, frozenset(np.array(table.ids, object)[~stays].tolist()))


def _of_labels(sizes: Sizes) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if name is not None}


def _training(records: DatasetArtifact) -> list[Path]:
    return [shard for shard in shard_paths(records) if not is_held_out(shard)]


def _check_ratio(max_ratio: float) -> None:
    if not 1 <= max_ratio < math.inf:
        raise RecipeError(f"max_ratio is {max_ratio}; it must be at least 1 (1 = classes of one size)")
