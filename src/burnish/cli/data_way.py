"""The way of the records that a command asks about: from a run or a digest to the stages, sources first."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.artifacts import Artifact, Store
from burnish.cli.show import ancestry
from burnish.cli.store import LATEST, find_run, open_store
from burnish.errors import ArtifactError, BurnishError
from burnish.runtime import need
from burnish.runtime.events import StageCached, StageSealed, read_events

if TYPE_CHECKING:
    from burnish.report.data_stages import Stage

_MAX_LISTED = 12


def find_way(store_path: Path, reference: str) -> "tuple[Stage, ...]":
    """Find the stages of a run, or those that a dataset, a model or a report came through.

    Nothing is verified here: that would hash the whole dataset for every question.

    Raises:
        BurnishError: no such run or artifact, or none of its artifacts holds records.
    """
    for module in ("numpy", "polars", "pyarrow"):
        need(module, extra="data")
    from burnish.report.data_stages import trace_stages

    store = open_store(store_path)
    known = {artifact.digest: artifact for artifact in store.all()}
    if is_run(store, reference):
        folder = find_run(store.root, reference)
        artifacts, words = _of_run(folder, known), f"run {folder.name}"
    else:
        artifact = _by_digest(known, reference, store)
        artifacts, words = list(ancestry(artifact, known)), artifact.label
    stages = trace_stages(artifacts)
    if not stages:
        raise BurnishError(
            f"{words} holds no records yet; give a run of `burnish data run`, or the digest of a dataset"
        )
    return stages


def is_run(store: Store, reference: str) -> bool:
    """Tell a run from a digest."""
    return reference == LATEST or any((store.root / "runs").glob(f"{reference}*"))


def unknown(what: str, name: str, there: Iterable[str]) -> BurnishError:
    """Give the error for a name that is not there: which are, and the nearest."""
    names = sorted(set(there))
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    rest = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return BurnishError(f"no {what} {name!r} here; there are: {', '.join(names[:_MAX_LISTED]) or 'none'}{rest}.{hint}")


def _of_run(folder: Path, known: dict[str, Artifact]) -> list[Artifact]:
    made = [event for _, event in read_events(folder / "events.jsonl") if isinstance(event, StageSealed | StageCached)]
    missing = [event.label for event in made if event.digest not in known]
    if missing:
        raise BurnishError(
            f"run {folder.name} made {missing[0]!r}, which is no longer in the store; give its command again to remake it"
        )
    return [known[digest] for digest in dict.fromkeys(event.digest for event in made)]


def _by_digest(known: dict[str, Artifact], reference: str, store: Store) -> Artifact:
    found = [artifact for digest, artifact in known.items() if len(reference) >= 4 and digest.startswith(reference)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{artifact.kind}/{artifact.digest[:12]}" for artifact in found)
        raise ArtifactError(f"{reference!r} matches {len(found)} artifacts ({names}); give more digits")
    raise ArtifactError(
        f"no run and no artifact {reference!r} in {store.root}; give `latest`, a run, or a digest (4 digits or more). "
        "`burnish show` lists what is there."
    )
