"""The manifest: what an artifact is, what it came from, and the digests that hold it to its word."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from burnish.artifacts.digest import json_digest
from burnish.errors import ArtifactError

SCHEMA_VERSION = 1
_SELF = "manifest_sha256"


@dataclass(frozen=True)
class Parent:
    """Name one input artifact: its lineage digest and the payload digest that was read."""

    kind: str
    digest: str
    payload_digest: str
    stage: str


@dataclass(frozen=True)
class Manifest:
    """Describe one sealed artifact.

    The folder's name is `lineage_digest(stage, code, arguments, parents' digests)`: known before the
    stage runs, so equal calls meet in the store. `payload_digest` is the digest of the sorted file
    digests: known after, so altered bytes are seen.

    Attributes:
        files: relative path in the payload -> SHA-256.
        evidence_sha256: digest of evidence.json.
        card_sha256: digest of card.md; empty only while the card is being written.
        inputs: content digest -> path of inputs that came from outside the store, for people.
        code: digest of the code that the stage can reach.
        environment: hardware and software fingerprint; recorded, not part of the lineage.
    """

    kind: str
    digest: str
    stage: str
    code: str
    arguments: dict[str, Any]
    parents: tuple[Parent, ...]
    payload_digest: str
    files: dict[str, str]
    evidence_sha256: str
    environment: dict[str, Any]
    seconds: float
    peak_memory_bytes: int
    created_unix_s: float
    inputs: dict[str, str] = field(default_factory=dict)
    card_sha256: str = ""
    schema_version: int = SCHEMA_VERSION

    def write(self, path: Path) -> None:
        """Write the manifest as JSON, with a digest of itself as its last key."""
        body = asdict(self)
        body[_SELF] = json_digest(body)
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Manifest":
        """Read a manifest.

        Raises:
            ArtifactError: missing, not a manifest, of a newer schema, altered, or its lineage gives another digest.
        """
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = raw.get("schema_version")
            if version != SCHEMA_VERSION:
                raise ArtifactError(
                    f"{path} has schema version {version}; this burnish reads {SCHEMA_VERSION}. "
                    "Use the burnish that wrote it, or run the recipe again."
                )
            if raw.pop(_SELF, None) != json_digest(raw):
                raise ArtifactError(f"{path} was altered. Delete the folder and run the recipe again.")
            raw["parents"] = tuple(Parent(**parent) for parent in raw["parents"])
            manifest = Manifest(**raw)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ArtifactError(f"{path} is no readable manifest ({error}); run the stage again") from error
        expected = lineage_digest(
            manifest.stage, manifest.code, manifest.arguments, [parent.digest for parent in manifest.parents]
        )
        if expected != manifest.digest:
            raise ArtifactError(
                f"{path} was altered: its lineage gives {expected[:12]}, it claims {manifest.digest[:12]}. "
                "Delete the folder and run the recipe again."
            )
        return manifest


def lineage_digest(stage: str, code: str, arguments: dict[str, Any], parents: list[str]) -> str:
    """Derive an artifact's name from everything that decides its content."""
    return json_digest({"stage": stage, "code": code, "arguments": arguments, "parents": parents})
