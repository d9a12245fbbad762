"""Samples: a few records of each rule, so that a person can see whether the rule is right.

What a record looked like before cleaning may hold personal data: such a text is masked here before anything of it is
shown, and of a record in which cleaning masked something only the masked text is shown.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.data.repairs.pii import KINDS, PiiConfig, mask
from burnish.report.data_fetch import Drawn, Row, draw, fetch, fetch_drawn
from burnish.report.data_rules import Rule
from burnish.report.data_stages import Role, Stage
from burnish.report.data_text import Pieces, around, plain, side_by_side, visible
from burnish.report.data_words import change_words
from burnish.runtime import need

_ALONE_CHARS, _BESIDE_CHARS = 600, 420
_COLUMNS = ("text", "source", "meta", "rule")


@dataclass(frozen=True)
class Sample:
    """Hold one record to look at.

    Attributes:
        value: what the rule measured, in words.
        note: what else is known of it.
        text: of the record.
        beside: heading and text of what stands beside it; empty where there is nothing to compare.
    """

    id: str
    source: str
    value: str
    note: str
    text: Pieces
    beside_words: str = ""
    beside: Pieces = ()
    text_words: str = ""


@dataclass(frozen=True)
class Change:
    """Hold what a stage did to records that stayed.

    Attributes:
        num_found: pieces of personal data that were masked; None where only records are counted.
    """

    stage: Stage
    rule: str
    num_records: int
    num_found: int | None
    samples: tuple[Sample, ...] = ()

    @property
    def title(self) -> str:
        """Name what was done."""
        return change_words(self.rule)


def removed_samples(stage: Stage, rules: Sequence[Rule], num: int, *, seed: int) -> dict[str, tuple[Sample, ...]]:
    """Draw samples of what each rule of a stage removed."""
    if num == 0:
        return {}
    drawn = draw(stage, num, seed=seed, kept=False)
    everything = [each for some in drawn.values() for each in some]
    texts = fetch_drawn(stage, "rejected", everything, _COLUMNS)
    partners = fetch(stage.shards("data"), _partner_ids(everything), ("text", "source"))
    is_raw = stage.role is Role.SOURCE
    return {
        rule.name: tuple(
            _removed(rule, each.row, texts[each.row["id"]], partners.get(each.row["partner_id"]), is_raw=is_raw)
            for each in drawn.get(rule.name, ())
            if each.row["id"] in texts
        )
        for rule in rules
    }


def _removed(rule: Rule, decided: Row, row: Row, partner: Row | None, *, is_raw: bool) -> Sample:
    text = masked(row["text"]) if is_raw else row["text"]
    note = str(_meta(row).get("reason", "")) if is_raw else ""
    if partner is None:
        pieces = plain(text, _ALONE_CHARS)
        return Sample(visible(row["id"]), visible(row["source"]), rule.show(decided["value"]), visible(note), pieces)
    value = "" if decided["similarity"] is None else f"similarity {decided['similarity']:.3f}"
    kept = f"{visible(partner['id'])} · {visible(partner['source'])}"
    if text == partner["text"]:
        note = f"letter for letter the same as {kept}, which is kept"
        return Sample(visible(row["id"]), visible(row["source"]), value, note, plain(text, _ALONE_CHARS))
    mine, theirs = side_by_side(text, partner["text"], _BESIDE_CHARS)
    return Sample(visible(row["id"]), visible(row["source"]), value, "", mine, f"kept: {kept}", theirs, "removed")


def read_changes(stage: Stage, num: int, *, seed: int) -> tuple[Change, ...]:
    """Read what a stage did to records that stayed, masks last, most first, with samples."""
    polars = need("polars", extra="data")
    decisions = stage.decisions()
    if decisions is None:
        return ()
    sums = decisions.filter(polars.col("kept")).group_by("rule").agg(polars.len().alias("num"), polars.sum("value"))
    rows = sorted(
        sums.collect(engine="streaming").iter_rows(named=True),
        key=lambda row: (_is_mask(row["rule"]), -row["num"], row["rule"]),
    )
    samples = _changed_samples(stage, num, seed=seed) if rows and num else {}
    return tuple(
        Change(
            stage,
            row["rule"],
            row["num"],
            round(row["value"]) if _is_mask(row["rule"]) else None,
            samples.get(row["rule"], ()),
        )
        for row in rows
    )


def _changed_samples(stage: Stage, num: int, *, seed: int) -> dict[str, tuple[Sample, ...]]:
    # A record in which something was masked cannot be shown as it was; more are drawn, so that enough are left.
    drawn = draw(stage, 8 * num, seed=seed, kept=True)
    secret = _masked_among(stage, {each.row["id"] for some in drawn.values() for each in some})
    chosen = {
        rule: [each for each in some if _is_mask(rule) or each.row["id"] not in secret][:num]
        for rule, some in drawn.items()
    }
    everything = [each for some in chosen.values() for each in some]
    after = fetch_drawn(stage, "data", everything, _COLUMNS)
    open_ids = [each for rule, some in chosen.items() if not _is_mask(rule) for each in some]
    before = {} if stage.before is None else fetch_drawn(stage.before, "data", open_ids, ("text",))
    sources = fetch(stage.shards("data"), _partner_ids(everything), ("text",))
    return {
        rule: tuple(
            _changed(
                stage, rule, after[each.row["id"]], before.get(each.row["id"]), sources.get(each.row["partner_id"])
            )
            for each in some
            if each.row["id"] in after
        )
        for rule, some in chosen.items()
    }


def _changed(stage: Stage, rule: str, after: Row, before: Row | None, source: Row | None) -> Sample:
    identity, origin, text = visible(after["id"]), visible(after["source"]), after["text"]
    if _is_mask(rule):
        return Sample(identity, origin, "", "", around(text, mask_pattern(rule), _ALONE_CHARS))
    other = source or before
    if other is None:
        return Sample(identity, origin, "", "", plain(text, _ALONE_CHARS))
    was = masked(other["text"]) if stage.before is not None and stage.before.role is Role.SOURCE else other["text"]
    left, right = side_by_side(was, text, _BESIDE_CHARS)
    words = ("source", "made from it") if source else ("before", "after")
    return Sample(identity, origin, "", "", left, words[1], right, words[0])


def masked(text: str) -> str:
    """Mask the personal data of a text that cleaning has not seen."""
    return mask(text, PiiConfig()).text


def mask_pattern(rule: str = "") -> re.Pattern[str]:
    """Match what stands in the place of personal data, of all kinds or of the one that a rule names."""
    kind = rule.removeprefix("masked_")
    kinds = [kind] if kind in KINDS else KINDS
    return re.compile(rf"<(?:{'|'.join(each.upper() for each in kinds)})(?:_[0-9a-f]+)?>")


def _masked_among(stage: Stage, ids: set[str]) -> set[str]:
    polars = need("polars", extra="data")
    is_masked = polars.col("rule").str.starts_with("masked_") & polars.col("id").is_in(sorted(ids))
    return set(stage.decisions().filter(is_masked).select("id").collect(engine="streaming").get_column("id").to_list())


def _is_mask(rule: str) -> bool:
    return rule.startswith("masked_")


def _partner_ids(drawn: Iterable[Drawn]) -> set[str]:
    return {each.row["partner_id"] for each in drawn if each.row["partner_id"] is not None}


def _meta(row: Row) -> dict[str, Any]:
    try:
        found = json.loads(row.get("meta") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
