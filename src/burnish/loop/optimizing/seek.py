"""Seeking: candidate after candidate, until none is left, the time is up, or enough were tried."""

import contextlib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from burnish.artifacts.store import storage_error
from burnish.errors import ArtifactError, BurnishError, MissingExtra, StorageError
from burnish.loop.optimizing.board import Board
from burnish.loop.optimizing.budget import Budget, Part
from burnish.loop.optimizing.limits import Limits
from burnish.loop.optimizing.space import Candidate
from burnish.loop.optimizing.way import Outcome, OutOfTime

Tell = Callable[[int, Candidate, Outcome], None]

_MAX_SKIPS = 16  # proposals in a row that would not end in time; each costs a plan, not a candidate
_MAX_CRASHES = 3  # in a row: a GPU that has faulted would fail every candidate that is left
_MAX_REASON = 200  # characters of an error that nobody expected; the rest is in its file
_BEYOND = (MissingExtra, ArtifactError, StorageError)  # what is wrong is the machine or the store, not the candidate


class Makes(Protocol):
    """What makes and measures candidates; `Way` does."""

    def plan(self, candidate: Candidate) -> list[Part]:
        """List what is still to be made of a candidate."""

    def attempt(self, number: int, candidate: Candidate, planned: list[Part]) -> Outcome:
        """Make and measure a candidate; raise `OutOfTime` where its rest would not end in time."""


def seek(
    board: Board, way: Makes, limits: Limits, budget: Budget, tell: Tell, *, max_candidates: int | None = None
) -> str:
    """Try candidates; give in words why it ended. What is measured is in the journal at any moment.

    A candidate that would not end in time is passed over for others. One that fails is recorded and not tried again.

    Args:
        max_candidates: tried for these limits; what other limits have measured is used and does not count.

    Raises:
        BurnishError: what is wrong is not the candidate: a missing package, a broken artifact, a full disk.
    """
    skipped: dict[Candidate, float] = {}
    crashes = 0
    while True:
        candidate = board.take(limits, skipped)
        if candidate is None and not skipped:
            return "every candidate of the space was tried"
        if max_candidates is not None and sum(record.is_own for record in board.records) >= max_candidates:
            return f"max_candidates, {max_candidates}, were tried"
        if candidate is None or len(skipped) >= _MAX_SKIPS:
            return _out_of_time(budget, skipped)
        outcome = _attempted(board, way, budget, tell, candidate)
        if outcome is None:
            skipped[candidate] = budget.estimate_s(way.plan(candidate))
            if budget.left_s <= 0:
                return _out_of_time(budget, skipped)
            continue
        skipped = {}  # what was made may be part of them
        crashes = crashes + 1 if outcome.is_crash else 0
        if crashes == _MAX_CRASHES:
            return f"{crashes} candidates in a row broke off with an error nobody expected; is the machine sound?"


def _attempted(board: Board, way: Makes, budget: Budget, tell: Tell, candidate: Candidate) -> Outcome | None:
    """Make and measure a candidate, and write down how it ended; None where it would not end in time."""
    planned = way.plan(candidate)
    if not budget.affords(planned):
        return None
    number, begun_s = board.next_number, budget.clock()
    trial = board.begin(candidate)
    try:
        outcome = _outcome(board.folder, way, number, candidate, planned)
    except OutOfTime:
        board.set_aside(trial, budget.clock() - begun_s)
        return None
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk may refuse this too; the error that matters is on its way
            board.set_aside(trial, budget.clock() - begun_s)
        raise
    board.tell(trial, outcome, budget.clock() - begun_s)
    tell(number, candidate, outcome)
    return outcome


def _outcome(folder: Path, way: Makes, number: int, candidate: Candidate, planned: list[Part]) -> Outcome:
    """Attempt a candidate; what is wrong with it is its outcome."""
    try:
        return way.attempt(number, candidate, planned)
    except (OutOfTime, *_BEYOND):
        raise
    except BurnishError as error:
        return Outcome("failed", reason=str(error))
    except Exception as error:  # noqa: BLE001  # memory that one candidate lacks must not cost the others
        path = folder / f"candidate-{number}.txt"
        try:
            path.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
        except OSError as refused:
            raise storage_error(refused, folder) from error
        said = (str(error).strip().splitlines() or ["it said nothing"])[0][:_MAX_REASON]
        return Outcome("failed", reason=f"{type(error).__name__}: {said}; its traceback: {path}", is_crash=True)


def _out_of_time(budget: Budget, skipped: Mapping[Candidate, float]) -> str:
    need_s = min(skipped.values())
    one = len(skipped) == 1
    next_ones = "the next candidate" if one else f"the next {len(skipped)} candidates"
    needed = f", about {need_s:.0f} s needed{'' if one else ' for the cheapest'}" if need_s else ""
    left = f"{max(0.0, budget.left_s):.0f} s of {budget.max_seconds:.0f} s are left"
    return f"{next_ones} would not end in time ({left}{needed})"
