"""The store: a folder of sealed artifacts, each written beside, fsynced, and renamed once."""

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from burnish.artifacts.card import write_card
from burnish.artifacts.digest import file_digest, json_digest, tree_digests
from burnish.artifacts.evidence import write_evidence
from burnish.artifacts.kinds import KINDS, Artifact, Draft
from burnish.artifacts.manifest import Manifest, Parent
from burnish.errors import ArtifactError, BurnishError, StorageError

logger = logging.getLogger(__name__)
_REMEDY = "Delete the folder and run the recipe again."


@dataclass(frozen=True)
class Made:
    """What a stage call was: everything the manifest records beside the payload."""

    digest: str
    stage: str
    code: str
    arguments: dict[str, Any]
    inputs: dict[str, str]
    parents: tuple[Artifact, ...]
    environment: dict[str, Any]
    seconds: float
    peak_memory_bytes: int


class Store:
    """Keep sealed artifacts under `root/<kind>/<digest>/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[Path] = set()
        try:
            for name in ("work", "locks", "runs", *KINDS):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BurnishError(
                f"the store {root} cannot be written ({error.strerror}); choose another with --store"
            ) from error

    def work(self, digest: str) -> Path:
        """Give the folder in which the artifact `digest` is being made; it outlives a killed run."""
        return self.root / "work" / digest

    def lock_path(self, digest: str) -> Path:
        """Give the lock file that makes one process at a time the maker of `digest`."""
        return self.root / "locks" / f"{digest}.lock"

    def find(self, digest: str) -> Artifact | None:
        """Open the artifact `digest` if it is sealed, verifying it; None if there is none.

        Raises:
            ArtifactError: it is there and corrupt or altered.
        """
        for kind in KINDS:
            folder = self.root / kind / digest
            if folder.exists():
                return self._open_own(folder)
        return None

    def open(self, reference: str) -> Artifact:
        """Open an artifact by digest, by an unambiguous start of one (4 digits or more), or by path.

        Raises:
            ArtifactError: nothing or more than one matches, or the artifact is corrupt or altered.
        """
        folder = Path(reference)
        if (folder / "manifest.json").is_file():
            return self._open(folder.resolve())
        matches = [path for path in self._folders() if len(reference) >= 4 and path.name.startswith(reference)]
        if len(matches) == 1:
            return self._open_own(matches[0])
        if not matches:
            raise ArtifactError(
                f"no artifact {reference!r} in {self.root}; give a digest (4 digits or more) or a folder. "
                "`burnish show` without arguments lists them."
            )
        names = ", ".join(f"{path.parent.name}/{path.name[:12]}" for path in matches)
        raise ArtifactError(f"{reference!r} matches {len(matches)} artifacts ({names}); give more digits")

    def all(self) -> Iterator[Artifact]:
        """List sealed artifacts, oldest first, without verifying payloads; an unreadable one is logged and left out."""
        artifacts = []
        for path in self._folders():
            try:
                manifest = Manifest.read(path / "manifest.json")
            except ArtifactError as error:
                logger.warning("%s", error)
                continue
            artifacts.append((manifest.created_unix_s, self._named(path, manifest)))
        yield from (artifact for _, artifact in sorted(artifacts, key=lambda pair: pair[0]))

    def seal(self, work: Path, draft: Draft[Artifact], made: Made) -> Artifact:
        """Make the folder `work` (holding `payload/`) an artifact: manifest, evidence, card, fsync, one rename.

        Raises:
            BurnishError: the disk is full or not writable; the store is as it was before.
        """
        target = self.root / draft.kind.kind / made.digest
        try:
            write_evidence(work / "evidence.json", draft.evidence)
            files = tree_digests(work / "payload")
            manifest = Manifest(
                kind=draft.kind.kind,
                digest=made.digest,
                stage=made.stage,
                code=made.code,
                arguments=made.arguments,
                parents=tuple(_parent(artifact) for artifact in made.parents),
                payload_digest=json_digest(files),
                files=files,
                evidence_sha256=file_digest(work / "evidence.json"),
                environment=made.environment,
                seconds=made.seconds,
                peak_memory_bytes=made.peak_memory_bytes,
                created_unix_s=time.time(),
                inputs=made.inputs,
            )
            (work / "card.md").write_text(write_card(manifest, draft.evidence, draft.summary), encoding="utf-8")
            manifest = replace(manifest, card_sha256=file_digest(work / "card.md"))
            manifest.write(work / "manifest.json")
            _sync_tree(work)
            work.rename(target)
            _sync(target.parent)
        except OSError as error:
            raise storage_error(error, self.root) from error
        self._verified.add(target)
        return self._named(target, manifest)

    def set_aside(self, digest: str) -> Path:
        """Move a corrupt artifact out of the way, so that it can be made again and looked at."""
        for kind in KINDS:
            folder = self.root / kind / digest
            if folder.exists():
                target = self.root / "corrupt" / f"{digest}-{time.time_ns()}"
                target.parent.mkdir(exist_ok=True)
                folder.rename(target)
                return target
        raise ArtifactError(f"no artifact {digest[:12]} in {self.root}")

    def _folders(self) -> list[Path]:
        return [path for kind in KINDS for path in (self.root / kind).iterdir() if path.is_dir()]

    def _open_own(self, folder: Path) -> Artifact:
        """Open a folder of this store, where the name is the lineage and must be the manifest's."""
        artifact = self._open(folder)
        if (artifact.kind, artifact.digest) != (folder.parent.name, folder.name):
            raise ArtifactError(f"{folder} holds another artifact, {artifact.kind}/{artifact.digest[:12]}. {_REMEDY}")
        return artifact

    def _open(self, folder: Path) -> Artifact:
        manifest = Manifest.read(folder / "manifest.json")
        if folder not in self._verified:
            verify(folder, manifest)
            self._verified.add(folder)
        return self._named(folder, manifest)

    @staticmethod
    def _named(folder: Path, manifest: Manifest) -> Artifact:
        return KINDS[manifest.kind](manifest.digest, manifest.stage, folder)


