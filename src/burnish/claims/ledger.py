"""The ledger: for each claim the last reading that the store holds, row by row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from burnish.artifacts import Artifact, Measurement, Store
from burnish.claims.claim import READING, Claim, Figure, Verdict, judge, show_interval
from burnish.runtime.code import code_digest


@dataclass(frozen=True)
class Row:
    """One figure: published, ours, and what they say together."""

    figure: Figure
    ours: Measurement | None
    verdict: Verdict
    why: str

    @property
    def published(self) -> str:
        """Write the published figure."""
        return self.figure.show(self.figure.published)

    @property
    def value(self) -> str:
        """Write ours, empty where it is not measured."""
        return "" if self.ours is None else self.figure.show(self.ours.value)

    @property
    def interval(self) -> str:
        """Write the 95 % interval of ours."""
        return "" if self.ours is None else show_interval(self.ours, self.figure.form)

    def as_json(self) -> dict[str, Any]:
        """Give the row for programs; shares are in [0, 1]."""
        ours = None
        if self.ours is not None:
            ours = _plain(self.ours)
        figure = {"name": self.figure.name, "what": self.figure.what, "published": self.figure.published}
        return {**figure, "ours": ours, "verdict": self.verdict.value, "why": self.why}


@dataclass(frozen=True)
class Reading:
    """A claim with what was measured of it; `artifact` is None where nothing was."""

    claim: Claim
    artifact: Artifact | None

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Give a row for each figure."""
        held = {} if self.artifact is None else {m.name: m for m in self.artifact.evidence}
        rows = []
        for figure in self.claim.figures:
            ours = held.get(figure.name)
            rows.append(Row(figure, ours, *judge(figure, ours)))
        return tuple(rows)

    @cached_property
    def others(self) -> tuple[Measurement, ...]:
        """Give what else was measured, beside the claim's figures."""
        names = {figure.name for figure in self.claim.figures}
        return () if self.artifact is None else tuple(m for m in self.artifact.evidence if m.name not in names)

    @cached_property
    def body(self) -> dict[str, Any]:
        """Read the reading's setting and notes."""
        return {} if self.artifact is None else dict(self.artifact.read_json(READING))

    @property
    def setting(self) -> str:
        """Say what was measured on; empty where nothing was."""
        return str(self.body.get("setting", ""))

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what limits the reading."""
        return tuple(self.body.get("notes", ()))

    @property
    def is_current(self) -> bool:
        """Tell a reading of the code as it is now from one of code that has changed since."""
        return self.artifact is not None and self.artifact.manifest.code == code_digest(self.claim.stage)

    @property
    def when(self) -> str:
        """Say on which day it was sealed."""
        if self.artifact is None:
            return ""
        return f"{datetime.fromtimestamp(self.artifact.manifest.created_unix_s, tz=UTC).astimezone():%Y-%m-%d}"

    def as_json(self) -> dict[str, Any]:
        """Give the reading for programs."""
        claim = self.claim
        return {
            "id": claim.id,
            "feature": claim.feature,
            "published": claim.published,
            "source": claim.source,
            "method": claim.method,
            "setting": self.setting,
            "notes": list(self.notes),
            "measured": None if self.artifact is None else {"on": self.when, "digest": self.artifact.digest},
            "is_current": self.is_current,
            "figures": [row.as_json() for row in self.rows],
            "others": {m.name: {"unit": m.unit, **_plain(m)} for m in self.others},
            "environment": None if self.artifact is None else self.artifact.manifest.environment,
        }


def _plain(m: Measurement) -> dict[str, Any]:
    return {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "how": m.how}


def last_readings(claims: Iterable[Claim], store: Store | None) -> tuple[Reading, ...]:
    """Find the newest sealed reading of each claim; without a store there is none."""
    newest = {} if store is None else {artifact.stage: artifact for artifact in store.all()}  # oldest first
    return tuple(Reading(claim, newest.get(claim.stage_name)) for claim in claims)


def read_together(claims: Iterable[Claim], artifacts: Sequence[Artifact]) -> tuple[Reading, ...]:
    """Give each claim its reading among the artifacts, told by the stage that made it."""
    made = {artifact.stage: artifact for artifact in artifacts}
    return tuple(Reading(claim, made.get(claim.stage_name)) for claim in claims)
