"""Gated: run a stage under a label, then hold its evidence to the recipe's bounds for that label."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, TypeVar

from burnish.artifacts import Artifact, Draft
from burnish.runtime import Run, Workdir
from burnish.runtime.gates import Bound

A = TypeVar("A", bound=Artifact)


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
