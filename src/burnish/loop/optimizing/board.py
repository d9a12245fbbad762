"""The board: every candidate that was tried, in Optuna's journal, and which is tried next."""

import os
import random
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.loop.optimizing.limits import Figures, Limits, shortfalls
from burnish.loop.optimizing.space import NAMES, Candidate, Space
from burnish.loop.optimizing.way import Outcome
from burnish.runtime import need
from burnish.train.searching.journal import hold, open_journal

_STALE, _DIED = "stale", "died"  # marks of what was cut off, and of what a kill cut off
_MAX_DEATHS = 2  # a candidate whose process dies so often is at fault itself
_BLIND = 4  # drawn blindly before the sampler learns; a candidate costs minutes, so fewer than Optuna's 10
_ORDERED = ("ffn_frac", "layers_dropped", "heal_steps", "threads")
_DIRECTIONS = ("maximize", "minimize", "minimize")  # quality, latency, memory
_TRIES = 20
_LEAST_MISS = 1e-3  # a candidate that was given up is never within the limits, however near it came


@dataclass(frozen=True)
class Record:
    """Hold one candidate that has ended.

    Attributes:
        number: counted from 1 in the order of their beginning.
        seconds: that it took.
        is_own: tried for this order, not for another that shares the journal.
    """

    number: int
    candidate: Candidate
    outcome: Outcome
    seconds: float
    is_own: bool


