"""Exchange: choose one candidate a unit such that bytes fit and the summed divergence is low; numbers only.

Source: Shoham and Gersho 1988, doi:10.1109/29.90373, whose exchange by the slope of cost over bytes this is.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One unit on one grid, all others in float."""

    kl_nats: float
    num_bytes: int


def choose(trials: Sequence[Sequence[Trial]], max_bytes: int) -> list[int] | None:
    """Choose a candidate for each unit such that the bytes fit and the summed divergence is low.

    From each unit's best candidate on, the exchange that costs the least divergence a byte saved is made until the
    bytes fit; what is then left over is spent again. Never worse, by the sum, than one candidate for all.

    Returns:
        An index a unit; None where not even the smallest candidates fit.
    """
    chosen = [row.index(min(row, key=lambda trial: (trial.kl_nats, trial.num_bytes))) for row in trials]

    def spent() -> int:
        return sum(row[at].num_bytes for row, at in zip(trials, chosen, strict=True))

    while spent() > max_bytes:
        moves = [
            (
                (row[to].kl_nats - row[chosen[unit]].kl_nats) / (row[chosen[unit]].num_bytes - row[to].num_bytes),
                unit,
                to,
            )
            for unit, row in enumerate(trials)
            for to in range(len(row))
            if row[to].num_bytes < row[chosen[unit]].num_bytes
        ]
        if not moves:
            return None
        _, unit, to = min(moves)
        chosen[unit] = to
    _spend_rest(trials, chosen, max_bytes - spent())
    same = best_uniform(trials, max_bytes)
    if same is not None and _total(trials, [same] * len(trials)) < _total(trials, chosen):
        return [same] * len(trials)
    return chosen


def _spend_rest(trials: Sequence[Sequence[Trial]], chosen: list[int], left_bytes: int) -> None:
    while True:
        gains = [
            (row[chosen[unit]].kl_nats - row[to].kl_nats, unit, to)
            for unit, row in enumerate(trials)
            for to in range(len(row))
            if row[to].num_bytes - row[chosen[unit]].num_bytes <= left_bytes
        ]
        gain, unit, to = max(gains)
        if gain <= 0:
            return
        left_bytes -= trials[unit][to].num_bytes - trials[unit][chosen[unit]].num_bytes
        chosen[unit] = to


def best_uniform(trials: Sequence[Sequence[Trial]], max_bytes: int) -> int | None:
    """Give the candidate of the least summed divergence that fits for all units alike."""
    fits = [at for at in range(len(trials[0])) if sum(row[at].num_bytes for row in trials) <= max_bytes]
    return min(fits, key=lambda at: _total(trials, [at] * len(trials)), default=None)


def _total(trials: Sequence[Sequence[Trial]], chosen: Sequence[int]) -> float:
    return sum(row[at].kl_nats for row, at in zip(trials, chosen, strict=True))
