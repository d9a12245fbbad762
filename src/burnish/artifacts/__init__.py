"""What flows: sealed, content-addressed folders and the evidence they carry."""

from burnish.artifacts.digest import HOW
from burnish.artifacts.evidence import Measurement, counted
from burnish.artifacts.kinds import Artifact, DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.artifacts.manifest import Manifest, Parent
from burnish.artifacts.store import Store

__all__ = [
    "HOW",
    "Artifact",
    "DatasetArtifact",
    "Draft",
    "Manifest",
    "Measurement",
    "ModelArtifact",
    "Parent",
    "ReportArtifact",
    "Store",
    "counted",
]
