"""The flow of records through the stages, as evidence: how many, and how many of them were planted."""

from burnish.artifacts import DatasetArtifact, Measurement

PLANTED_RANDOM = "planted_random_records"
PLANTED_COPY = "planted_copy_records"


def num_records(name: str, count: int, *, of: int, how: str) -> Measurement:
    """Measure a number of records, an exact count among `of` looked at."""
    return Measurement(name, float(count), "records", of, how=how)


def carry_planted(dataset: DatasetArtifact) -> tuple[Measurement, ...]:
    """Hand on how many faults the recipe planted at collection, so that later stages can count against all of them."""
    return tuple(m for m in dataset.evidence if m.name in (PLANTED_RANDOM, PLANTED_COPY))
