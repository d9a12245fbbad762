"""The search chain: sources and a base model in; the values that a training learns best with, and a page on them, out."""

from dataclasses import dataclass, field

from burnish.artifacts import ReportArtifact
from burnish.loop.gated import Gated
from burnish.loop.train_chain import TrainRecipe, take_data
from burnish.report.search_page import SearchReportConfig, write_search_report
from burnish.runtime import Run
from burnish.runtime.recipes import given
from burnish.train.base import take_base
from burnish.train.search import SearchConfig, SearchPlan, search

_OF_THE_SEARCH = ("train", "search", "page", "track")


@dataclass(frozen=True)
class SearchRecipe(TrainRecipe):
    """A training's recipe, and how to search for its best values; what the search does not use goes into best.yaml.

    Attributes:
        search: what is tried.
        gates: those on calls that only the training makes go into best.yaml.
        page: of the search's report; `report` is the training's.
    """

    search: SearchPlan = field(default_factory=SearchPlan)
    page: SearchReportConfig = field(default_factory=SearchReportConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.search_config()  # a grid that the method does not have is refused before anything runs

    def search_config(self) -> SearchConfig:
        """Give the search stage's configuration, with what best.yaml repeats."""
        recipe = {name: value for name, value in given(self).items() if name not in _OF_THE_SEARCH}
        return SearchConfig(self.train, self.search, recipe)


def search_chain(run: Run, recipe: SearchRecipe) -> ReportArtifact:
    """Take the data and the base, search, report.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    made = take_data(gated, recipe)
    base = gated("base", take_base, config=recipe.base)
    found = gated("search", search, base, made[-1], config=recipe.search_config())
    return gated("report", write_search_report, *made, base, found, config=recipe.page)
