"""The whole chain under one search: a base, text of its domain and limits in; the served model that meets them out."""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from burnish.artifacts import Artifact, DatasetArtifact, ReportArtifact
from burnish.artifacts.digest import json_digest, plain
from burnish.data.clean import CleanConfig
from burnish.data.collect import CollectConfig
from burnish.data.find_copies import FindCopiesConfig
from burnish.data.select import SelectConfig
from burnish.data.split import SplitConfig
from burnish.errors import ArtifactError, GateFailed, RecipeError
from burnish.evaluate.latency import LoadConfig
from burnish.evaluate.race import RaceConfig, race
from burnish.loop.curate import curate
from burnish.loop.gated import Gated
from burnish.loop.optimizing.answer import found_of
from burnish.loop.optimizing.board import Board
from burnish.loop.optimizing.budget import Budget, Clock
from burnish.loop.optimizing.limits import Limits, Prefer, misses
from burnish.loop.optimizing.quality import Judge, Proxy, Quality, TextKept, refusal
from burnish.loop.optimizing.seek import seek
from burnish.loop.optimizing.space import Candidate, Space
from burnish.loop.optimizing.way import Outcome, Way
from burnish.report.optimize_found import Found
from burnish.report.optimize_page import OptimizePageConfig, Optimum, write_optimize_page
from burnish.runtime import Run
from burnish.runtime.code import code_digest
from burnish.runtime.events import Metrics, Noted, Progress, Warned
from burnish.train.base import BaseConfig, take_base

SEARCHES = "searches"  # folder in the store, one search a folder; outlives runs, so that the same command goes on


