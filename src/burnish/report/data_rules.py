"""What each rule did: how many records it removed, at which bound, and how what it measured lies among all records."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from burnish.report.data_histogram import Bins, Histogram
from burnish.report.data_stages import Role, Stage
from burnish.report.data_words import bound_words, measured_by, rule_words
from burnish.runtime import need


@dataclass(frozen=True)
class Rule:
    """Hold what one rule of one stage did.

    Attributes:
        num_in: records that came to the stage; None where it is not a matter of records that came.
        threshold: None where the rule has no bound, or not one bound.
        is_floor: whether it removes what lies below the bound.
        is_inclusive: whether it removes what equals an upper bound.
        has_partner: whether each removal names another record.
    """

    stage: Stage
    name: str
    num_removed: int
    num_in: int | None
    threshold: float | None
    is_floor: bool
    is_inclusive: bool
    has_partner: bool
    histogram: Histogram | None = None

    @property
    def words(self) -> str:
        """Name the rule for people."""
        return rule_words(self.name)

    @property
    def measures(self) -> str:
        """Say what the rule measures; nothing of a rule that this report does not know."""
        return known.words if (known := measured_by(self.name)).words != "value" else ""

    @property
    def bound(self) -> str:
        """Say what is removed, in words."""
        return bound_words(self.name, self.threshold, is_floor=self.is_floor, is_inclusive=self.is_inclusive)

    @property
    def shown_threshold(self) -> str:
        """Show the bound alone."""
        return "" if self.threshold is None else measured_by(self.name).show_round(self.threshold)

    @property
    def anchor(self) -> str:
        """Give the id of the rule's place on the page."""
        return f"rule-{self.stage.artifact.digest[:8]}-{self.name}"

    @property
    def share(self) -> float | None:
        """Give the share of the records that came."""
        return self.num_removed / self.num_in if self.num_in else None

    def show(self, value: float | None) -> str:
        """Show a value as this rule measures it."""
        return "" if value is None else measured_by(self.name).show(value)


def read_rules(stage: Stage, pairs: tuple[Stage, ...]) -> tuple[Rule, ...]:
    """Read the rules that removed something, the one that removed most first.

    Args:
        pairs: stages that looked for copies, whose similarities show what lies on both sides of the bound.
    """
    found = list_rules(stage)
    histograms = {**_histograms(stage, found), **_pair_histograms(found, pairs)}
    return tuple(Rule(**{**vars(rule), "histogram": histograms.get(rule.name)}) for rule in found)


def list_rules(stage: Stage) -> list[Rule]:
    """List the rules of a stage that removed something, the one that removed most first, without histograms."""
    decisions = stage.decisions()
    if decisions is None:
        return []
    found = [_rule(stage, row) for row in _summed(decisions).iter_rows(named=True)]
    return sorted(found, key=lambda rule: (-rule.num_removed, rule.name))


def _summed(decisions: Any) -> Any:
    polars = need("polars", extra="data")
    value, threshold = polars.col("value"), polars.col("threshold")
    summed = (
        decisions.filter(~polars.col("kept"))
        .group_by("rule")
        .agg(
            polars.len().alias("num"),
            threshold.min().alias("threshold"),
            threshold.max().alias("highest"),
            (value < threshold).any().alias("is_floor"),
            (value > threshold).any().alias("is_ceiling"),
            (value == threshold).any().alias("is_inclusive"),
            polars.col("partner_id").is_not_null().any().alias("has_partner"),
        )
    )
    return summed.collect(engine="streaming")


def _rule(stage: Stage, row: dict[str, Any]) -> Rule:
    has_one_bound = row["threshold"] is not None and row["threshold"] == row["highest"]
    has_two_sides = row["is_floor"] and row["is_ceiling"]
    return Rule(
        stage,
        row["rule"],
        row["num"],
        stage.num_in if stage.removes else None,
        row["threshold"] if has_one_bound and not has_two_sides else None,
        bool(row["is_floor"]),
        bool(row["is_inclusive"]),
        bool(row["has_partner"]),
    )


