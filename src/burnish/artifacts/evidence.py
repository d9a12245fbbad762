"""Evidence: numbers that travel with what makes them believable."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.errors import ArtifactError

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal


@dataclass(frozen=True)
class Measurement:
    """Hold one measured number.

    Attributes:
        name: what was measured; the unit ends the name (`_s`, `_ms`, `_bytes`, `_frac`, `_per_s`).
        value: the point estimate; finite.
        unit: "1" for pure numbers, else the unit as in the name.
        n: how many observations stand behind the value; at least 1.
        low: lower end of the interval, or None where the value is exact (a count, a size).
        high: upper end of the interval, or None.
        how: the method in words: estimator, interval, seed, setting.
    """

    name: str
    value: float
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    how: str = ""

    def __post_init__(self) -> None:
        for field in ("value", "low", "high"):
            number = getattr(self, field)
            if number is not None and not math.isfinite(number):
                raise ArtifactError(
                    f"measurement {self.name!r}: {field} is {number}; evidence must be finite. "
                    "Count the failed observations in a measurement of their own."
                )
        if self.n < 1:
            raise ArtifactError(f"measurement {self.name!r}: n is {self.n}; it must be at least 1")

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        if self.low is None or self.high is None:
            return f"{self.value:.6g}{unit}"
        return f"{self.value:.4g}{unit} [{self.low:.4g}, {self.high:.4g}]"


def counted(name: str, count: int, *, of: int, how: str = "") -> Measurement:
    """Measure a share as a fraction with its 95 % Wilson interval.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Args:
        name: should end in `_frac`.
        count: how many had the property, 0 <= count <= of.
        of: how many were looked at; an empty look-up is an error, not a zero.
        how: what was counted; "Wilson 95 %" is added.
    """
    if of < 1 or not 0 <= count <= of:
        raise ArtifactError(f"measurement {name!r}: {count} of {of} is no share; need 0 <= count <= of, of >= 1")
    p = count / of
    centre = (p + _Z_95**2 / (2 * of)) / (1 + _Z_95**2 / of)
    half = _Z_95 / (1 + _Z_95**2 / of) * math.sqrt(p * (1 - p) / of + _Z_95**2 / (4 * of**2))
    method = f"{how}; Wilson 95 %" if how else "Wilson 95 %"
    return Measurement(name, p, "1", of, max(0.0, centre - half), min(1.0, centre + half), method)


def write_evidence(path: Path, evidence: Iterable[Measurement]) -> None:
    """Write measurements to `path` as a JSON list, one object each."""
    rows = [asdict(measurement) for measurement in evidence]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_evidence(path: Path) -> tuple[Measurement, ...]:
    """Read what `write_evidence` wrote.

    Raises:
        ArtifactError: the file is missing or not a list of measurements.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Measurement(**row) for row in rows)
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path} holds no readable evidence ({error}); seal the artifact anew") from error
