import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.artifacts import (
    Artifact,
    DatasetArtifact,
    Draft,
    Manifest,
    Measurement,
    ModelArtifact,
    ReportArtifact,
    Store,
)
from burnish.artifacts.manifest import lineage_digest
from burnish.artifacts.store import Made
from burnish.errors import ArtifactError, BurnishError

Change = Callable[[Path], object]


def seal(store: Store, text: str = "hello", *, parents: tuple[Artifact, ...] = (), seed: int = 0) -> Artifact:
    arguments = {"config": {"seed": seed}}
    digest = lineage_digest("room.stage", "code", arguments, [parent.digest for parent in parents])
    work = store.work(digest)
    (work / "payload" / "data").mkdir(parents=True)
    (work / "payload" / "data" / "a.txt").write_text(text)
    (work / "payload" / "b.txt").write_text("beside")
    evidence = (Measurement("num_records", 3.0, "1", 3),)
    made = Made(digest, "room.stage", "code", arguments, {}, parents, {"hardware": {}}, 1.5, 1024)
    return store.seal(work, Draft(DatasetArtifact, evidence, "Three records."), made)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def reopened(store: Store) -> Store:
    """Open the store as another process would: nothing in it has been verified yet."""
    return Store(store.root)


def test_sealed_is_found_with_payload_evidence_and_card(store: Store) -> None:
    sealed = seal(store)
    found = reopened(store).find(sealed.digest)
    assert isinstance(found, DatasetArtifact)
    assert (found.payload / "data/a.txt").read_text() == "hello"
    assert found.measurement("num_records").value == 3
    assert "Three records." in found.card
    assert "| num_records | 3 | exact |" in found.card
    assert found.manifest.files.keys() == {"b.txt", "data/a.txt"}


def test_what_was_never_made_is_not_found(store: Store) -> None:
    assert store.find("0" * 64) is None


def test_the_manifest_chains_to_the_parents_payload(store: Store) -> None:
    parent = seal(store, "the parent's text")
    child = seal(store, "child", parents=(parent,))
    assert child.manifest.parents[0].payload_digest == parent.manifest.payload_digest
    assert child.manifest.parents[0].digest == parent.digest


