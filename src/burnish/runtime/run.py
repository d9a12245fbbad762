"""Run a stage: look it up, or make it under a lock and seal it."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, TypeVar

from burnish.artifacts import Artifact, Draft, Store
from burnish.artifacts.digest import plain
from burnish.artifacts.manifest import lineage_digest
from burnish.artifacts.store import Made, storage_error
from burnish.errors import ArtifactError, BurnishError, GateFailed
from burnish.runtime.code import code_digest
from burnish.runtime.events import (
    EventLog,
    GateChecked,
    StageCached,
    StageFailed,
    StageSealed,
    StageStarted,
    StageWaiting,
    Warned,
)
from burnish.runtime.gates import Bound, require
from burnish.runtime.hardware import PeakMemory, fingerprint, give_memory_back
from burnish.runtime.workdir import Workdir, fresh, snapshots_of

A = TypeVar("A", bound=Artifact)
Stage = Callable[Concatenate[Workdir, ...], Draft[A]]


@dataclass(frozen=True)
class Step:
    """One stage call of a plan: what it is and whether its artifact is already sealed."""

    stage: str
    label: str
    digest: str
    is_cached: bool


@dataclass
class Run:
    """Call stages for a recipe: `model = run(merge, base, adapter, config=...)`.

    Args:
        store: where artifacts are sealed.
        events: where facts go.
        is_dry: plan only: nothing is made, an artifact that is not sealed yet is returned as planned.

    An equal call (same stage and reachable code, same arguments, same parents) is found sealed and not
    made again. A call killed half-way is made again by the next run, from its snapshots where the stage
    keeps any. Two processes that make the same artifact take turns; the second finds it sealed.
    """

    store: Store
    events: EventLog
    is_dry: bool = False
    steps: list[Step] = field(default_factory=list)

    def __call__(self, stage: Stage[A], *artifacts: Artifact, config: Any, label: str = "") -> A:
        """Run one stage.

        Args:
            stage: `stage(out, *artifacts, config=...)`.
            *artifacts: its parents, in the order the stage takes them.
            config: a frozen dataclass; every value of it enters the lineage.
            label: what to call this call where a stage is called more than once ("base", "tuned").

        Raises:
            BurnishError: the stage refused its input, or the store cannot be written.
        """
        inputs: dict[str, str] = {}
        arguments = {"config": plain(config, inputs=inputs)}
        code = code_digest(stage)
        name = f"{stage.__module__}.{stage.__qualname__}"
        shown = label or stage.__name__
        digest = lineage_digest(name, code, arguments, [artifact.digest for artifact in artifacts])
        found = self._sealed(digest)
        self.steps.append(Step(name, shown, digest, found is not None))
        if found is None and self.is_dry:
            return _planned(stage, digest, name)
        if found is None:
            with self._lock(digest, shown):
                found = self._mended(digest)
                if found is None:
                    made = Made(digest, name, code, arguments, inputs, artifacts, fingerprint(), 0.0, 0)
                    return self._make(stage, made, config, shown)
        self.events.emit(StageCached(name, digest, shown))
        return found  # type: ignore[return-value]  # the digest covers the stage, and the stage fixes the kind

    def require(
        self, artifact: Artifact, name: str, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        """Check a gate and record the outcome; see `gates.require`."""
        try:
            checked = require(artifact, name, at_least=at_least, at_most=at_most)
        except GateFailed:
            value = artifact.measurement(name).value
            self.events.emit(GateChecked(name, value, str(Bound(at_least, at_most)), is_passed=False))
            raise
        if checked is not None:
            self.events.emit(GateChecked(name, checked[0], str(checked[1]), is_passed=True))

    def _sealed(self, digest: str) -> Artifact | None:
        try:
            return self.store.find(digest)
        except ArtifactError as error:
            if self.is_dry:
                self.events.emit(Warned(f"{error} A run makes it again."))
            return None

    def _mended(self, digest: str) -> Artifact | None:
        """Find what is sealed; move a corrupt one away. Under the lock, so that nobody moves what another just made."""
        try:
            return self.store.find(digest)
        except ArtifactError as error:
            kept = self.store.set_aside(digest)
            self.events.emit(Warned(f"{error} It was moved to {kept} and is made again."))
            return None

    def _make(self, stage: Stage[A], made: Made, config: Any, shown: str) -> A:
        give_memory_back()  # what an earlier stage has freed is not this one's
        self.events.emit(StageStarted(made.stage, made.digest, shown))
        work = self.store.work(made.digest)
        start_s = time.monotonic()
        try:
            with PeakMemory() as memory:
                draft = stage(fresh(work, shown, self.events), *made.parents, config=config)
            seconds = time.monotonic() - start_s
            made = Made(
                **{**made.__dict__, "seconds": round(seconds, 3), "peak_memory_bytes": memory.peak_bytes},
            )
            artifact = self.store.seal(work, draft, made)
            shutil.rmtree(snapshots_of(work), ignore_errors=True)
        except BaseException as error:
            shutil.rmtree(work / "payload", ignore_errors=True)
            failure = _explained(error, self.store)
            self._report_failure(made, failure)
            if failure is error:
                raise
            raise failure from error
        self.events.emit(
            StageSealed(
                made.stage,
                made.digest,
                shown,
                artifact.kind,
                made.seconds,
                made.peak_memory_bytes,
                {m.name: m.value for m in draft.evidence},
            )
        )
        return artifact  # type: ignore[return-value]  # seal returns the draft's own kind

    def _report_failure(self, made: Made, failure: BaseException) -> None:
        try:
            self.events.emit(StageFailed(made.stage, made.digest, f"{type(failure).__name__}: {failure}"))
        except BurnishError:
            return  # the disk that failed the stage may refuse the event too; the error itself is on its way

    @contextmanager
    def _lock(self, digest: str, shown: str) -> Iterator[None]:
        try:
            descriptor = os.open(self.store.lock_path(digest), os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise storage_error(error, self.store.root) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.events.emit(StageWaiting(shown, digest))
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _planned(stage: Stage[A], digest: str, name: str) -> A:
    """Promise an artifact in a dry run; its kind is what the stage says it returns."""
    returns = stage.__annotations__["return"]
    kind: type[A] = returns.__args__[0]
    return kind(digest, name, None)


def _explained(error: BaseException, store: Store) -> BaseException:
    if not _is_storage(error):
        return error
    cause = error if isinstance(error, OSError) and error.errno else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return storage_error(cause, store.root)


def _is_storage(error: BaseException) -> bool:
    """Tell a disk that is full or broken, which libraries report in their own ways, from other failures."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
        return True
    return isinstance(error, Exception) and "No space left on device" in str(error)
