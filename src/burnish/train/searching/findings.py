"""What a search found: its trials as plain rows, the best of them, and which values mattered."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from burnish.artifacts import Measurement
from burnish.runtime import need
from burnish.train.searching.job import CARRIED, Board
from burnish.train.searching.space import Point

State = Literal["complete", "pruned", "failed"]

_MIN_TRIALS = 4  # fewer finished trials say nothing about what mattered


@dataclass(frozen=True)
class Trial:
    """Hold one trial.

    Attributes:
        trial: counted from 1 over all stages.
        values: all that the search may set, those of earlier stages too.
        loss_nats: validation loss, at the end or when it was pruned; None where it failed before one was measured.
        losses: (per cent of its rows, validation loss) as they came.
        reason: why it was pruned or failed.
    """

    trial: int
    stage: str
    state: State
    values: Point
    loss_nats: float | None
    losses: tuple[tuple[int, float], ...]
    reason: str

    def row(self) -> dict[str, Any]:
        """Give the trial as JSON holds it."""
        return asdict(self)


def finished(board: Board) -> list[Any]:
    """List a stage's finished trials in the order of their beginning, a grid's in the order of its points.

    What was cut off is tried again after the others; in a grid that must change nothing.
    """
    found = [trial for trial in board.trials if trial.state.is_finished()]
    stage = board.running.stage
    return sorted(found, key=lambda trial: stage.points.index(trial.params)) if stage.is_grid else found


def trials_of(boards: Sequence[Board]) -> tuple[Trial, ...]:
    """List every finished trial."""
    found: list[Trial] = []
    for board in boards:
        for trial in finished(board):
            losses = tuple(sorted(trial.intermediate_values.items()))
            found.append(
                Trial(
                    trial=len(found) + 1,
                    stage=board.running.stage.name,
                    state=_STATES[trial.state.name],
                    values={**board.running.fixed, **trial.params},
                    loss_nats=losses[-1][1] if losses else None,
                    losses=losses,
                    reason=trial.user_attrs.get("reason", ""),
                )
            )
    return tuple(found)


def best_of(boards: Sequence[Board]) -> tuple[Any, Point] | None:
    """Find the trial with the lowest validation loss and all its values; the earliest where several are equal."""
    complete = need("optuna", extra="search").trial.TrialState.COMPLETE
    candidates = [
        (trial.value, place, number, trial, {**board.running.fixed, **trial.params})
        for place, board in enumerate(boards)
        for number, trial in enumerate(finished(board))
        if trial.state == complete
    ]
    if not candidates:
        return None
    _, _, _, trial, point = min(candidates, key=lambda each: each[:3])
    return trial, point


def importance_of(board: Board, seed: int) -> dict[str, float]:
    """Share out the variance of a stage's losses among its values; {} where too few trials finished.

    Source: Hutter, Hoos and Leyton-Brown 2014 (fANOVA, ICML, PMLR 32, pp. 754-762), by Optuna, main effects alone and
    made to add up to 1.
    """
    optuna = need("optuna", extra="search")
    need("sklearn", extra="search")
    carried = [t for t in board.study.get_trials(deepcopy=False) if CARRIED in t.user_attrs]
    complete = [t for t in (*carried, *finished(board)) if t.state == optuna.trial.TrialState.COMPLETE]
    if len(complete) < _MIN_TRIALS or len({trial.value for trial in complete}) == 1:
        return {}
    ordered = optuna.create_study()  # in memory: the evaluator's forest depends on the trials' order
    ordered.add_trials(complete)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(ordered, evaluator=evaluator)
    return {name: float(found[name]) for name in board.running.stage.domains}


def evidence_of(
    trials: Sequence[Trial], best: Trial, own: Point, importance: dict[str, dict[str, float]], *, num_held_out: int
) -> tuple[Measurement, ...]:
    """Say what the search found and what it took."""
    ran = [trial for trial in trials if trial.state != "failed"]
    complete = [trial for trial in trials if trial.state == "complete"]
    trained = [trial.losses[-1][0] / 100 if trial.losses else 0.0 for trial in ran]
    at_own = next((trial for trial in complete if trial.values == own), None)
    of_loss = "weighted mean over the labelled tokens of held-out records, after a trial's last step"
    measured = [
        Measurement(
            "best_validation_loss_nats",
            best.loss_nats or 0.0,
            "nats",
            num_held_out,
            how=f"lowest of {len(complete)} trials on the same records, and so optimistic; {of_loss}",
        )
    ]
    if at_own is not None:
        own_loss = at_own.loss_nats or 0.0
        measured.append(
            Measurement(
                "own_validation_loss_nats", own_loss, "nats", num_held_out, how=f"recipe's own values; {of_loss}"
            )
        )
    counts = {
        "trials": len(trials),
        "pruned_trials": sum(trial.state == "pruned" for trial in trials),
        "failed_trials": sum(trial.state == "failed" for trial in trials),
    }
    measured += [Measurement(name, count, "trials", len(trials), how="of all stages") for name, count in counts.items()]
    measured.append(
        Measurement(
            "trained_rows_frac",
            sum(trained) / len(ran),
            "1",
            len(ran),
            how="rows that trials learnt from, of those without pruning; failed trials left out",
        )
    )
    measured += [
        Measurement(
            f"importance_{name}_frac", share, "1", sum(t.stage == stage for t in complete), how=f"fANOVA, {stage}"
        )
        for stage, shares in importance.items()
        for name, share in shares.items()
    ]
    return tuple(measured)


_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
