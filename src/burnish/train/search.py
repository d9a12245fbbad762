"""Search for the values a training learns best with, in three stages: how fast, which shape, how regularised.

Each stage starts from the best of those before it. A stage of its own space needs few trials, and pairs across stages
are not tried: what suits the rate found first may not be the best of all.
"""

import json
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.records import read_labelled
from burnish.runtime import Workdir, need
from burnish.runtime.recipes import choice_name, given
from burnish.train.finetune import FinetuneConfig
from burnish.train.learning import Learning
from burnish.train.searching.findings import Trial, best_of, evidence_of, importance_of, trials_of
from burnish.train.searching.job import Board, Job, Running, begin, open_board
from burnish.train.searching.journal import open_journal
from burnish.train.searching.pruning import Median, Pruning
from burnish.train.searching.space import Point, Rates, Regularisation, Stage, Value, own_point, stages_of, with_point
from burnish.train.searching.telling import Teller
from burnish.train.searching.workers import work_apart, work_here


@dataclass(frozen=True)
class SearchPlan:
    """Say what is tried, how long, and by how many.

    Attributes:
        rates: stage 1, learning rate and batch; null leaves it out.
        shape: stage 2, a grid: names of the method's numbers, each with the values to try. null takes dropout and rank
            of LoRA, or what the method has in their place; {} leaves the stage out.
        regularisation: stage 3, weight decay and label smoothing; null leaves it out.
        trial_rows: packed rows that every trial learns from, whatever its batch.
        num_validations: of a trial; at each it may be pruned.
        pruning: how trials that do worse are ended.
        workers: processes that try at the same time; one gives the same trials at every run.
        max_seconds: at most so long for all trials, shared out among the stages by their trials; null sets no end.
    """

    rates: Rates | None = field(default_factory=Rates)
    shape: dict[str, tuple[bool | int | float, ...]] | None = None
    regularisation: Regularisation | None = field(default_factory=Regularisation)
    trial_rows: int = 64
    num_validations: int = 4
    pruning: Pruning = field(default_factory=Median)
    workers: int = 1
    max_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("trial_rows", "num_validations", "workers"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise RecipeError(f"max_seconds is {self.max_seconds}; it must be above 0, or null for no end")
        if self.rates is not None and max(self.rates.rows_per_step) > self.trial_rows:
            raise RecipeError(
                f"rates.rows_per_step goes to {max(self.rates.rows_per_step)}, trial_rows is {self.trial_rows}; a trial "
                "must have rows for one step at least"
            )


@dataclass(frozen=True)
class SearchConfig:
    """Say what to search for.

    Attributes:
        train: whose values are changed; the first trial has its own.
        recipe: the other values of a training recipe, which best.yaml repeats to be one by itself.
    """

    train: Learning
    plan: SearchPlan = field(default_factory=SearchPlan)
    recipe: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.stages:
            raise RecipeError("search has nothing to try; give it rates, shape or regularisation")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Give the stages in order."""
        return stages_of(self.train, self.plan.rates, self.plan.shape, self.plan.regularisation)


def search(out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: SearchConfig) -> Draft[ReportArtifact]:
    """Try values stage by stage; write best.yaml, every trial, and what mattered. A killed search goes on.

    Raises:
        BurnishError: no trial finished, or the data does not suit the task.
    """
    plan, train = config.plan, config.train
    num_held_out = _num_held_out(train, data)
    job = Job(out.snapshots, base, data, train, plan.trial_rows, plan.num_validations, plan.pruning, plan.seed)
    own = own_point(train, config.stages)
    with out.progress("trials", total=sum(stage.num_trials for stage in config.stages), unit="trials") as bar:
        boards = _run_stages(out, job, config, own, Teller(out, bar))
    found = best_of(boards)
    trials = trials_of(boards)
    if found is None:
        raise BurnishError(_nothing(trials, plan))
    point = found[1]
    best = next(trial for trial in trials if trial.state == "complete" and trial.values == point)
    importance = {board.running.stage.name: importance_of(board, plan.seed) for board in boards}
    _write(out, config, trials, best, own, importance)
    summary = (
        f"{len(trials)} trials of {plan.trial_rows} rows in {len(boards)} stages; best validation loss "
        f"{best.loss_nats:.4g} nats with {_words(point)}."
    )
    evidence = evidence_of(trials, best, own, importance, num_held_out=num_held_out)
    return Draft(ReportArtifact, evidence, summary)


def best_train(train: Learning, point: Point) -> Learning:
    """Set the best values; a larger batch has as many fewer steps, so that the training learns from as many rows."""
    tuned = with_point(train, point)
    rows = train.loop.num_steps * train.loop.rows_per_step
    return replace(tuned, loop=replace(tuned.loop, num_steps=max(1, round(rows / tuned.loop.rows_per_step))))


def _run_stages(out: Workdir, job: Job, config: SearchConfig, own: Point, teller: Teller) -> list[Board]:
    plan, stages = config.plan, config.stages
    boards: list[Board] = []
    begun_unix_s = time.time() - _spent_s(job, out) / plan.workers
    num_planned = sum(stage.num_trials for stage in stages)
    num_before = 0
    for stage in stages:
        num_before += stage.num_trials
        limit_s = math.inf if plan.max_seconds is None else plan.max_seconds * num_before / num_planned
        found = best_of(boards)
        running = Running(stage, own if found is None else found[1], begun_unix_s + limit_s)
        board = open_board(job, running, warn=out.warn)
        num_back = board.take_back()
        if num_back:
            out.warn(f"{num_back} trials of stage {stage.name} were cut off by a kill; they are tried again")
        begin(board, None if found is None else found[0])
        teller.open(board)
        if plan.workers == 1:
            work_here(board, teller.say, teller.tell)
        else:
            work_apart(board, plan.workers, out.warn, teller.tell)
        teller.close()
        boards.append(board)
    return boards


def _num_held_out(train: Learning, data: DatasetArtifact) -> int:
    """Count the records by which trials are judged; wrong labels are found before the first of them begins."""
    if isinstance(train, FinetuneConfig):
        return len(read_labelled(data, "validation", train.task.labels, at_most=train.validation_records))
    parquet = need("pyarrow.parquet", extra="data")
    files = (data.payload / "data").glob("validation*.parquet")
    num_rows: int = sum(parquet.read_metadata(file).num_rows for file in files)
    return max(1, min(train.validation_records, num_rows))


def _spent_s(job: Job, out: Workdir) -> float:
    """Add up how long trials took so far, in this run and before a kill."""
    optuna = need("optuna", extra="search")
    if not job.journal_path.exists():
        return 0.0
    storage = open_journal(job.journal_path, warn=out.warn)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
    return sum((t.user_attrs.get("seconds", 0.0) for study in studies for t in study.get_trials(deepcopy=False)), 0.0)


def _write(
    out: Workdir,
    config: SearchConfig,
    trials: tuple[Trial, ...],
    best: Trial,
    own: Point,
    importance: dict[str, dict[str, float]],
) -> None:
    import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

    stages = [
        {
            "name": stage.name,
            "is_grid": stage.is_grid,
            "domains": {name: str(domain) for name, domain in stage.domains.items()},
            "importance": importance.get(stage.name, {}),
        }
        for stage in config.stages
    ]
    at_own = next((t.loss_nats for t in trials if t.state == "complete" and t.values == own), None)
    body = {
        "stages": stages,
        "own": {"values": own, "loss_nats": at_own},
        "best": {"values": best.values, "loss_nats": best.loss_nats, "trial": best.trial, "stage": best.stage},
        "trial_rows": config.plan.trial_rows,
    }
    (out / "search.json").write_text(json.dumps(body, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    rows = "".join(json.dumps(trial.row(), allow_nan=False) + "\n" for trial in trials)
    (out / "trials.jsonl").write_text(rows, encoding="utf-8")
    tuned = best_train(config.train, best.values)
    recipe = {**config.recipe, "train": {"kind": choice_name(type(config.train)), **given(tuned)}}
    head = (
        f"# Found by `burnish train search`: {_words(best.values)}.\n"
        f"# Validation loss {best.loss_nats:.6g} nats after {config.plan.trial_rows} rows, trial {best.trial} of "
        f"{len(trials)}.\n"
    )
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=120)
    (out / "best.yaml").write_text(head + text, encoding="utf-8")


def _words(point: Point) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in point.items())


def _shown(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()


def _nothing(trials: tuple[Trial, ...], plan: SearchPlan) -> str:
    num_failed = sum(trial.state == "failed" for trial in trials)
    last = next((trial.reason for trial in reversed(trials) if trial.reason), "none began")
    remedy = "lower search.rates.learning_rate" if num_failed else "raise search.max_seconds"
    limit = "" if plan.max_seconds is None else f" within {plan.max_seconds:g} s"
    return f"no trial finished{limit}: {len(trials)} began, {num_failed} failed, the last because: {last}; {remedy}"
