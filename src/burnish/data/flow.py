"""The flow of records through a stage, as evidence: how many came, stayed, and went by which rule."""

from collections import Counter
from collections.abc import Sequence

from burnish.artifacts import DatasetArtifact, Measurement, counted
from burnish.data.records import Planted, Record, Rejected
from burnish.errors import RecipeError

PLANTED_RANDOM = "planted_random_records"
PLANTED_COPY = "planted_copy_records"


def num_records(name: str, count: int, *, of: int, how: str) -> Measurement:
    """Measure a number of records, an exact count among `of` looked at."""
    return Measurement(name, float(count), "records", of, how=how)


def drops(rejected: Sequence[Rejected], rules: Sequence[str], *, of: int) -> tuple[Measurement, ...]:
    """Count what each rule set aside; a rule that set aside nothing is counted as zero."""
    fired = Counter(rejection.rule for _, rejection in rejected)
    return tuple(
        num_records(f"dropped_{rule}_records", fired[rule], of=of, how="first rule broken, in order") for rule in rules
    )


def measure_flow(
    before: Sequence[Record], kept: Sequence[Record], rejected: Sequence[Rejected], rules: Sequence[str]
) -> tuple[Measurement, ...]:
    """Measure a stage that keeps some records: in, kept, the share kept, and each rule's drops."""
    of = len(before)
    return (
        num_records("records_in", of, of=of, how="count"),
        num_records("records_kept", len(kept), of=of, how="count"),
        counted("kept_frac", len(kept), of=of, how="records kept of those that came"),
        *drops(rejected, rules, of=of),
    )


def carry_planted(dataset: DatasetArtifact) -> tuple[Measurement, ...]:
    """Hand on how many faults the recipe planted at collection, so that later stages can count against all of them."""
    return tuple(m for m in dataset.evidence if m.name in (PLANTED_RANDOM, PLANTED_COPY))


def num_planted(records: Sequence[Record], *kinds: Planted) -> int:
    """Count the records that were planted as one of `kinds`."""
    return sum(record.planted in kinds for record in records)


def refuse_none_kept(kept: Sequence[Record], rejected: Sequence[Rejected], remedy: str) -> None:
    """Stop where no record is left, naming the rule that took most.

    Raises:
        RecipeError: `kept` is empty.
    """
    if kept:
        return
    rule, count = Counter(rejection.rule for _, rejection in rejected).most_common(1)[0]
    raise RecipeError(f"all {len(rejected)} records were dropped, {count} of them by {rule}; {remedy}")
