"""Seeking: candidate after candidate, until none is left, the time is up, or enough were tried."""

from collections.abc import Callable
from typing import Protocol

from burnish.errors import ArtifactError, BurnishError, MissingExtra
from burnish.loop.optimizing.board import Board
from burnish.loop.optimizing.budget import Budget, Part
from burnish.loop.optimizing.limits import Limits
from burnish.loop.optimizing.space import Candidate
from burnish.loop.optimizing.way import Outcome, OutOfTime

Tell = Callable[[int, Candidate, Outcome], None]


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

    Raises:
        BurnishError: what is wrong is not the candidate: a missing package, a broken artifact, a full disk.
    """
    while True:
        candidate = board.take(limits)
        if candidate is None:
            return "every candidate of the space was tried"
        if max_candidates is not None and len(board.records) >= max_candidates:
            return f"max_candidates, {max_candidates}, were tried"
        planned = way.plan(candidate)
        if not budget.affords(planned):
            return _out_of_time(budget, planned)
        number, begun_s = board.next_number, budget.clock()
        trial = board.begin(candidate)
        try:
            outcome = way.attempt(number, candidate, planned)
        except OutOfTime:
            board.set_aside(trial, budget.clock() - begun_s)
            return _out_of_time(budget, [])
        except BurnishError as error:
            if _is_beyond(error):
                board.set_aside(trial, budget.clock() - begun_s)
                raise
            outcome = Outcome("failed", reason=str(error))
        except BaseException:
            board.set_aside(trial, budget.clock() - begun_s)
            raise
        board.tell(trial, outcome, budget.clock() - begun_s)
        tell(number, candidate, outcome)


def _is_beyond(error: BurnishError) -> bool:
    """Tell what is wrong with the machine or the store from what is wrong with a candidate."""
    return isinstance(error, MissingExtra | ArtifactError) or isinstance(error.__cause__, OSError)


def _out_of_time(budget: Budget, planned: list[Part]) -> str:
    need_s = budget.estimate_s(planned)
    left = f"{max(0.0, budget.left_s):.0f} s of {budget.max_seconds:.0f} s are left"
    return f"the next candidate would not end in time ({left}{f', about {need_s:.0f} s needed' if need_s else ''})"
