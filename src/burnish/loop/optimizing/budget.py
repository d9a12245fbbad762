"""The budget: how long a search may take, and whether what comes next still fits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from burnish.errors import RecipeError

Clock = Callable[[], float]
_LOOKS_BACK = 3  # the machine may have become slower or quicker since


@dataclass(frozen=True)
class Part:
    """Hold one stage call of a candidate.

    Attributes:
        name: calls of one name take the same time for a unit of work.
        work: in units, such as steps of healing.
    """

    name: str
    work: float = 1.0


@dataclass
class Budget:
    """Keep count of the time.

    Args:
        max_seconds: for the whole search; None sets no end.
        spent_before_s: by the same search before it was stopped.
        clock: tells seconds; only differences matter.
        reserved_s: for what comes after the search.
    """

    max_seconds: float | None = None
    spent_before_s: float = 0.0
    clock: Clock = time.monotonic
    reserved_s: float = 0.0
    _seconds_a_unit: dict[str, list[float]] = field(default_factory=dict)
    _seconds: list[float] = field(default_factory=list)
    _begun_s: float = field(init=False)

    def __post_init__(self) -> None:
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise RecipeError(f"budget is {self.max_seconds} s; it must be above 0, or null for no end")
        self._begun_s = self.clock()

    @property
    def spent_s(self) -> float:
        """Give the seconds used, those before a stop too."""
        return self.spent_before_s + self.clock() - self._begun_s

    @property
    def left_s(self) -> float:
        """Give the seconds that are left of the search."""
        return float("inf") if self.max_seconds is None else self.max_seconds - self.reserved_s - self.spent_s

    def note(self, part: Part, seconds: float) -> None:
        """Remember how long a part took."""
        self._seconds.append(seconds)
        self._seconds_a_unit.setdefault(part.name, []).append(seconds / part.work)

    def estimate_s(self, parts: Sequence[Part]) -> float:
        """Estimate how long parts will take: the longest of the last three of their kind, by work.

        A kind that has never run is taken to last as long as the mean of the parts so far.
        """
        mean = sum(self._seconds) / len(self._seconds) if self._seconds else 0.0
        total = 0.0
        for part in parts:
            known = self._seconds_a_unit.get(part.name)
            total += mean if known is None else part.work * max(known[-_LOOKS_BACK:])
        return total

    def affords(self, parts: Sequence[Part]) -> bool:
        """Tell whether parts can be expected to end in time."""
        return self.left_s > 0 and self.estimate_s(parts) <= self.left_s


_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def parse_seconds(text: str) -> float:
    """Read a time such as 90, 90s, 30m, 1.5h.

    Raises:
        RecipeError: it is none.
    """
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS_S else (text, "s")
    try:
        seconds = float(number) * _UNITS_S[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise RecipeError(f"budget is {text!r}; write seconds, or a number with s, m or h: 90, 45s, 30m, 1.5h")
    return seconds