@dataclass(frozen=True)
class OptimizeRecipe:
    """All values of a search over the whole chain; a recipe in YAML fills them.

    Attributes:
        collect: text of the domain: to tune, calibrate and heal on, and, held out, to measure and to serve.
        base: the model; `kind: local_model` takes a folder.
        space: what is tried.
        limits: what the answer must keep.
        prefer: which of those that keep them is the answer: most tokens a second, fewest bytes, highest quality.
        quality: text_kept (1 over the perplexity ratio) or task_accuracy (a labelled task).
        proxy: when a candidate is given up before it is served.
        load: what each candidate serves; its threads are the candidate's.
        num_rounds: at the end the base and the answer are loaded in turn so many times, for what they say of each other
            hangs on what else the machine does; 0 leaves it out.
        max_seconds: for the whole search, those of the same search before a stop counted; null sets no end.
        max_candidates: at most so many tried for these limits and this preference; null sets no end.
        seed: a recipe's other seeds refer to this one (`${seed}`).
        track: trackers that follow the run beside events.jsonl.
    """

    collect: CollectConfig
    base: BaseConfig = field(default_factory=BaseConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    find_copies: FindCopiesConfig = field(default_factory=FindCopiesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    space: Space = field(default_factory=Space)
    limits: Limits = field(default_factory=Limits)
    prefer: Prefer = "speed"
    quality: Quality = field(default_factory=TextKept)
    proxy: Proxy = field(default_factory=Proxy)
    load: LoadConfig = field(default_factory=LoadConfig)
    num_rounds: int = 3
    max_seconds: float | None = 3600.0
    max_candidates: int | None = None
    report: OptimizePageConfig = field(default_factory=OptimizePageConfig)
    seed: int = 0
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        Budget(self.max_seconds)  # refuses what is no time
        if self.num_rounds < 0:
            raise RecipeError(f"num_rounds is {self.num_rounds}; it must be at least 0, which races nothing")
        if self.max_candidates is not None and self.max_candidates < 1:
            raise RecipeError(f"max_candidates is {self.max_candidates}; it must be at least 1, or null for no end")


def optimize_chain(run: Run, recipe: OptimizeRecipe, *, clock: Clock = time.monotonic) -> ReportArtifact:
    """Search, and write the page.

    Raises:
        GateFailed: no candidate meets the limits; the page is sealed all the same.
    """
    budget = Budget(recipe.max_seconds, clock=clock)
    data = curate(Gated(run, {}), recipe.collect, recipe)[-1]
    base = run(take_base, config=recipe.base, label="base")
    judge = Judge.prepare(partial(run, label="base reading"), recipe.quality, recipe.proxy, base, data)
    way = Way(run, recipe.space, base, data, judge, recipe.limits, recipe.load, budget)
    reference = way.reference()
    if run.is_dry:
        return _planned(run, recipe, way)
    board = _open(run, recipe, search_key(recipe, judge))
    budget.spent_before_s = board.spent_s
    budget.reserved_s = 2 * recipe.num_rounds * run.store.open(reference.digests["load"]).manifest.seconds
    try:
        tell = partial(_tell, run, recipe, board)
        ended = seek(board, way, recipe.limits, budget, tell, max_candidates=recipe.max_candidates)
        found = _raced(run, recipe, data, found_of(recipe, reference, board.records, ended), board)
        _warn_of_failed(run, board)
    finally:
        board.close()
    digests = {digest for row in found.rows for _, digest in row.digests} | ({found.race} if found.race else set())
    made = [artifact for digest in sorted(digests) if (artifact := run.store.find(digest)) is not None]
    first: list[Artifact] = [data, base, judge.beside]
    report = run(
        write_optimize_page, *first, *_without(first, made), config=Optimum(recipe.report, found), label="report"
    )
    if found.answer is None:
        raise GateFailed(f"{found.verdict} The page: {report.payload / 'index.html'}")
    return report


def _raced(run: Run, recipe: OptimizeRecipe, data: DatasetArtifact, found: Found, board: Board) -> Found:
    """Load the base and the answer in turn."""
    if found.answer is None or not recipe.num_rounds:
        return found
    answer = next(each for each in board.records if each.number == found.answer)
    base = found.rows[0].digest("served")
    first, second = (run.store.open(digest) for digest in (base, answer.outcome.digests["served"]))
    loads = RaceConfig(recipe.load, replace(recipe.load, threads=answer.candidate.threads), recipe.num_rounds)
    return replace(found, race=run(race, first, second, data, config=loads, label="base and answer in turn").digest)


def _planned(run: Run, recipe: OptimizeRecipe, way: Way) -> ReportArtifact:
    """Plan the first candidate; which come after it depends on what is measured."""
    candidates = recipe.space.candidates()
    way.attempt(1, candidates[0], [])
    run.events.emit(
        Warned(
            f"the plan shows the base and the first candidate ({candidates[0].words}); the space has {len(candidates)}, and "
            f"the budget is {'without end' if recipe.max_seconds is None else f'{recipe.max_seconds:g} s'}"
        )
    )
    return ReportArtifact("", "", None)


def search_key(recipe: OptimizeRecipe, judge: Judge) -> str:
    """Name a search: of this base, text, space and measurement, whatever the limits are.

    The code is that of a candidate's whole way, which imports every stage that it may call.
    """
    key = {
        "parents": [judge.base.digest, judge.data.digest, judge.beside.digest],
        "values": [plain(part) for part in (recipe.space, recipe.quality, recipe.proxy, recipe.load, recipe.seed)],
        "code": code_digest(Way),
    }
    return json_digest(key)[:16]


def _open(run: Run, recipe: OptimizeRecipe, key: str) -> Board:
    """Open the journal of a search."""
    order = json_digest([plain(recipe.limits), recipe.prefer])

    def is_still(outcome: Outcome) -> bool:
        if not all(_is_there(run, digest) for digest in outcome.digests.values()):
            return False
        return outcome.state != "rejected" or bool(
            refusal(recipe.limits, recipe.proxy, outcome.figures, is_to_be_trained=outcome.is_early)
        )

    return Board(
        run.store.root / SEARCHES / key,
        recipe.space,
        order=order,
        seed=recipe.seed,
        is_still=is_still,
        warn=lambda words: run.events.emit(Warned(words)),
    )


def _is_there(run: Run, digest: str) -> bool:
    try:
        return run.store.find(digest) is not None
    except ArtifactError:
        return False  # it is corrupt; the candidate is tried again, and the run mends it


def _tell(run: Run, recipe: OptimizeRecipe, board: Board, number: int, candidate: Candidate, outcome: Outcome) -> None:
    """Tell consoles and trackers how a candidate ended."""
    figures = outcome.figures
    names = ("quality_frac", "p99_ms", "memory_bytes", "size_bytes", "throughput_tokens_per_s")
    values = {name: float(value) for name in names if (value := getattr(figures, name)) is not None}
    run.events.emit(Metrics("optimize", number, values))
    missed = "; ".join(miss.words for miss in misses(recipe.limits, figures))
    short = outcome.reason or missed or "within the limits"
    how = "" if outcome.state == "complete" else f"{outcome.state}, "
    run.events.emit(Noted(f"candidate {number}, {candidate.words}: {how}{short}"))
    size, records = len(recipe.space.candidates()), board.records
    total = min(size, sum(not each.is_own for each in records) + (recipe.max_candidates or size))
    run.events.emit(Progress("optimize", "candidates", len(records), total, "candidates", candidate.words))


def _warn_of_failed(run: Run, board: Board) -> None:
    """Say how many candidates failed, and what to delete so that they are tried again."""
    failed = [each for each in board.records if each.outcome.state == "failed"]
    if not failed:
        return
    loads = (run.store.find(each.outcome.digests["load"]) for each in failed if "load" in each.outcome.digests)
    paths = [board.folder, *(load.payload.parent for load in loads if load is not None)]
    run.events.emit(
        Warned(
            f"candidates that failed, of {len(board.records)}: {len(failed)}; this search does not try them again. To try "
            f"them all the same, delete {' and '.join(map(str, paths))}, and give the same command: what is sealed is not "
            "made again, but the budget begins anew"
        )
    )


def _without(first: list[Artifact], made: list[Artifact]) -> list[Artifact]:
    known = {artifact.digest for artifact in first}
    return [artifact for artifact in made if artifact.digest not in known]
