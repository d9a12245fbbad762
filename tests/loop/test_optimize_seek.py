"""Seeking: the journal outlives kills, the budget is kept, nothing is tried twice, limits may change."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from burnish.errors import ArtifactError, BurnishError, RecipeError, StorageError
from burnish.loop.optimizing.board import Board
from burnish.loop.optimizing.budget import Budget, Part
from burnish.loop.optimizing.limits import Figures, Limits, is_within
from burnish.loop.optimizing.quality import Proxy, refusal
from burnish.loop.optimizing.seek import seek
from burnish.loop.optimizing.space import Candidate, Space
from burnish.loop.optimizing.way import Outcome, OutOfTime

SPACE = Space(ffn_frac=(0.0, 0.1, 0.2, 0.3), layers_dropped=(0, 2, 4), threads=(None, 1))
LIMITS = Limits(min_quality=0.8, max_p99_ms=100)


def figures_of(candidate: Candidate) -> Figures:
    """Give what a candidate would be measured at: cuts cost quality and save time."""
    quality = 1.0 - candidate.ffn_frac - 0.05 * candidate.layers_dropped - 0.1 * (candidate.bits != "int8")
    p99_ms = (
        200 * (1 - candidate.ffn_frac) * (1 - 0.1 * candidate.layers_dropped) * (0.5 if candidate.bits != "int8" else 1)
    )
    return Figures(quality, quality - 0.01, p99_ms, 1e9, 4e7, 1000 / p99_ms)


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Fake:
    """Measure candidates by a formula, each in `seconds` on a clock that it moves."""

    clock: Clock
    seconds: float = 10.0
    stop: Callable[[Candidate], None] = lambda _: None
    seen: list[Candidate] = field(default_factory=list)
    budget: Budget | None = None

    def plan(self, _candidate: Candidate) -> list[Part]:
        return [Part("all")]

    def attempt(self, _number: int, candidate: Candidate, _planned: list[Part]) -> Outcome:
        self.seen.append(candidate)
        self.stop(candidate)
        self.clock.now_s += self.seconds
        if self.budget is not None:
            self.budget.note(Part("all"), self.seconds)
        return Outcome("complete", figures_of(candidate), "", {"model": "d"})


def open_board(folder: Path, *, limits: Limits = LIMITS, order: str = "a") -> Board:
    def is_still(outcome: Outcome) -> bool:
        return outcome.state != "rejected" or bool(refusal(limits, Proxy(), outcome.figures, is_to_be_trained=False))

    return Board(folder, SPACE, order=order, seed=0, is_still=is_still, warn=pytest.fail)


def silent(*_: object) -> None:
    """Tell nobody."""


def test_nothing_is_tried_twice_and_all_in_the_end(tmp_path: Path) -> None:
    board, fake = open_board(tmp_path), Fake(Clock())
    ended = seek(board, fake, LIMITS, Budget(), silent)
    assert ended == "every candidate of the space was tried"
    assert len(fake.seen) == len(set(fake.seen)) == len(SPACE.candidates())
    assert fake.seen[0] == SPACE.candidates()[0]
    records = board.records
    assert [record.number for record in records] == list(range(1, 73))
    assert all(record.outcome.figures == figures_of(record.candidate) for record in records)


def test_the_sampler_turns_to_what_keeps_the_limits(tmp_path: Path) -> None:
    shares = []
    for seed in range(3):
        board = Board(tmp_path / str(seed), SPACE, order="a", seed=seed, is_still=lambda _: True, warn=pytest.fail)
        fake = Fake(Clock())
        seek(board, fake, LIMITS, Budget(), silent, max_candidates=24)
        shares.append(sum(is_within(LIMITS, figures_of(each)) for each in fake.seen[4:]) / 20)
        board.close()
    everywhere = sum(is_within(LIMITS, figures_of(each)) for each in SPACE.candidates()) / len(SPACE.candidates())
    assert 0 < everywhere < 0.3
    assert sum(shares) / 3 > 1.3 * everywhere


def test_the_budget_is_kept_and_counted_over_stops(tmp_path: Path) -> None:
    clock = Clock()
    board, budget = open_board(tmp_path), Budget(55.0, clock=clock)
    fake = Fake(clock, budget=budget)
    ended = seek(board, fake, LIMITS, budget, silent)
    assert len(fake.seen) == 5
    assert clock.now_s == 50
    assert ended == (
        "the next 16 candidates would not end in time (5 s of 55 s are left, about 10 s needed for the cheapest)"
    )
    assert board.spent_s == 50
    board.close()

    again = open_board(tmp_path)
    budget = Budget(75.0, again.spent_s, clock)
    fake = Fake(clock, budget=budget)
    budget.note(Part("all"), 10.0)
    seek(again, fake, LIMITS, budget, silent)
    assert len(fake.seen) == 2
    assert len(again.records) == 7


def test_a_candidate_whose_rest_would_not_end_is_set_aside_and_comes_first(tmp_path: Path) -> None:
    def stop(_: Candidate) -> None:
        clock.now_s += 99
        raise OutOfTime

    clock = Clock()
    board, cut_off = open_board(tmp_path), Fake(clock, stop=stop)
    ended = seek(board, cut_off, LIMITS, Budget(99.0, clock=clock), silent)
    assert ended == "the next candidate would not end in time (0 s of 99 s are left)"
    assert board.records == ()
    assert board.spent_s == 99
    fake = Fake(clock)
    seek(board, fake, LIMITS, Budget(), silent, max_candidates=1)
    assert fake.seen == cut_off.seen


def test_what_would_not_end_in_time_is_passed_over_for_what_does(tmp_path: Path) -> None:
    @dataclass
    class Dear(Fake):
        """A way on which cut layers take long."""

        def plan(self, candidate: Candidate) -> list[Part]:
            return (
                [Part("all"), Part("healed", candidate.layers_dropped)] if candidate.layers_dropped else [Part("all")]
            )

    clock = Clock()
    board, budget = open_board(tmp_path), Budget(205.0, clock=clock)
    budget.note(Part("healed", 1), 100.0)
    budget.note(Part("all"), 10.0)
    fake = Dear(clock)
    ended = seek(board, fake, LIMITS, budget, silent)
    late = fake.seen[11:]  # less than 100 s are left
    assert len(late) >= 5
    assert all(candidate.layers_dropped == 0 for candidate in late)
    assert "would not end in time" in ended


def test_a_candidate_that_runs_out_of_time_half_way_leaves_the_rest_to_others(tmp_path: Path) -> None:
    def stop(_: Candidate) -> None:
        if len(fake.seen) == 2:
            clock.now_s += 5
            raise OutOfTime

    clock = Clock()
    board = open_board(tmp_path)
    fake = Fake(clock, stop=stop)
    seek(board, fake, LIMITS, Budget(100.0, clock=clock), silent, max_candidates=4)
    # passed over once, then taken up again: what was made in between may be part of it
    assert fake.seen[3] == fake.seen[1]
    assert len(board.records) == 4
    assert board.spent_s == 45


def test_ctrl_c_keeps_what_is_measured_and_goes_on_with_the_same(tmp_path: Path) -> None:
    def stop(candidate: Candidate) -> None:
        if len(fake.seen) == 3:
            raise KeyboardInterrupt

    board, fake = open_board(tmp_path), Fake(Clock(), stop=stop)
    with pytest.raises(KeyboardInterrupt):
        seek(board, fake, LIMITS, Budget(), silent)
    board.close()
    again = open_board(tmp_path)
    assert [record.candidate for record in again.records] == fake.seen[:2]
    more = Fake(Clock())
    seek(again, more, LIMITS, Budget(), silent, max_candidates=4)
    assert more.seen[0] == fake.seen[2]
    assert not set(more.seen[1:]) & set(fake.seen)


def test_a_candidate_that_fails_is_recorded_and_what_is_beyond_it_stops_the_search(tmp_path: Path) -> None:
    told: list[Outcome] = []

    def stop(_: Candidate) -> None:
        if len(fake.seen) == 1:
            raise RecipeError("nothing would be left")
        if len(fake.seen) == 3:
            raise ArtifactError("altered")
        if len(fake.seen) == 4:
            raise StorageError("no space left")

    board, fake = open_board(tmp_path), Fake(Clock(), stop=stop)
    with pytest.raises(ArtifactError):
        seek(board, fake, LIMITS, Budget(), lambda _n, _c, outcome: told.append(outcome))
    assert [outcome.state for outcome in told] == ["failed", "complete"]
    assert board.records[0].outcome.reason == "nothing would be left"
    with pytest.raises(StorageError, match="no space left"):
        seek(board, fake, LIMITS, Budget(), silent)
    assert len(board.records) == 2


def test_a_server_that_is_slow_is_the_candidates_fault(tmp_path: Path) -> None:
    def stop(_: Candidate) -> None:
        if len(fake.seen) == 2:
            raise BurnishError("the server was not ready within 120 s") from TimeoutError()

    board, fake = open_board(tmp_path), Fake(Clock(), stop=stop)
    seek(board, fake, LIMITS, Budget(), silent, max_candidates=3)
    assert [record.outcome.state for record in board.records] == ["complete", "failed", "complete"]


def test_an_error_that_nobody_expected_is_a_failed_candidate_with_its_traceback_in_a_file(tmp_path: Path) -> None:
    def stop(_: Candidate) -> None:
        if len(fake.seen) == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nand more lines")

    told: list[Outcome] = []
    board, fake = open_board(tmp_path), Fake(Clock(), stop=stop)
    seek(board, fake, LIMITS, Budget(), lambda _n, _c, outcome: told.append(outcome), max_candidates=3)
    assert [outcome.state for outcome in told] == ["complete", "failed", "complete"]
    path = tmp_path / "candidate-2.txt"
    assert told[1].reason == f"RuntimeError: CUDA out of memory. Tried to allocate 2 GiB; its traceback: {path}"
    assert 'raise RuntimeError("CUDA out of memory' in path.read_text()
    board.close()
    again = open_board(tmp_path)
    assert again.records[1].outcome == told[1]
    more = Fake(Clock())
    seek(again, more, LIMITS, Budget(), silent)
    assert fake.seen[1] not in more.seen


def test_a_machine_that_fails_every_candidate_ends_the_search_before_all_are_lost(tmp_path: Path) -> None:
    def stop(_: Candidate) -> None:
        if len(fake.seen) in (1, 2, 4, 5, 6):
            raise IndexError

    board, fake = open_board(tmp_path), Fake(Clock(), stop=stop)
    ended = seek(board, fake, LIMITS, Budget(), silent)
    assert ended == "3 candidates in a row broke off with an error nobody expected; is the machine sound?"
    assert len(fake.seen) == 6
    assert "IndexError: it said nothing" in board.records[0].outcome.reason


def test_a_full_disk_is_what_the_user_hears_of_even_where_the_journal_refuses_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Candidate) -> None:
        raise StorageError("no space left")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    board = open_board(tmp_path)
    monkeypatch.setattr(board, "set_aside", full)
    with pytest.raises(StorageError, match="no space left"):
        seek(board, Fake(Clock(), stop=stop), LIMITS, Budget(), silent)


def test_a_traceback_that_the_disk_refuses_stops_the_search(tmp_path: Path) -> None:
    def stop(_: Candidate) -> None:
        (tmp_path / "candidate-1.txt").mkdir()  # a file there cannot be written
        raise RuntimeError("out of memory")

    board = open_board(tmp_path)
    with pytest.raises(StorageError, match="cannot write in"):
        seek(board, Fake(Clock(), stop=stop), LIMITS, Budget(), silent)
    assert board.records == ()


def test_what_other_limits_measured_is_used_and_does_not_count(tmp_path: Path) -> None:
    board = open_board(tmp_path)
    seek(board, Fake(Clock()), LIMITS, Budget(), silent, max_candidates=3)
    board.close()
    other = open_board(tmp_path, order="b")
    fake = Fake(Clock())
    for _ in range(2):  # the same command again tries no more
        assert seek(other, fake, LIMITS, Budget(), silent, max_candidates=2) == "max_candidates, 2, were tried"
        assert len(fake.seen) == 2
    assert len(other.records) == 5


def test_other_limits_use_what_is_measured_and_reopen_what_was_rejected(tmp_path: Path) -> None:
    @dataclass
    class Picky(Fake):
        def attempt(self, number: int, candidate: Candidate, planned: list[Part]) -> Outcome:
            whole = super().attempt(number, candidate, planned)
            judged = Figures(quality_frac=whole.figures.quality_frac)
            reason = refusal(LIMITS, Proxy(), judged, is_to_be_trained=False)
            return Outcome("rejected", judged, reason) if reason else whole

    board = open_board(tmp_path)
    seek(board, Picky(Clock()), LIMITS, Budget(), silent)
    num_rejected = sum(record.outcome.state == "rejected" for record in board.records)
    assert 0 < num_rejected < 72
    board.close()
    loose = open_board(tmp_path, limits=Limits(min_quality=0.1), order="b")
    assert loose.spent_s == 0
    assert len(loose.records) == 72 - num_rejected
    fake = Fake(Clock())
    seek(loose, fake, Limits(min_quality=0.1), Budget(), silent)
    assert len(fake.seen) == num_rejected


def test_one_process_at_a_time(tmp_path: Path) -> None:
    board = open_board(tmp_path)
    with pytest.raises(BurnishError, match="another process runs this very search"):
        open_board(tmp_path)
    board.close()
    open_board(tmp_path)


KILLED = """
import sys, time
sys.path[:0] = {path!r}
from test_optimize_seek import *
def stop(candidate):
    if len(fake.seen) == {at}:
        print("ready", candidate.words, flush=True)
        time.sleep(60)
