"""The view of a data run: what its page shows, as plain values read from sealed datasets and from nothing else."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from burnish.artifacts import Artifact, Measurement
from burnish.report.cast import assign, look, words_for
from burnish.report.data_copies import Copies, read_copies
from burnish.report.data_rules import Rule, read_rules
from burnish.report.data_samples import Change, Sample, read_changes, removed_samples
from burnish.report.data_stages import Role, Stage, trace_stages
from burnish.report.data_tally import Languages, Tally, tally_languages, tally_stages
from burnish.report.data_text import visible
from burnish.report.data_words import language_words
from burnish.report.lineage import Node, lineage
from burnish.report.machine import Machine, machines
from burnish.report.view import Methods
from burnish.runtime import Workdir

_MAX_SHARES = 14
_PLANTED = (
    ("planted_copy_caught_frac", "Planted copies caught"),
    ("planted_random_caught_frac", "Planted random rows caught"),
    ("clean_lost_frac", "Other rows that a rule removed"),
)


@dataclass(frozen=True)
class Passage:
    """Hold what one stage did to the whole: records and bytes that came and went on, and its rules.

    Attributes:
        came: None for a source.
        samples: of each rule.
        languages: of each rule, (language, removed, of those that came).
    """

    stage: Stage
    came: Tally | None
    left: Tally
    rules: tuple[Rule, ...]
    changes: tuple[Change, ...]
    samples: dict[str, tuple[Sample, ...]]
    languages: dict[str, tuple[tuple[str, int, int], ...]]

    @property
    def num_removed(self) -> int:
        """Count what its rules set aside."""
        return sum(rule.num_removed for rule in self.rules)

    @property
    def kept_frac(self) -> float | None:
        """Give the share of the records that went on."""
        return self.left.num_records / self.came.num_records if self.came and self.came.num_records else None


@dataclass(frozen=True)
class Share:
    """Hold one line of a before/after table: a source or a language, its records and, of a source, bytes."""

    words: str
    before: int
    after: int


@dataclass(frozen=True)
class DataView:
    """Hold the whole page; a section without material is None or empty."""

    title: str
    when: str
    before: Tally
    after: Tally
    passages: tuple[Passage, ...]
    languages: tuple[Share, ...]
    sources: tuple[Share, ...]
    copies: Copies | None
    planted: tuple[tuple[str, Measurement], ...]
    nodes: tuple[Node, ...]
    machines: tuple[Machine, ...]
    methods: tuple[Methods, ...]

    @property
    def sieves(self) -> tuple[Passage, ...]:
        """Give the stages that set aside records that came to them."""
        return tuple(passage for passage in self.passages if passage.stage.removes)

    def num_removed(self, why: Literal["copy", "balance", "rule"]) -> int:
        """Count what was removed as a copy, to balance groups, or by any other rule."""
        rules = [rule for passage in self.sieves for rule in passage.rules]
        return sum(rule.num_removed for rule in rules if _reason(rule) == why)

    @property
    def num_unread(self) -> int:
        """Count what could not be read and never became a record."""
        return sum(passage.num_removed for passage in self.passages if passage.stage.role is Role.SOURCE)

    def num_changed(self, name: str) -> Measurement | None:
        """Find how many records were `repaired` or `masked`."""
        found = (look(passage.stage.artifact, f"{name}_records") for passage in self.passages)
        return next((m for m in found if m is not None), None)


def read_data_view(
    out: Workdir, artifacts: tuple[Artifact, ...], *, title: str, num_samples: int, seed: int
) -> DataView | None:
    """Read the view; None where no artifact holds records."""
    stages = trace_stages(artifacts)
    if not stages:
        return None
    tallies = tally_stages(out, stages)
    holders = [stage for stage in stages if stage.role is not Role.PAIRS]
    ends = [tallies[stage.artifact.digest] for stage in (holders[0], holders[-1])]
    languages = tally_languages(stages, ends[1].num_records)
    pairs = tuple(stage for stage in stages if stage.role is Role.PAIRS)
    with out.progress("rules and samples", total=len(holders), unit="stages") as bar:
        passages = []
        for stage in holders:
            passages.append(_passage(stage, tallies, pairs, languages, (num_samples, seed)))
            bar.advance(1, note=stage.words)
    cast = replace(assign(tuple(stage.artifact for stage in stages)), compressed=holders[-1].artifact)
    return DataView(
        title=title,
        when=_when(artifacts),
        before=ends[0],
        after=ends[1],
        passages=tuple(passages),
        languages=() if languages is None else _shares(languages.before, languages.after, language_words),
        sources=_shares(ends[0].source_records, ends[1].source_records, visible),
        copies=read_copies(stages),
        planted=_planted(stages),
        nodes=lineage(cast),
        machines=machines(tuple(stage.artifact for stage in stages)),
        methods=tuple(
            Methods(words_for(s.artifact.stage), s.artifact.digest[:12], s.artifact.evidence)
            for s in stages
            if s.artifact.evidence
        ),
    )


def _reason(rule: Rule) -> Literal["copy", "balance", "rule"]:
    if rule.has_partner:
        return "copy"
    return "balance" if rule.stage.role is Role.RESAMPLE else "rule"


def _passage(
    stage: Stage,
    tallies: dict[str, Tally],
    pairs: tuple[Stage, ...],
    languages: Languages | None,
    drawing: tuple[int, int],
) -> Passage:
    num, seed = drawing
    rules = read_rules(stage, pairs)
    came = None if stage.before is None else tallies[stage.before.artifact.digest]
    removed = {} if languages is None else languages.removed
    came_languages = Counter() if languages is None else languages.came_to(stage.artifact.digest)
    return Passage(
        stage,
        came,
        tallies[stage.artifact.digest],
        rules,
        read_changes(stage, num, seed=seed),
        removed_samples(stage, rules, num, seed=seed),
        {
            rule.name: tuple(
                (language_words(code), found[code], of) for code, of in came_languages.most_common(3) if of
            )
            for rule in rules
            if (found := removed.get((stage.artifact.digest, rule.name))) is not None and len(came_languages) > 1
        },
    )


def _shares(before: Counter[str], after: Counter[str], words: Any) -> tuple[Share, ...]:
    """List the largest, and the rest in one line."""
    names = sorted(before.keys() | after.keys(), key=lambda name: (-before[name], -after[name], name))
    listed = names if len(names) <= _MAX_SHARES else names[: _MAX_SHARES - 1]
    shares = [Share(words(name), before[name], after[name]) for name in listed]
    rest = names[len(listed) :]
    if rest:
        shares.append(Share(f"{len(rest)} others", sum(before[n] for n in rest), sum(after[n] for n in rest)))
    return tuple(shares)


def _planted(stages: tuple[Stage, ...]) -> tuple[tuple[str, Measurement], ...]:
    last = {m.name: m for stage in stages for m in stage.artifact.evidence}
    return tuple((words, last[name]) for name, words in _PLANTED if name in last)


def _when(artifacts: tuple[Artifact, ...]) -> str:
    last = max(artifact.manifest.created_unix_s for artifact in artifacts)
    return datetime.fromtimestamp(last, UTC).strftime("%d %B %Y").lstrip("0")
