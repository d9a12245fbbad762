"""Gated: run a stage under a label, then hold its evidence to the recipe's bounds for that label."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, TypeVar

from burnish.artifacts import Artifact, Draft
from burnish.errors import RecipeError
from burnish.runtime import Run, Workdir
from burnish.runtime.gates import Bound

A = TypeVar("A", bound=Artifact)


def check_labels(gates: Iterable[str], labels: Sequence[str]) -> None:
    """Refuse a gate on a stage call that the recipe does not make: it would never be looked at.

    Args:
        gates: labels that have a bound.
        labels: of all calls that the recipe makes.

    Raises:
        RecipeError: naming what may be bounded.
    """
    for label in gates:
        if label not in labels:
            raise RecipeError(f"gates names the stage call {label!r}; there are: {', '.join(labels)}")


@dataclass(frozen=True)
class Gated:
    """Hold a run and its bounds: label of a stage call -> name of a measurement -> bound."""

    run: Run
    gates: dict[str, dict[str, Bound]]

    def __call__(
        self, label: str, stage: Callable[Concatenate[Workdir, ...], Draft[A]], *artifacts: Artifact, config: Any
    ) -> A:
        """Run a stage, and stop where a measurement of it is outside its bound.

        Raises:
            GateFailed: with the evidence; the artifact stays.
        """
        artifact = self.run(stage, *artifacts, config=config, label=label)
        for name, bound in self.gates.get(label, {}).items():
            self.run.require(artifact, name, at_least=bound.at_least, at_most=bound.at_most)
        return artifact
