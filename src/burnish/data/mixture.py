"""Mixture: how much of each source, label or language goes into training, by a temperature or by given weights."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement
from burnish.data.engine import Engine, Local
from burnish.data.weighing.groups import BySource, GroupBy, place_records
from burnish.data.weighing.quotas import ByQuota, Quota
from burnish.data.weighing.regroup import carry_out, measure_groups, write_groups
from burnish.errors import RecipeError
from burnish.runtime import Workdir

_MAX_NAMED = 12  # groups in an error message


@dataclass(frozen=True)
class Temperature:
    """Draw a group of n records with a chance in proportion to n ** (1 / value).

    1 keeps the natural shares, infinity makes all groups equal. XLM-R's alpha of 0.3 over languages is 3.3, multilingual
    BERT's 0.7 is 1.4. Source: Conneau et al. 2020, arXiv:1911.02116, section 3.1.
    """

    value: float = 3.3

    def __post_init__(self) -> None:
        if not self.value >= 1:
            raise RecipeError(f"value is {self.value}; it must be at least 1 (1 = natural shares)")


@dataclass(frozen=True)
class Weights:
    """Draw groups by given weights.

    Attributes:
        of: group -> weight, at least 0; those not named get `other`.
        other: weight of every other group.
    """

    of: Mapping[str, float]
    other: float = 0.0

    def __post_init__(self) -> None:
        bad = [
            f"{name}={weight}"
            for name, weight in (*self.of.items(), ("other", self.other))
            if not 0 <= weight < math.inf
        ]
        if bad or not any((*self.of.values(), self.other)):
            raise RecipeError(
                f"weights are {', '.join(bad) or 'all 0'}; each must be at least 0 and finite, one above 0"
            )


@dataclass(frozen=True)
class NumRecords:
    """Hand out so many records."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 1:
            raise RecipeError(f"value is {self.value}; it must be at least 1")


@dataclass(frozen=True)
class Epochs:
    """Hand out so many times as many records as came."""

    value: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.value < math.inf:
            raise RecipeError(f"value is {self.value}; it must be above 0")


@dataclass(frozen=True)
class MixtureConfig:
    """Say what goes in.

    Attributes:
        by: what makes a group.
        shares: how much of each group.
        budget: how much in all.
        max_repeats: of one record; what a small group may not give, the others do. Up to 4 repeats are nearly as good
            as new data, source: Muennighoff et al. 2023, arXiv:2305.16264, section 5.
        seed: draws who goes in.
        engine: where shards are worked on.
    """

    by: GroupBy = field(default_factory=BySource)
    shares: Temperature | Weights = field(default_factory=Temperature)
    budget: NumRecords | Epochs = field(default_factory=Epochs)
    max_repeats: int = 4
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        if self.max_repeats < 1:
            raise RecipeError(f"max_repeats is {self.max_repeats}; it must be at least 1")


def mix(out: Workdir, records: DatasetArtifact, *, config: MixtureConfig) -> Draft[DatasetArtifact]:
    """Write each group's share, records set aside or repeated as it asks; held-out splits stay as they are.

    Raises:
        RecipeError: a weight names a group that is not there, or nothing would go out.
    """
    places = place_records(out, records, config.by, seed=config.seed, step="mix-count", engine=config.engine)
    chances = _chances(places.sizes, config.shares)
    wanted = _wanted(sum(places.sizes.values()), config.budget)
    targets = share_out(places.sizes, chances, wanted, max_repeats=config.max_repeats)
    if not any(targets.values()):
        raise RecipeError(f"the budget of {wanted} records leaves none of any group; raise it")
    quotas = {name: Quota(size, targets[name]) for name, size in places.sizes.items()}
    flow = carry_out(out, records, ByQuota(places, quotas), places.sizes, step="mix", engine=config.engine)
    write_groups(out, flow)
    evidence = (*measure_groups(flow), *_shortfall(wanted, sum(targets.values())))
    summary = f"{sum(flow.after.values()):,} records of {len(quotas)} groups, from {sum(flow.before.values()):,}."
    return Draft(DatasetArtifact, evidence, summary)


def share_out(
    sizes: Mapping[str | None, int], chances: Mapping[str | None, float], wanted: int, *, max_repeats: int
) -> dict[str | None, int]:
    """Share a budget out by chances; what a group may not repeat goes to the others, by their chances.

    Returns:
        Records of each group; together `wanted`, or less where every group with a chance is at its bound.
    """
    exact = dict.fromkeys(sizes, 0.0)
    free = {name for name in sizes if chances[name] > 0}
    left = float(wanted)
    while free:
        total = sum(chances[name] for name in free)
        full = {name for name in free if left * chances[name] / total >= sizes[name] * max_repeats}
        if not full:
            exact.update({name: left * chances[name] / total for name in free})
            break
        exact.update({name: float(sizes[name] * max_repeats) for name in full})
        left -= sum(exact[name] for name in full)
        free -= full
    return _rounded(exact)


def _rounded(exact: Mapping[str | None, float]) -> dict[str | None, int]:
    """Round down, then give what is missing of the sum to the largest remainders."""
    whole = {name: math.floor(value) for name, value in exact.items()}
    missing = round(sum(exact.values())) - sum(whole.values())
    by_rest = sorted(exact, key=lambda name: (whole[name] - exact[name], str(name)))
    return {name: whole[name] + (name in by_rest[:missing]) for name in exact}


def _chances(sizes: Mapping[str | None, int], shares: Temperature | Weights) -> dict[str | None, float]:
    match shares:
        case Temperature(value=value):
            largest = max(sizes.values())
            return {name: (size / largest) ** (1 / value) for name, size in sizes.items()}
        case Weights(of=given, other=other):
            for name in given:
                if name not in sizes:
                    there = ", ".join(sorted(str(one) for one in sizes)[:_MAX_NAMED])
                    raise RecipeError(f"shares.of names {name!r}, which no record has; there are: {there}")
            return {name: given.get(name or "", other) for name in sizes}


def _wanted(came: int, budget: NumRecords | Epochs) -> int:
    match budget:
        case NumRecords(value=value):
            return value
        case Epochs(value=value):
            return round(came * value)


def _shortfall(wanted: int, went: int) -> Iterator[Measurement]:
    how = "of the budget, because every group is at max_repeats"
    yield Measurement("missing_records", float(wanted - went), "records", wanted, how=how)