board, fake = open_board(Path({folder!r})), Fake(Clock(), stop=stop)
seek(board, fake, LIMITS, Budget(), silent)
"""


def kill_at(folder: Path, at: int) -> str:
    """Begin a search in a process of its own and kill it at a candidate; give that one in words."""
    code = KILLED.format(path=[str(Path(__file__).parent), *sys.path], at=at, folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert line.startswith("ready"), line
    return line.removeprefix("ready").strip()


def test_kill_9_loses_nothing_and_a_candidate_that_kills_twice_has_failed(tmp_path: Path) -> None:
    under_way = kill_at(tmp_path, 3)
    board = open_board(tmp_path)
    assert len(board.records) == 2
    taken = board.take(LIMITS)
    assert taken is not None
    assert taken.words == under_way
    board.close()
    assert kill_at(tmp_path, 1) == under_way
    (journal,) = tmp_path.glob("*.journal")
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "worker')  # a line torn by the kill
    warned: list[str] = []
    board = Board(tmp_path, SPACE, order="a", seed=0, is_still=lambda _: True, warn=warned.append)
    assert "ended in the middle of a line" in warned[0]
    assert [record.outcome.state for record in board.records] == ["complete", "complete", "failed"]
    assert "died 2 times" in board.records[-1].outcome.reason
    fake = Fake(Clock())
    begun_s = time.monotonic()
    seek(board, fake, LIMITS, Budget(), silent, max_candidates=6)
    assert under_way not in [candidate.words for candidate in fake.seen]
    assert time.monotonic() - begun_s < 60
