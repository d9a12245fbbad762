"""The common way from a recipe's sources to a dataset that is split for training: the same calls in every chain."""

from typing import Protocol

from burnish.artifacts import DatasetArtifact
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.select import SelectConfig, select
from burnish.data.split import SplitConfig, split
from burnish.loop.gated import Gated

LABELS = ("collect", "clean", "copies", "select", "split")


class Curated(Protocol):
    """What a recipe says of its curation."""

    @property
    def clean(self) -> CleanConfig:
        """Say what is mended and masked."""

    @property
    def find_copies(self) -> FindCopiesConfig:
        """Say what counts as a copy."""

    @property
    def select(self) -> SelectConfig:
        """Say what is kept."""

    @property
    def split(self) -> SplitConfig:
        """Say how much is held out."""


def curate(gated: Gated, sources: CollectConfig, recipe: Curated) -> tuple[DatasetArtifact, ...]:
    """Collect, clean, find copies, select, split; give every dataset on the way, the last of which is to be used."""
    raw = gated("collect", collect, config=sources)
    cleaned = gated("clean", clean, raw, config=recipe.clean)
    copies = gated("copies", find_copies, cleaned, config=recipe.find_copies)
    good = gated("select", select, cleaned, copies, config=recipe.select)
    return raw, cleaned, copies, good, gated("split", split, good, config=recipe.split)
