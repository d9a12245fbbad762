"""`burnish optimize`: its options are the recipe's values, and its exit codes those of gates."""

from pathlib import Path
from typing import Any

import pytest

from burnish.cli import optimize as command
from burnish.cli.main import burnish, exit_code
from burnish.cli.recipes import compose_recipe
from burnish.errors import GateFailed
from burnish.loop.optimize_chain import OptimizeRecipe, optimize_chain
from burnish.runtime.recipes import fill

RECIPE = "recipes/optimize/quickstart.yaml"


def type_command(*arguments: str) -> int:
    return exit_code(lambda: burnish.main(["optimize", *arguments], prog_name="burnish", standalone_mode=False))


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command would run."""
    found: list[Any] = []

    def run_recipe(order: Any, recipe_type: Any, chain: Any) -> int:
        assert (recipe_type, chain) == (OptimizeRecipe, optimize_chain)
        found.append(fill(recipe_type, compose_recipe(order.recipe, order.overrides).values))
        found.append(order)
        return 0

    monkeypatch.setattr(command, "run_recipe", run_recipe)
    return found


def test_options_set_the_limits_and_the_budget(ordered: list[Any]) -> None:
    limits = ("--min-quality", "0.95", "--max-p99-ms", "4000", "--max-memory-gb", "1.5", "--max-size-mb", "150")
    assert type_command(RECIPE, *limits, "--prefer", "size", "--budget", "30m", "--store", "s", "seed=3") == 0
    recipe, order = ordered
    assert vars(recipe.limits) == {"min_quality": 0.95, "max_p99_ms": 4000, "max_memory_gb": 1.5, "max_size_mb": 150}
    assert (recipe.prefer, recipe.max_seconds, recipe.seed) == ("size", 1800, 3)
    assert order.store == Path("s")
    plain = fill(OptimizeRecipe, compose_recipe(Path(RECIPE), ()).values)
    ordered.clear()
    assert type_command(RECIPE) == 0
    assert ordered[0] == plain


def test_wrong_words_and_missed_limits_have_their_exit_codes(
    ordered: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_command(RECIPE, "--budget", "soon") == 2
    assert "budget is 'soon'; write seconds" in capsys.readouterr().err
    assert type_command(RECIPE, "--prefer", "price") == 2
    assert type_command(RECIPE, "--min-quality", "-1") == 2
    assert "limits.min_quality is -1.0; it must be above 0" in capsys.readouterr().err

    def missed(*_: Any) -> int:
        raise GateFailed("None of 4 candidates meets the limits: p99 binds.")

    monkeypatch.setattr(command, "run_recipe", missed)
    assert type_command(RECIPE) == 3
    assert "p99 binds" in capsys.readouterr().err
