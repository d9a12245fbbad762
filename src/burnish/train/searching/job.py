"""The job: what every worker of a search must know, and which values a stage tries next."""

import os
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.runtime import need
from burnish.train.learning import Learning
from burnish.train.searching.journal import open_journal, turn
from burnish.train.searching.pruning import Pruning, open_pruner
from burnish.train.searching.space import Domain, LogRange, OneOf, Point, Range, Stage

STALE, CARRIED = "stale", "carried"  # marks of trials that were cut off, and of a result taken from the stage before
_MAX_ATTEMPTS = 2  # a trial whose process dies so often is at fault itself


@dataclass(frozen=True)
class Job:
    """One search.

    Attributes:
        folder: of the journal and of trials under way; outlives a kill.
        trial_rows: packed rows that a trial learns from.
        num_validations: of a trial, evenly spread; each may end it.
    """

    folder: Path
    base: ModelArtifact
    data: DatasetArtifact
    train: Learning
    trial_rows: int
    num_validations: int
    pruning: Pruning
    seed: int

    @property
    def journal_path(self) -> Path:
        """Name the journal."""
        return self.folder / "trials.journal"

    @property
    def turn_path(self) -> Path:
        """Name the lock of the worker that decides what is tried next."""
        return self.folder / "turn.lock"


@dataclass(frozen=True)
class Running:
    """A stage under way.

    Attributes:
        fixed: the best values of the stages before; a trial changes the stage's own among them.
        deadline_unix_s: no trial goes on after it.
    """

    stage: Stage
    fixed: Point
    deadline_unix_s: float

    @property
    def is_over(self) -> bool:
        """Tell whether the stage's time is used up."""
        return time.time() >= self.deadline_unix_s


@dataclass
class Board:
    """A stage's trials in the journal."""

    study: Any
    job: Job
    running: Running

    @property
    def trials(self) -> list[Any]:
        """List the trials that count: those cut off by a kill and the one carried over do not."""
        return [t for t in self.study.get_trials(deepcopy=False) if not {STALE, CARRIED} & t.user_attrs.keys()]

    @property
    def is_full(self) -> bool:
        """Tell whether no trial is left to begin."""
        waiting = need("optuna", extra="search").trial.TrialState.WAITING
        trials, stage = self.trials, self.running.stage
        if any(trial.state == waiting for trial in trials):
            return False
        return stage.is_grid or len(trials) >= stage.num_trials

    def take(self) -> Any | None:
        """Begin the next trial; None where the stage is done or its time is up. One worker decides at a time."""
        with turn(self.job.turn_path):
            if self.running.is_over or self.is_full:
                return None
            number = len(self.trials)
            self.study.sampler = open_sampler(self.running.stage, f"{self.job.seed} {self.study.study_name} {number}")
            trial = self.study.ask(fixed_distributions=distributions(self.running.stage))
            trial.set_user_attr("process", os.getpid())
            return trial

    def take_back(self, process: int | None = None) -> int:
        """Queue again what a dead process had under way, or everybody's; give how many. Twice dead is failed."""
        state = need("optuna", extra="search").trial.TrialState
        with turn(self.job.turn_path):
            cut_off = [
                trial
                for trial in self.study.get_trials(deepcopy=False, states=(state.RUNNING,))
                if process is None or trial.user_attrs.get("process", process) == process
            ]
            for trial in cut_off:
                self._give_up(trial)
                self.study.tell(trial.number, state=state.FAIL)
        return len(cut_off)

    def _give_up(self, trial: Any) -> None:
        """Mark a trial that was cut off, and queue its values again; those it had not yet got are drawn anew."""
        if STALE in trial.user_attrs:
            return  # a kill came between this and the next line, and `begin` queues what is missing
        storage, key = self.study._storage, trial._trial_id  # another process's trial has no door
        number = trial.user_attrs.get("attempt", 1)
        if number >= _MAX_ATTEMPTS:
            storage.set_trial_user_attr(key, "reason", f"its process died {number} times; too little memory?")
            return
        storage.set_trial_user_attr(key, STALE, value=True)
        if trial.params.keys() == self.running.stage.domains.keys():
            self.study.enqueue_trial(trial.params, user_attrs={"attempt": number + 1})


def open_board(job: Job, running: Running, *, warn: Callable[[str], None]) -> Board:
    """Open a stage's trials, for a worker or to begin it."""
    optuna = need("optuna", extra="search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=open_journal(job.journal_path, warn=warn),
        study_name=running.stage.name,
        pruner=open_pruner(job.pruning),
        load_if_exists=True,
    )
    return Board(study, job, running)


def begin(board: Board, best: Any | None) -> None:
    """Queue what a stage tries whatever happens: a grid's pairs, or the values so far where nobody has tried them.

    Args:
        board: of the stage.
        best: the best trial of the stages before, whose loss this stage need not measure again; None at the first.
    """
    optuna = need("optuna", extra="search")
    stage, fixed = board.running.stage, board.running.fixed
    own = {name: fixed[name] for name in stage.domains}
    is_held = stage.holds(own)
    if (
        best is not None
        and is_held
        and not any(CARRIED in t.user_attrs for t in board.study.get_trials(deepcopy=False))
    ):
        board.study.add_trial(
            optuna.trial.create_trial(
                params=own,
                distributions=distributions(stage),
                value=best.value,
                intermediate_values=best.intermediate_values,
                user_attrs={CARRIED: True},
            )
        )
    points = stage.points if stage.is_grid else [own] if is_held else []
    known = [trial.system_attrs.get("fixed_params", trial.params) for trial in board.trials]
    for point in points:
        if point not in known and (best is None or point != own):
            board.study.enqueue_trial(point)


def distributions(stage: Stage) -> dict[str, Any]:
    """Give Optuna's form of the domains."""
    return {name: _distribution(domain) for name, domain in stage.domains.items()}


def open_sampler(stage: Stage, seed: str) -> Any:
    """Give the sampler of one trial.

    Each trial has a seed of its own, so that the next point depends on the trials before alone and a search that was
    killed goes on as it would have. Source: Bergstra et al. 2011 (TPE, NIPS 24, section 4); a third of the trials, at
    most ten, are drawn blindly first.
    """
    samplers = need("optuna", extra="search").samplers
    number = random.Random(seed).randrange(2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's notes on what it calls experimental
        return samplers.TPESampler(seed=number, n_startup_trials=min(10, max(1, stage.num_trials // 3)))


def _distribution(domain: Domain) -> Any:
    distributions = need("optuna", extra="search").distributions
    match domain:
        case OneOf(values=values):
            return distributions.CategoricalDistribution(values)
        case Range(low=low, high=high):
            return distributions.FloatDistribution(low, high, log=isinstance(domain, LogRange))
