"""The view of a search: what its page shows, as plain values read from sealed artifacts and from nothing else."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from burnish.artifacts import Artifact
from burnish.report.cast import assign, words_for
from burnish.report.figures import plural, show_share, significant
from burnish.report.lineage import Node, lineage
from burnish.report.machine import Machine, machines
from burnish.report.view import Methods

STAGE = "burnish.train.search.search"
_STAGE_WORDS = {"rates": "Rates", "shape": "Shape", "regularisation": "Regularisation"}
_WORDS = {"rows_per_step": "rows a step", "smoothing_frac": "label smoothing", "num_virtual_tokens": "virtual tokens"}


@dataclass(frozen=True)
class Trial:
    """Hold one trial.

    Attributes:
        state: "complete", "pruned" or "failed".
        values: in words, by name.
        losses: (per cent of its rows, validation loss), as they came.
        best_nats: the lowest loss of a complete trial up to and with this one.
    """

    number: int
    stage: str
    state: str
    values: dict[str, str]
    losses: tuple[tuple[int, float], ...]
    best_nats: float | None
    reason: str

    @property
    def loss_nats(self) -> float | None:
        """Give the last loss."""
        return self.losses[-1][1] if self.losses else None

    @property
    def words(self) -> str:
        """Describe the trial in a line."""
        loss = "" if self.loss_nats is None else f", {significant(self.loss_nats)} nats"
        values = ", ".join(f"{name_words(name)} {value}" for name, value in self.values.items())
        return f"trial {self.number}, {self.state}{loss}: {values}"


@dataclass(frozen=True)
class Tried:
    """Hold one value that was searched: where, from what, to what, and the share of the stage's variance it explains."""

    name: str
    stage: str
    domain: str
    own: str
    best: str
    importance_frac: float | None


@dataclass(frozen=True)
class SearchView:
    """Hold the whole page.

    Attributes:
        own_nats: validation loss with the recipe's own values; None where that trial did not finish.
        recipe: best.yaml.
    """

    title: str
    when: str
    trials: tuple[Trial, ...]
    tried: tuple[Tried, ...]
    best_nats: float
    best_number: int
    own_nats: float | None
    trained_rows_frac: float
    trial_rows: int
    recipe: str
    nodes: tuple[Node, ...]
    machines: tuple[Machine, ...]
    methods: tuple[Methods, ...]

    def count(self, state: str) -> int:
        """Count the trials that ended so."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def stages(self) -> tuple[str, ...]:
        """Name the stages in order."""
        return tuple(dict.fromkeys(each.stage for each in self.tried))

    @property
    def headline(self) -> str:
        """Say what was found in one sentence."""
        changed = [f"{name_words(t.name)} {t.best}" for t in self.tried if t.best != t.own]
        how = f"with {', '.join(changed)}" if changed else "with the recipe's own values"
        before = "" if self.own_nats is None or not changed else f", {significant(self.own_nats)} with the recipe's own"
        return (
            f"{significant(self.best_nats)} nats of validation loss {how}{before}: {plural(len(self.trials), 'trial')}."
        )


def read_search_view(artifacts: tuple[Artifact, ...], *, title: str) -> SearchView | None:
    """Read the view; None where no artifact is a search."""
    found = next((artifact for artifact in artifacts if artifact.stage == STAGE), None)
    if found is None:
        return None
    facts = found.read_json("search.json")
    cast = replace(assign(artifacts), compressed=found)
    return SearchView(
        title=title,
        when=datetime.fromtimestamp(found.manifest.created_unix_s, UTC).strftime("%d %B %Y").lstrip("0"),
        trials=_trials(found),
        tried=tuple(_tried(facts)),
        best_nats=facts["best"]["loss_nats"],
        best_number=facts["best"]["trial"],
        own_nats=facts["own"]["loss_nats"],
        trained_rows_frac=found.measurement("trained_rows_frac").value,
        trial_rows=facts["trial_rows"],
        recipe=(found.payload / "best.yaml").read_text(encoding="utf-8"),
        nodes=lineage(cast),
        machines=machines(artifacts),
        methods=tuple(
            Methods(words_for(artifact.stage), artifact.digest[:12], artifact.evidence)
            for artifact in artifacts
            if artifact.evidence
        ),
    )


def stage_words(stage: str) -> str:
    """Name a stage of the search."""
    return _STAGE_WORDS.get(stage, stage)


def name_words(name: str) -> str:
    """Name a value that is searched."""
    return _WORDS.get(name, name.replace("_", " "))


def value_words(value: Any) -> str:
    """Show a value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return significant(value) if isinstance(value, float) else f"{value:,}"


def importance_words(frac: float | None) -> str:
    """Show a share of the variance, or a dash where too few trials finished."""
    return "–" if frac is None else show_share(frac)


def _trials(found: Artifact) -> tuple[Trial, ...]:
    trials: list[Trial] = []
    best: float | None = None
    for line in (found.payload / "trials.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        losses = tuple((int(percent), float(loss)) for percent, loss in row["losses"])
        if row["state"] == "complete":
            best = row["loss_nats"] if best is None else min(best, row["loss_nats"])
        values = {name: value_words(value) for name, value in row["values"].items()}
        trials.append(Trial(row["trial"], row["stage"], row["state"], values, losses, best, row["reason"]))
    return tuple(trials)


def _tried(facts: dict[str, Any]) -> list[Tried]:
    own, best = facts["own"]["values"], facts["best"]["values"]
    return [
        Tried(
            name,
            stage["name"],
            re.sub(r"[\d.]+e-\d+", lambda number: significant(float(number[0])), domain),
            value_words(own[name]),
            value_words(best[name]),
            stage["importance"].get(name),
        )
        for stage in facts["stages"]
        for name, domain in stage["domains"].items()
    ]