def _histograms(stage: Stage, rules: list[Rule]) -> dict[str, Histogram]:
    """Count what the rules measured over all records that came, a shard of measures and of the ledger at a time."""
    paths = stage.shards("measures")
    if stage.role is not Role.SIEVE or not paths:
        return {}
    ranges = _ranges(paths, [rule.name for rule in rules])
    bins = {
        rule.name: Bins(
            *ranges[rule.name][:2], rule.threshold, rule.is_floor or rule.is_inclusive, ranges[rule.name][2]
        )
        for rule in rules
        if rule.name in ranges and ranges[rule.name][0] < ranges[rule.name][1]
    }
    for path in paths:
        for rule, values, fate in _values(stage, path, list(bins)):
            bins[rule].add(values, fate)
    return {rule: each.done() for rule, each in bins.items()}


def _ranges(paths: list[Path], rules: list[str]) -> dict[str, tuple[float, float, bool]]:
    """Give each measure's least and greatest finite value, and whether all are whole; not where it never applied."""
    polars = need("polars", extra="data")
    frame = polars.scan_parquet(paths, glob=False)
    there = [rule for rule in rules if rule in frame.collect_schema().names()]
    if not there:
        return {}
    wanted = []
    for rule in there:
        finite = polars.col(rule).cast(polars.Float64).filter(polars.col(rule).is_finite())
        wanted += [finite.min().alias(f"{rule}:min"), finite.max().alias(f"{rule}:max")]
        wanted.append((finite == finite.floor()).all().alias(f"{rule}:whole"))
    row = frame.select(wanted).collect(engine="streaming").row(0, named=True)
    return {
        rule: (row[f"{rule}:min"], row[f"{rule}:max"], bool(row[f"{rule}:whole"]))
        for rule in there
        if row[f"{rule}:min"] is not None
    }


def _values(stage: Stage, path: Path, rules: list[str]) -> Iterator[tuple[str, Any, Any]]:
    polars = need("polars", extra="data")
    if not rules:
        return
    measures = polars.read_parquet(path, columns=["id", *rules])
    decided = stage.decisions(decided_path) if (decided_path := _beside(stage, path)) else None
    if decided is None:
        taken = np.full(measures.height, None, object)
    else:
        removed = decided.filter(~polars.col("kept")).select("id", polars.col("rule").alias(":rule")).collect()
        measures = measures.join(removed, on="id", how="left", maintain_order="left")
        taken = measures.get_column(":rule").to_numpy(allow_copy=True)
    is_taken = np.array([each is not None for each in taken], np.bool_)
    for rule in rules:
        values = measures.get_column(rule).cast(polars.Float64).to_numpy()
        yield rule, values, np.where(taken == rule, 2, np.where(is_taken, 1, 0))


def _beside(stage: Stage, path: Path) -> Path | None:
    return stage.shard("ledger" if stage.shards("ledger") else "rejected", path.name)


def _pair_histograms(rules: list[Rule], pairs: tuple[Stage, ...]) -> dict[str, Histogram]:
    """Count the similarities of all pairs that were looked at; the removals alone lie on one side of the bound."""
    parquet = need("pyarrow.parquet", extra="data")
    near = next((rule for rule in rules if rule.name == "near_copy" and rule.threshold is not None), None)
    paths = [path for stage in pairs if (path := stage.shard("pairs", "near.parquet")) is not None]
    if near is None or near.threshold is None or not paths:
        return {}
    low = min((_lowest(path) for path in paths), default=1.0)
    bins = Bins(low, 1.0, near.threshold, is_above=True)  # a pair exactly at the bound is a copy
    for path in paths:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["similarity"]):
                values = batch.column(0).to_numpy(zero_copy_only=False)
                bins.add(values, np.where(values >= near.threshold, 2, 0))
    return {"near_copy": bins.done("pairs")}


def _lowest(path: Path) -> float:
    polars = need("polars", extra="data")
    found = polars.scan_parquet(path, glob=False).select(polars.col("similarity").min()).collect().item()
    return 1.0 if found is None else float(found)
