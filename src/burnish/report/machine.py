"""The machine: hardware and software as the manifests recorded them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.artifacts import Artifact
from burnish.artifacts.digest import canonical_json
from burnish.report.cast import words_for
from burnish.report.figures import show_bytes


@dataclass(frozen=True)
class Machine:
    """Hold one environment and, where a run used more than one, what was made in it."""

    hardware: tuple[tuple[str, str], ...]
    software: tuple[tuple[str, str], ...]
    made: tuple[str, ...]


def machines(artifacts: tuple[Artifact, ...]) -> tuple[Machine, ...]:
    """List the different environments in the order of their first artifact."""
    by_environment: dict[str, list[Artifact]] = {}
    for artifact in artifacts:
        by_environment.setdefault(canonical_json(artifact.manifest.environment), []).append(artifact)
    return tuple(
        Machine(
            _hardware(group[0].manifest.environment.get("hardware", {})),
            tuple((name, str(v)) for name, v in group[0].manifest.environment.get("software", {}).items()),
            tuple(words_for(artifact.stage) for artifact in group),
        )
        for group in by_environment.values()
    )


def _hardware(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    memory = facts.get("memory_bytes")
    rows = (
        ("Processor", facts.get("cpu")),
        ("Architecture", facts.get("architecture")),
        ("Cores used", facts.get("num_cores")),
        ("Memory", show_bytes(memory) if isinstance(memory, int | float) else None),
        ("Instructions", ", ".join(facts.get("cpu_features", ())) or None),
        ("Accelerators", ", ".join(facts.get("gpus", ())) or "none"),
    )
    return tuple((name, str(value)) for name, value in rows if value is not None)
