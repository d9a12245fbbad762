"""Quotas: how often each record of a group goes out: not at all, once, or several times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.data.weighing.groups import GroupBy, Ints, Places, number_groups

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quota:
    """Say what becomes of a group.

    Attributes:
        size: how many came, at least 1.
        target: how many go out.
    """

    size: int
    target: int

    @property
    def share(self) -> float:
        """Give how often a record goes out, on average."""
        return self.target / self.size

    def copies(self, ranks: Ints) -> Ints:
        """Give how often each goes out: the whole part of the share for all, once more for those drawn first."""
        whole, rest = divmod(self.target, self.size)
        return whole + (ranks <= rest)


class Plan(Protocol):
    """Says what becomes of each record; picklable."""

    @property
    def by(self) -> GroupBy:
        """What makes a group."""

    def __call__(self, groups: Sequence[str | None], ids: Sequence[str]) -> tuple[Ints, Floats, Floats]:
        """Give of N records how often each goes out, and the value and threshold of that; NaN where there is none."""


@dataclass(frozen=True)
class ByQuota:
    """Let places decide: the first of a group stay, or are repeated once more.

    The value is a record's place among its group, as a share, and the threshold the group's own share: with another
    share, those with values up to it stay.
    """

    places: Places
    quotas: Mapping[str | None, Quota]

    @property
    def by(self) -> GroupBy:
        """Group as the places do."""
        return self.places.by

    def __call__(self, groups: Sequence[str | None], ids: Sequence[str]) -> tuple[Ints, Floats, Floats]:
        """Decide by rank."""
        ranks = self.places.ranks(groups, ids)
        copies, sizes, shares = np.zeros(len(ids), np.int64), np.ones(len(ids)), np.ones(len(ids))
        numbers, names = number_groups(groups)
        for number, name in enumerate(names):
            mine, quota = numbers == number, self.quotas[name]
            copies[mine], sizes[mine], shares[mine] = quota.copies(ranks[mine]), quota.size, quota.share
        return copies, ranks / sizes, shares


@dataclass(frozen=True)
class ByName:
    """Set records aside by id: those that a method which saw all of them did not choose."""

    by: GroupBy
    dropped: frozenset[str]

    def __call__(self, groups: Sequence[str | None], ids: Sequence[str]) -> tuple[Ints, Floats, Floats]:
        """Decide by id."""
        copies = np.array([identity not in self.dropped for identity in ids], np.int64)
        unknown = np.full(len(groups), np.nan)
        return copies, unknown, unknown
