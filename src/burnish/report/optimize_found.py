"""What a search over the whole chain found, as its page is told it: plain values that enter the page's lineage."""

from dataclasses import dataclass
from typing import Literal

REFERENCE = 0
State = Literal["complete", "rejected", "failed"]


@dataclass(frozen=True)
class Row:
    """Hold what the search says of a candidate; its figures are in the artifacts.

    Attributes:
        number: 0 is the base as it was.
        digests: of what was made of it: model, served, load, quality, proxy.
        misses: each limit that it misses, in words.
        proxy_frac: quality by the proxy, of a rejected one.
    """

    number: int
    words: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    digests: tuple[tuple[str, str], ...] = ()
    misses: tuple[str, ...] = ()
    proxy_frac: float | None = None

    def digest(self, name: str) -> str:
        """Give the digest of what was made of it; nothing where it was not."""
        return dict(self.digests).get(name, "")


@dataclass(frozen=True)
class Found:
    """Hold what the search found.

    Attributes:
        answer: number of the best candidate within the limits; None where there is none.
        nearest: number of the one that misses them by the least.
        verdict: what to say where there is no answer.
        quality: name of the measurement that is the quality.
        min_quality, max_p99_ms: limits that the chart draws.
        ended: why the search ended.
        recipe: best.yaml; empty where there is no answer.
        race: digest of what the base and the answer did in turn; empty where they were not loaded so.
    """

    rows: tuple[Row, ...]
    answer: int | None
    nearest: int | None
    verdict: str
    quality: str
    limits: tuple[str, ...]
    prefer: str
    min_quality: float | None
    max_p99_ms: float | None
    ended: str
    recipe: str
    race: str = ""
