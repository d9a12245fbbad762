"""Gates: a measured value outside its bound stops the run with the evidence."""

from dataclasses import dataclass

from burnish.artifacts import Artifact
from burnish.errors import GateFailed, RecipeError


@dataclass(frozen=True)
class Bound:
    """Allow values from `at_least` to `at_most`, both inclusive; None leaves a side open."""

    at_least: float | None = None
    at_most: float | None = None

    def allows(self, value: float) -> bool:
        """Tell whether a value lies inside."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        parts = []
        if self.at_least is not None:
            parts.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            parts.append(f"at most {self.at_most:g}")
        return " and ".join(parts)


def require(
    artifact: Artifact, name: str, *, at_least: float | None = None, at_most: float | None = None
) -> tuple[float, Bound] | None:
    """Stop unless the artifact's measurement `name` lies within the bound.

    Returns:
        The value and the bound, or None for a planned artifact, which nothing has measured yet.

    Raises:
        GateFailed: the value is outside; the message holds value, interval, bound and where to look.
        RecipeError: no side of the bound is given.
    """
    bound = Bound(at_least, at_most)
    if bound == Bound():
        raise RecipeError(f"the gate on {name} has no bound; give at_least or at_most")
    if not artifact.is_sealed:
        return None
    measurement = artifact.measurement(name)
    if not bound.allows(measurement.value):
        raise GateFailed(
            f"gate {name}: measured {measurement} (n = {measurement.n}), required {bound}. "
            f"Evidence: burnish show {artifact.digest[:12]}. "
            "Loosen the gate in the recipe, or change what comes before it."
        )
    return measurement.value, bound
