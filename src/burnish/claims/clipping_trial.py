"""Clipping trials: one start, one order of the text, another rule each; how steadily and how fast the loss falls.

A trial tunes a byte model on documentation. A rough one has what clipping is for: a learning rate that is too high, and
steps now and then that read random bytes in place of text. Held-out text is the same for every trial and has no noise.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.convergence import one_core, rows_of, speed_up
from burnish.data.records import read_kept
from burnish.errors import BurnishError, RecipeError
from burnish.learn.clipping import Clipping, DecayingNorm, FixedNorm, MeanNorm, NoClipping, PercentileNorm
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import IGNORED, Row
from burnish.learn.schedules import WarmupCosine
from burnish.learn.task import TokenTask, mean_loss
from burnish.nn.weights import open_model
from burnish.runtime import Workdir

TRIALS = "trials.json"
RULES: dict[str, Clipping] = {
    "fixed": FixedNorm(),
    "none": NoClipping(),
    "decaying": DecayingNorm(),
    "mean": MeanNorm(),
    "percentile_10": PercentileNorm(),
    "percentile_90": PercentileNorm(90.0),
}
LOOP = LoopConfig(
    num_steps=80,
    row_tokens=256,
    rows_per_step=2,
    schedule=WarmupCosine(warmup_frac=0.05, final_frac=1.0),  # constant: no schedule hides what a rule does
    validate_every_steps=2,
    on_broken_step="skip",
)
_HELD_OUT = 10  # every tenth record
_WINDOW = 9  # readings of which the median is the trend
_SPIKE_NATS = 0.1  # above the trend


@dataclass(frozen=True)
class Setting:
    """Say what the training has to bear.

    Attributes:
        noise_frac: share of the steps that read random bytes, by chance, the same steps for every rule.
    """

    name: str
    learning_rate: float
    noise_frac: float


_GOOD, _TOO_HIGH = 3e-3, 1e-2  # of 1, 3, 10 and 30 thousandths, 3 ends lowest without noise
CALM = Setting("calm", _GOOD, 0.0)
NOISY = Setting("noisy", _GOOD, 0.05)
HOT = Setting("hot", _TOO_HIGH, 0.0)
ROUGH = Setting("rough", _TOO_HIGH, 0.05)


@dataclass(frozen=True)
class TrialConfig:
    """Say what is compared.

    Attributes:
        seed: draws the order of the text, and which steps read noise.
    """

    rules: tuple[str, ...] = ("fixed", "none", "decaying", "mean", "percentile_10")
    settings: tuple[Setting, ...] = (CALM, ROUGH)
    loop: LoopConfig = LOOP
    validation_rows: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        num_readings = self.loop.num_steps // self.loop.validate_every_steps + 1
        if num_readings < 2 * _WINDOW:
            raise RecipeError(f"the loop takes {num_readings} readings; {2 * _WINDOW} are needed: give num_steps more")


@dataclass(frozen=True)
class Trial:
    """One run of training.

    Attributes:
        curve: step and held-out loss in nats a byte.
        norms: of the gradients, before clipping.
        num_left_out: steps whose loss or gradient was not finite.
    """

    rule: str
    setting: str
    seed: int
    curve: list[tuple[float, float]]
    norms: list[float]
    num_left_out: int

    @property
    def roughness_nats(self) -> float:
        """Give the root mean square distance of the held-out loss from its running median."""
        return math.sqrt(fmean((loss - trend) ** 2 for loss, trend in self._with_trend()))

    @property
    def num_spikes(self) -> int:
        """Count readings far above the running median."""
        return sum(loss > trend + _SPIKE_NATS for loss, trend in self._with_trend())

    @property
    def has_diverged(self) -> bool:
        """Tell a training that ends above where it began."""
        return self.end_nats > self.curve[0][1]

    @property
    def end_nats(self) -> float:
        """Give the median of the last readings."""
        return median(loss for _, loss in self.curve[-_WINDOW:])

    def _with_trend(self) -> list[tuple[float, float]]:
        """Give each reading that has a whole window around it, and the window's median."""
        losses, half = [loss for _, loss in self.curve], _WINDOW // 2
        places = range(half, len(losses) - half)
        return [(losses[place], median(losses[place - half : place + half + 1])) for place in places]