def verify(folder: Path, manifest: Manifest) -> None:
    """Compare every byte of a sealed folder with its manifest.

    Raises:
        ArtifactError: a file is missing, added or altered; the message names the first one.
    """
    found = tree_digests(folder / "payload") if (folder / "payload").is_dir() else {}
    for name in sorted(manifest.files.keys() | found.keys()):
        if manifest.files.get(name) != found.get(name):
            state = "is missing" if name not in found else "was added" if name not in manifest.files else "was altered"
            raise ArtifactError(f"{folder}: payload file {name} {state}. {_REMEDY}")
    if json_digest(found) != manifest.payload_digest:
        raise ArtifactError(f"{folder}: the payload digest does not match the manifest. {_REMEDY}")
    for name, expected in (("evidence.json", manifest.evidence_sha256), ("card.md", manifest.card_sha256)):
        try:
            digest = file_digest(folder / name)
        except OSError as error:
            raise ArtifactError(f"{folder}: {name} is missing. {_REMEDY}") from error
        if digest != expected:
            raise ArtifactError(f"{folder}: {name} was altered. {_REMEDY}")


def storage_error(error: OSError, root: Path) -> StorageError:
    """Say in one sentence what a failed write means and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(root).free
        return StorageError(
            f"no space left in {root} ({free / 2**20:.0f} MiB free); nothing sealed was touched. "
            "Free some space, or choose another store with --store, and give the same command again."
        )
    return StorageError(f"cannot write in {root}: {error.strerror or error}; nothing sealed was touched")


def _parent(artifact: Artifact) -> Parent:
    return Parent(artifact.kind, artifact.digest, artifact.manifest.payload_digest, artifact.stage)


def _sync_tree(root: Path) -> None:
    for folder, _, files in os.walk(root):
        for name in files:
            _sync(Path(folder) / name)
        _sync(Path(folder))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
