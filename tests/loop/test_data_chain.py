"""The data chain: a recipe may bound what it runs, and nothing else."""

import pytest

from burnish.data.collect import CollectConfig
from burnish.data.semantic import SemanticConfig
from burnish.errors import RecipeError
from burnish.loop.data_chain import LABELS, DataRecipe
from burnish.runtime.gates import Bound

BOUND = {"records_kept": Bound(at_least=1)}


def test_gates_name_only_what_is_called() -> None:
    with pytest.raises(RecipeError, match=r"gates names the stage call 'copy'; there are: collect, clean"):
        DataRecipe(CollectConfig(), gates={"copy": BOUND})
    with pytest.raises(RecipeError, match=r"gates bounds 'semantic', which this recipe does not run; name semantic"):
        DataRecipe(CollectConfig(), gates={"semantic": BOUND})
    recipe = DataRecipe(CollectConfig(), semantic=SemanticConfig(), gates={"semantic": BOUND, "select": BOUND})
    assert [label for label, *_ in recipe.then()] == ["semantic"]


def test_what_always_runs_may_always_be_bounded() -> None:
    optional = {"semantic", "grammar", "domain", "adversarial", "model_quality", "split", "knowledge", "augment"}
    for label in sorted(set(LABELS) - optional - {"balance", "mixture"}):
        assert DataRecipe(CollectConfig(), gates={label: BOUND}).gates == {label: BOUND}
