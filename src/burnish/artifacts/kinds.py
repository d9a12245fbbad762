"""The three kinds of artifact, and the draft that a stage returns."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from burnish.artifacts.evidence import Measurement, read_evidence
from burnish.artifacts.manifest import Manifest
from burnish.errors import ArtifactError


@dataclass(frozen=True)
class Artifact:
    """A sealed folder, or in a dry run the promise of one.

    Attributes:
        digest: the lineage digest, which is the folder's name.
        stage: qualified name of the stage that made it.
        path: the sealed folder; None while only planned.
    """

    kind: ClassVar[str] = "artifact"

    digest: str
    stage: str
    path: Path | None

    @property
    def is_sealed(self) -> bool:
        """Tell a sealed artifact from a planned one."""
        return self.path is not None

    @property
    def payload(self) -> Path:
        """Give the payload folder."""
        return self._folder / "payload"

    @cached_property
    def manifest(self) -> Manifest:
        """Read the manifest (once)."""
        return Manifest.read(self._folder / "manifest.json")

    @cached_property
    def evidence(self) -> tuple[Measurement, ...]:
        """Read the evidence (once)."""
        return read_evidence(self._folder / "evidence.json")

    @property
    def card(self) -> str:
        """Read the card, Markdown."""
        return (self._folder / "card.md").read_text(encoding="utf-8")

    def measurement(self, name: str) -> Measurement:
        """Find one measurement by name.

        Raises:
            ArtifactError: the evidence holds no such name; the message lists those it holds.
        """
        for candidate in self.evidence:
            if candidate.name == name:
                return candidate
        held = ", ".join(sorted(m.name for m in self.evidence)) or "none"
        raise ArtifactError(f"{self.label} holds no measurement {name!r}; it holds: {held}")

    def read_json(self, name: str) -> Any:
        """Read one JSON file of the payload."""
        return json.loads((self.payload / name).read_text(encoding="utf-8"))

    @property
    def label(self) -> str:
        """Name the artifact shortly: kind, stage, twelve digits."""
        return f"{self.kind} {self.stage.rsplit('.', 1)[-1]} {self.digest[:12]}"

    @property
    def _folder(self) -> Path:
        if self.path is None:
            raise ArtifactError(f"{self.label} is only planned; run the recipe without --dry-run to make it")
        return self.path


class DatasetArtifact(Artifact):
    """Records: `payload/data/*.parquet` kept, `payload/rejected/*.parquet` set aside with their reasons."""

    kind = "dataset"


class ModelArtifact(Artifact):
    """A model or adapter: the layout its tool reads (Hugging Face, PEFT, OpenVINO), weights in safetensors or IR."""

    kind = "model"


class ReportArtifact(Artifact):
    """Measured facts: JSON, and HTML where people read it."""

    kind = "report"


KINDS: dict[str, type[Artifact]] = {kind.kind: kind for kind in (DatasetArtifact, ModelArtifact, ReportArtifact)}

K = TypeVar("K", bound=Artifact, covariant=True)


@dataclass(frozen=True)
class Draft(Generic[K]):
    """What a stage returns: the kind it made, the evidence for it, and one sentence for the card."""

    kind: type[K]
    evidence: tuple[Measurement, ...]
    summary: str