def test_sealing_is_one_rename_of_a_whole_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the rename happens everything is in the folder already, and it is on disk."""
    seen: list[str] = []
    rename, fsync = Path.rename, os.fsync
    synced: set[int] = set()

    def watched_fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def watched_rename(self: Path, target: Path) -> Path:
        seen.append(str(target.relative_to(store.root)))
        every = [self, *self.rglob("*")]
        assert {path.name for path in every} >= {"manifest.json", "evidence.json", "card.md", "payload", "a.txt"}
        assert {path.stat().st_ino for path in every} <= synced
        Manifest.read(self / "manifest.json")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)
    sealed = seal(store)
    assert seen == [f"dataset/{sealed.digest}"]
    assert (store.root / "dataset").stat().st_ino in synced


def _edit_manifest(folder: Path, key: str, value: object) -> None:
    body = json.loads((folder / "manifest.json").read_text())
    assert body[key] != value
    body[key] = value
    (folder / "manifest.json").write_text(json.dumps(body))


ALTERATIONS: dict[str, tuple[Change, str]] = {
    "a byte of the payload": (lambda f: (f / "payload/data/a.txt").write_text("hellO"), "data/a.txt was altered"),
    "a payload file truncated": (lambda f: (f / "payload/data/a.txt").write_text(""), "data/a.txt was altered"),
    "a payload file gone": (lambda f: (f / "payload/b.txt").unlink(), "b.txt is missing"),
    "a payload file added": (lambda f: (f / "payload/c.txt").write_text(""), "c.txt was added"),
    "two payload files swapped": (lambda f: _swap(f / "payload/b.txt", f / "payload/data/a.txt"), "b.txt was altered"),
    "the payload gone": (lambda f: shutil.rmtree(f / "payload"), "b.txt is missing"),
    "a payload file linked": (lambda f: _link(f / "payload/b.txt"), "not a regular file"),
    "evidence made nicer": (lambda f: _improve(f / "evidence.json"), "evidence.json was altered"),
    "evidence gone": (lambda f: (f / "evidence.json").unlink(), "evidence.json is missing"),
    "card rewritten": (lambda f: (f / "card.md").write_text("# The best"), "card.md was altered"),
    "card gone": (lambda f: (f / "card.md").unlink(), "card.md is missing"),
    "manifest gone": (lambda f: (f / "manifest.json").unlink(), "no readable manifest"),
    "manifest torn": (lambda f: os.truncate(f / "manifest.json", 100), "no readable manifest"),
    "stage renamed": (lambda f: _edit_manifest(f, "stage", "room.other"), "was altered"),
    "arguments changed": (lambda f: _edit_manifest(f, "arguments", {"config": {"seed": 1}}), "was altered"),
    "time improved": (lambda f: _edit_manifest(f, "seconds", 0.1), "was altered"),
    "hardware changed": (lambda f: _edit_manifest(f, "environment", {}), "was altered"),
    "newer schema": (lambda f: _edit_manifest(f, "schema_version", 99), "schema version 99; this burnish reads"),
}


def _swap(a: Path, b: Path) -> None:
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)


def _link(path: Path) -> None:
    path.rename(path.parent.parent / "moved")
    path.symlink_to(path.parent.parent / "moved")


def _improve(path: Path) -> None:
    path.write_text(path.read_text().replace("3.0", "4.0"))


@pytest.mark.parametrize("name", ALTERATIONS)
def test_whatever_is_altered_is_refused(store: Store, name: str) -> None:
    alter, message = ALTERATIONS[name]
    digest = seal(store).digest
    alter(store.root / "dataset" / digest)
    with pytest.raises(ArtifactError, match=message):
        reopened(store).find(digest)
    with pytest.raises(ArtifactError, match=message):
        reopened(store).open(digest[:8])


def test_an_untouched_artifact_passes_the_same_checks(store: Store) -> None:
    digest = seal(store).digest
    assert reopened(store).open(digest[:8]).digest == digest


def test_arguments_that_do_not_give_the_digest_are_refused_even_with_a_right_checksum(store: Store) -> None:
    sealed = seal(store)
    path = store.root / "dataset" / sealed.digest / "manifest.json"
    replace(sealed.manifest, arguments={"config": {"seed": 7}}).write(path)
    with pytest.raises(ArtifactError, match=r"was altered: its lineage gives [0-9a-f]{12}, it claims"):
        reopened(store).find(sealed.digest)


def test_a_folder_under_another_artifacts_name_is_refused(store: Store) -> None:
    first, second = seal(store, "first"), seal(store, "second", seed=1)
    folder = store.root / "dataset"
    shutil.rmtree(folder / second.digest)
    shutil.copytree(folder / first.digest, folder / second.digest)
    with pytest.raises(ArtifactError, match=r"holds another artifact"):
        reopened(store).find(second.digest)


def test_a_folder_under_another_kind_is_refused(store: Store) -> None:
    digest = seal(store).digest
    (store.root / "dataset" / digest).rename(store.root / "model" / digest)
    with pytest.raises(ArtifactError, match=r"holds another artifact"):
        reopened(store).find(digest)


def test_a_corrupt_artifact_is_set_aside_and_can_be_made_again(store: Store) -> None:
    digest = seal(store).digest
    (store.root / "dataset" / digest / "payload/b.txt").write_text("bad")
    kept = store.set_aside(digest)
    assert (kept / "payload/b.txt").read_text() == "bad"
    assert store.find(digest) is None
    assert seal(store).digest == digest
    assert reopened(store).find(digest) is not None


def test_nothing_to_set_aside_is_said(store: Store) -> None:
    with pytest.raises(ArtifactError, match=r"no artifact 000000000000"):
        store.set_aside("0" * 64)


def test_open_by_start_of_digest_and_by_folder(store: Store, tmp_path: Path) -> None:
    sealed = seal(store)
    assert store.open(sealed.digest[:4]).digest == sealed.digest
    copy = tmp_path / "sent by a friend"
    shutil.copytree(store.root / "dataset" / sealed.digest, copy)
    assert store.open(str(copy)).digest == sealed.digest


def test_open_refuses_too_few_digits_unknown_and_ambiguous(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(store)
    for reference in (sealed.digest[:3], "f" * 12, ""):
        with pytest.raises(ArtifactError, match=r"give a digest \(4 digits or more\) or a folder"):
            store.open(reference)
    (store.root / "model" / f"{sealed.digest[:10]}{'0' * 54}").mkdir()
    with pytest.raises(ArtifactError, match=r"matches 2 artifacts .* give more digits"):
        store.open(sealed.digest[:6])


def test_listing_is_oldest_first_and_leaves_unreadable_ones_out(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    artifacts = [seal(store, seed=seed) for seed in range(3)]
    (store.root / "dataset" / artifacts[1].digest / "manifest.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        listed = [artifact.digest for artifact in store.all()]
    assert listed == [artifacts[0].digest, artifacts[2].digest]
    assert "no readable manifest" in caplog.text


def test_a_store_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BurnishError, match=r"cannot be written .* choose another with --store"):
        Store(tmp_path / "file" / "store")


def test_a_planned_artifact_has_no_folder() -> None:
    planned = ModelArtifact("a" * 64, "room.stage", None)
    assert not planned.is_sealed
    with pytest.raises(ArtifactError, match=r"model stage aaaaaaaaaaaa is only planned; run the recipe without"):
        _ = planned.payload


def test_a_measurement_that_is_not_there_is_named_with_those_that_are(store: Store) -> None:
    with pytest.raises(ArtifactError, match=r"no measurement 'speed'; it holds: num_records"):
        seal(store).measurement("speed")


def test_kinds_have_their_folders(store: Store) -> None:
    assert {kind.kind for kind in (DatasetArtifact, ModelArtifact, ReportArtifact)} <= {
        path.name for path in store.root.iterdir()
    }