class Board:
    """Keep the journal of one search; one process at a time.

    Args:
        folder: of the journal.
        order: digest of what was asked for beside the space; time is counted by it.
        is_still: tells whether an outcome holds: its artifacts are there, its rejection is one under today's limits.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        order: str,
        seed: int,
        is_still: Callable[[Outcome], bool],
        warn: Callable[[str], None],
    ) -> None:
        optuna = need("optuna", extra="search")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = hold(
            folder / "search.lock",
            "another process runs this very search; wait for it, stop it, or give this one another space or --store",
        )
        self._space, self._order, self._seed, self._is_still = space, order, seed, is_still
        self._study = optuna.create_study(
            storage=open_journal(folder / "candidates.journal", warn=warn),
            study_name="candidates",
            directions=_DIRECTIONS,
            load_if_exists=True,
        )
        self._take_back()

    def close(self) -> None:
        """Let another process have the search."""
        os.close(self._lock)

    @property
    def spent_s(self) -> float:
        """Add up the seconds of candidates that were tried for this order."""
        return sum(
            (t.user_attrs.get("seconds", 0.0) for t in self._trials() if t.user_attrs["order"] == self._order), 0.0
        )

    @property
    def records(self) -> tuple[Record, ...]:
        """List the candidates whose outcome holds, numbered as they came."""
        ended = [trial for trial in self._trials() if trial.state.is_finished() and _STALE not in trial.user_attrs]
        found = [
            Record(
                number=number,
                candidate=self._space.candidate(trial.params),
                outcome=_outcome(trial),
                seconds=trial.user_attrs.get("seconds", 0.0),
                is_own=trial.user_attrs["order"] == self._order,
            )
            for number, trial in enumerate(ended, start=1)
        ]
        latest = {each.candidate: each for each in found}
        held = (each for each in latest.values() if self._is_still(each.outcome))
        return tuple(sorted(held, key=lambda each: each.number))

    @property
    def next_number(self) -> int:
        """Give the number that the next candidate gets."""
        return 1 + sum(_STALE not in trial.user_attrs for trial in self._trials())

    def take(self, limits: Limits, without: Collection[Candidate] = ()) -> Candidate | None:
        """Choose the next candidate; None where all were tried. What was cut off comes first.

        Args:
            without: candidates that are passed over this time. What follows them is drawn: the sampler would propose
                their like.
        """
        known = {record.candidate for record in self.records}
        gone = known.union(without)
        for trial in self._trials():
            candidate = self._space.candidate(trial.params)
            if _STALE in trial.user_attrs and candidate not in gone:
                return candidate
        fresh = [candidate for candidate in self._space.candidates() if candidate not in gone]
        if not fresh or not known:
            return fresh[0] if fresh else None
        rng = random.Random(f"{self._seed} {len(gone)}")
        return rng.choice(fresh) if without else self._propose(limits, set(fresh), rng)

    def begin(self, candidate: Candidate) -> int:
        """Write down that a candidate has begun; give what it is told by."""
        optuna = need("optuna", extra="search")
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=candidate.values,
                distributions=self._distributions(),
                user_attrs={"order": self._order},
            )
        )
        number: int = self._study.get_trials(deepcopy=False)[-1].number
        return number

    def tell(self, number: int, outcome: Outcome, seconds: float) -> None:
        """Write down how a candidate ended."""
        state = need("optuna", extra="search").trial.TrialState
        self._attributes(number, seconds=seconds, outcome=asdict(outcome))
        figures = outcome.figures
        if outcome.state == "complete":
            self._study.tell(number, [figures.quality_frac, figures.p99_ms, figures.memory_bytes])
        else:
            self._study.tell(number, state=state.PRUNED if outcome.state == "rejected" else state.FAIL)

    def set_aside(self, number: int, seconds: float) -> None:
        """Write down that a candidate was stopped; it is tried again first."""
        self._attributes(number, seconds=seconds, **{_STALE: True})
        self._study.tell(number, state=need("optuna", extra="search").trial.TrialState.FAIL)

    def _propose(self, limits: Limits, fresh: set[Candidate], rng: random.Random) -> Candidate:
        """Ask the sampler for a candidate that nobody has tried; draw one where it only repeats itself.

        Its study is rebuilt in memory from the journal, with constraints by today's limits. Source: multi-objective TPE,
        Ozaki et al. 2022 (doi:10.1613/jair.1.13188), with constraints as Optuna has them (arXiv 2606.09889). NSGA-II is
        of no use here: one generation of it, 50 by default, is more candidates than a search can afford.
        """
        optuna = need("optuna", extra="search")
        study = optuna.create_study(directions=_DIRECTIONS)
        axes = {name: self._axis(name) for name in NAMES if len(self._space.axis(name)) > 1}
        for record in self.records:
            frozen = _frozen(record, limits, axes, self._space)
            if frozen is not None:
                study.add_trial(frozen)
        for _ in range(_TRIES):
            study.sampler = optuna.samplers.TPESampler(seed=rng.randrange(2**32), n_startup_trials=_BLIND)
            asked = study.ask(fixed_distributions=axes).params
            point = {name: self._space.axis(name)[asked.get(name, 0)] for name in NAMES}
            candidate = self._space.candidate(point)
            if candidate in fresh:
                return candidate
        return rng.choice(sorted(fresh, key=repr))

    def _axis(self, name: str) -> Any:
        """Give Optuna's form of an axis: places in the list, with an order where the values have one."""
        distributions = need("optuna", extra="search").distributions
        size = len(self._space.axis(name))
        ordered = distributions.IntDistribution(0, size - 1)
        return ordered if name in _ORDERED else distributions.CategoricalDistribution(tuple(range(size)))

    def _distributions(self) -> dict[str, Any]:
        """Give the journal's: the values themselves, and no healing for what was not cut."""
        categorical = need("optuna", extra="search").distributions.CategoricalDistribution
        axes = {name: self._space.axis(name) for name in NAMES}
        axes["heal_steps"] = tuple(dict.fromkeys((0, *axes["heal_steps"])))
        return {name: categorical(values) for name, values in axes.items()}

    def _trials(self) -> list[Any]:
        trials: list[Any] = self._study.get_trials(deepcopy=False)
        return trials

    def _attributes(self, number: int, **values: Any) -> None:
        key = self._trials()[number]._trial_id  # one that was added has no door of its own
        for name, value in values.items():
            self._study._storage.set_trial_user_attr(key, name, value)

    def _take_back(self) -> None:
        """Mark what a kill cut off, to be tried again; what was twice cut off has failed."""
        state = need("optuna", extra="search").trial.TrialState
        for trial in self._trials():
            if trial.state != state.RUNNING:
                continue
            deaths = 1 + sum(_DIED in t.user_attrs and t.params == trial.params for t in self._trials())
            if deaths >= _MAX_DEATHS:
                reason = f"its process died {deaths} times; too little memory?"
                self.tell(trial.number, Outcome("failed", reason=reason), trial.user_attrs.get("seconds", 0.0))
            else:
                self._attributes(trial.number, **{_DIED: True})
                self.set_aside(trial.number, trial.user_attrs.get("seconds", 0.0))


def _frozen(record: Record, limits: Limits, axes: dict[str, Any], space: Space) -> Any | None:
    """Give a candidate as the sampler knows it; None where it failed."""
    optuna = need("optuna", extra="search")
    figures, state = record.outcome.figures, record.outcome.state
    if state == "failed":
        return None
    values = record.candidate.values
    params = {name: axis.index(values[name]) if values[name] in (axis := space.axis(name)) else 0 for name in axes}
    if state == "complete":
        return optuna.trial.create_trial(
            params=params,
            distributions=axes,
            values=[figures.quality_frac, figures.p99_ms, figures.memory_bytes],
            constraints=shortfalls(limits, figures),
        )
    judged = Figures(figures.quality_frac, figures.quality_frac, size_bytes=figures.size_bytes)
    short = max([_LEAST_MISS, *shortfalls(limits, judged).values()])
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.PRUNED, params=params, distributions=axes, constraints={"proxy": short}
    )


def _outcome(trial: Any) -> Outcome:
    body = trial.user_attrs["outcome"]
    return Outcome(**{**body, "figures": Figures.read(body["figures"])})
