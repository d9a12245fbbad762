"""Stages run without a store: the same calls as a run's, in a folder each, when a test asks for many of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from real_slice import workdir

from burnish.artifacts import Artifact, Draft
from burnish.artifacts.evidence import write_evidence
from burnish.runtime import Run


def unsealed_run(folder: Path) -> Run:
    """Make something that is called as a run is, and neither looks up, locks nor seals."""
    made: list[Artifact] = []

    def call(stage: Callable[..., Draft[Any]], *artifacts: Artifact, config: Any) -> Artifact:
        out = workdir(folder / f"stage-{len(made)}")
        draft = stage(out, *artifacts, config=config)
        write_evidence(out.root / "evidence.json", draft.evidence)
        made.append(draft.kind(f"{len(made):064}", stage.__qualname__, out.root))
        return made[-1]

    return cast(Run, call)
