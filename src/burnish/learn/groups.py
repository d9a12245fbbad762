"""Groups of parameters: from which step each trains, and at what share of the learning rate."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Parameters that are treated alike.

    Attributes:
        names: of parameters.
        rate: share of the recipe's learning rate.
        from_step: frozen before this step, counted from 0.
    """

    names: tuple[str, ...]
    rate: float = 1.0
    from_step: int = 0


def rates_of(groups: Iterable[Group]) -> dict[str, float]:
    """Give the learning rate's factor of each parameter."""
    return {name: group.rate for group in groups for name in group.names}