def train_under_rules(
    out: Workdir, start: ModelArtifact, data: DatasetArtifact, *, config: TrialConfig
) -> Draft[ReportArtifact]:
    """Tune the start under each rule in each setting, and write the curves to trials.json.

    Raises:
        RecipeError: the dataset has too few bytes for so many steps.
    """
    texts = [record.text for record in read_kept(data)]
    held_out = list(rows_of(texts[::_HELD_OUT], config.loop.row_tokens, 0))[: config.validation_rows]
    del texts[::_HELD_OUT]
    rows = list(rows_of(texts, config.loop.row_tokens, config.seed))[
        : config.loop.num_steps * config.loop.rows_per_step
    ]
    trials = [
        _trial(out, start, config, rule, setting, rows, held_out)
        for setting in config.settings
        for rule in config.rules
    ]
    (out / TRIALS).write_text(json.dumps([asdict(trial) for trial in trials]) + "\n", encoding="ascii")
    left_out = sum(trial.num_left_out for trial in trials)
    count = Measurement("left_out_steps", left_out, "steps", len(trials), how="not finite, over all trials")
    return Draft(ReportArtifact, (count,), f"{len(trials)} short trainings from one start.")


def read_trials(reports: Sequence[ReportArtifact]) -> list[Trial]:
    """Read what `train_under_rules` wrote."""
    return [Trial(**row) for report in reports for row in report.read_json(TRIALS)]


def with_noise(rows: Sequence[Row], setting: Setting, rows_per_step: int, seed: int) -> Iterator[Row]:
    """Put random bytes in the place of some steps' rows."""
    chance = random.Random(f"{seed}/noise")
    for place, row in enumerate(rows):
        if place % rows_per_step == 0:
            is_noise = chance.random() < setting.noise_frac
        yield _noise(row, chance) if is_noise else row


def gains(trials: Sequence[Trial], rule: str, setting: str, *, beside: str) -> dict[str, list[float]]:
    """Compare a rule with another, seed by seed.

    Returns:
        `stability`: times less rough; `speed`: times fewer steps to the same losses. A pair that reaches no loss in
        common has no speed.
    """
    ours, theirs = (
        {trial.seed: trial for trial in trials if (trial.rule, trial.setting) == (name, setting)}
        for name in (rule, beside)
    )
    found: dict[str, list[float]] = {"stability": [], "speed": []}
    for seed, trial in ours.items():
        other = theirs[seed]
        found["stability"].append(other.roughness_nats / trial.roughness_nats)
        try:
            found["speed"].append(speed_up(other.curve, trial.curve))
        except BurnishError:
            continue
    return found


def _trial(
    out: Workdir, start: ModelArtifact, config: TrialConfig, rule: str, setting: Setting, rows: Sequence[Row],
    held_out: Sequence[Row],
) -> Trial:  # fmt: skip
    loop = replace(config.loop, learning_rate=setting.learning_rate, clipping=RULES[rule], snapshot_every_steps=10**9)
    model: Any = open_model(start.payload, precision="fp32")
    with one_core():
        first = mean_loss(model, held_out)
        noisy = with_noise(rows, setting, loop.rows_per_step, config.seed)
        log = fit(model, noisy, held_out, TokenTask(), loop, out).log
    curve = [(0.0, first)]
    curve += [(row["step"], row["validation_loss_nats"]) for row in log if "validation_loss_nats" in row]
    norms = [row["grad_norm"] for row in log if "grad_norm" in row]
    return Trial(rule, setting.name, config.seed, curve, norms, sum("skipped" in row for row in log))


def _noise(row: Row, chance: random.Random) -> Row:
    ids = [chance.randrange(256) for _ in row.ids]
    return replace(row, ids=ids, labels=[*ids[1:], IGNORED])
