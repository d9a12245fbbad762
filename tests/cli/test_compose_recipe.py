from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_chain import Collect, Fit, Gradient, Normal, Page, SmallRecipe

from burnish.cli.recipes import DEFAULT_PROFILE, compose_recipe
from burnish.errors import RecipeError
from burnish.runtime.recipes import fill, resolved

RECIPE = """
seed: 3
collect:
  seed: ${seed}
fit:
  num_steps: 12
  method: gradient
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "tiny.yaml").write_text("# @package _global_\nfit:\n  num_steps: 2\n")
    (tmp_path / "profile" / "full.yaml").write_text("# @package _global_\nfit:\n  num_steps: 99\n")
    (tmp_path / "line.yaml").write_text(RECIPE)
    return tmp_path / "line.yaml"


def values(recipe: Path, *overrides: str) -> dict[str, Any]:
    return compose_recipe(recipe, overrides).values


def test_a_file_gives_its_values_with_interpolations_resolved(recipe: Path) -> None:
    assert values(recipe) == {
        "seed": 3,
        "collect": {"seed": 3},
        "fit": {"num_steps": 12, "method": "gradient"},
    }
    assert compose_recipe(recipe, ()).profile == DEFAULT_PROFILE


def test_an_override_goes_where_it_says_and_interpolations_follow(recipe: Path) -> None:
    assert values(recipe, "seed=5")["collect"] == {"seed": 5}


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("page.title=hello", "page", {"title": "hello"}),
        ("track=[mlflow,wandb]", "track", ["mlflow", "wandb"]),
        ("min_kept_frac=1e-3", "min_kept_frac", 1e-3),
        ("extra=null", "extra", None),
        ("extra=data/my.txt", "extra", "data/my.txt"),
        ("page={title: x}", "page", {"title": "x"}),
        ("+page.title=y", "page", {"title": "y"}),
        ("++page.title=z", "page", {"title": "z"}),
        ("page.title=two words", "page", {"title": "two words"}),
        ("page.title='a, b: [c]'", "page", {"title": "a, b: [c]"}),
    ],
)
def test_a_key_that_the_file_does_not_list_can_be_set(recipe: Path, override: str, key: str, value: object) -> None:
    assert values(recipe, override)[key] == value


def test_a_key_can_be_taken_away(recipe: Path) -> None:
    assert "collect" not in values(recipe, "~collect")


def test_a_profile_is_laid_over_the_recipe_and_overrides_over_both(recipe: Path) -> None:
    composed = compose_recipe(recipe, ["profile=tiny"])
    assert composed.values["fit"]["num_steps"] == 2
    assert composed.profile == "tiny"
    assert values(recipe, "fit.num_steps=7", "profile=tiny")["fit"]["num_steps"] == 7


def test_a_profile_that_the_recipe_chooses_itself_can_be_changed(recipe: Path) -> None:
    recipe.write_text(f"defaults:\n  - _self_\n  - profile: full\n{RECIPE}")
    assert values(recipe)["fit"]["num_steps"] == 99
    assert compose_recipe(recipe, ()).profile == "full"
    assert compose_recipe(recipe, ["profile=tiny"]).profile == "tiny"
    assert values(recipe, "profile=tiny")["fit"]["num_steps"] == 2


def test_an_override_into_the_short_form_of_a_choice_keeps_the_choice(recipe: Path) -> None:
    recipe.write_text("fit:\n  method: normal\n")
    filled = fill(SmallRecipe, values(recipe, "fit.method.ridge=0.5"))
    assert filled.fit.method == Normal(ridge=0.5)


def test_an_override_into_a_choice_that_the_file_does_not_list_changes_the_default(recipe: Path) -> None:
    recipe.write_text("fit:\n  num_steps: 3\n")
    assert fill(SmallRecipe, values(recipe, "fit.method.lr=0.5")).fit == Fit(3, Gradient(lr=0.5))


def test_an_empty_file_is_a_recipe_of_defaults(recipe: Path) -> None:
    recipe.write_text("")
    assert fill(SmallRecipe, values(recipe)) == SmallRecipe()


def test_recipes_build_on_each_other(recipe: Path) -> None:
    (recipe.parent / "other.yaml").write_text("defaults:\n  - line\n  - _self_\nseed: 8\n")
    assert values(recipe.parent / "other.yaml")["collect"] == {"seed": 8}


MISTAKES = {
    "unknown option of a group": (
        ["profile=tny"],
        r"^profile=tny is not known; allowed: full, tiny. Did you mean tiny",
    ),
    "no value": (["seed"], r"^'seed' cannot be read \(.*\); write key=value"),
    "open bracket": (["track=[mlflow"], r"^'track=\[mlflow' cannot be read .*quote text with special characters"),
    "several values": (["seed=1,2"], r"^'seed=1,2' gives more than one value; write a list as 'key=\[a,b\]'"),
    "a range": (["seed=range(1,3)"], r"gives more than one value"),
    "interpolation to nowhere": (["seed=${nope}"], r"line.yaml: Interpolation key 'nope' not found"),
    "taking away what is not there": (["~nope"], r"line.yaml: Could not delete from config. 'nope'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_an_override_is_one_sentence(recipe: Path, name: str) -> None:
    overrides, message = MISTAKES[name]
    with pytest.raises(RecipeError, match=message) as refused:
        compose_recipe(recipe, overrides)
    assert "\n" not in str(refused.value)
    assert "hydra.cc" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "seed: [1",
        "seed: 1\nseed: 2\n",
        "a: b: c",
        "\tseed: 1",
        "- a\n- b\n",
        "seed: ${nope}",
        "seed: ${",
        "seed: ???",
        "defaults:\n  - missing_file\n",
        "defaults: 3",
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_that_names_the_file(recipe: Path, text: str) -> None:
    recipe.write_text(text)
    with pytest.raises(RecipeError, match=r"line.yaml: \S") as refused:
        compose_recipe(recipe, ["profile=tiny"])
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_is_refused(recipe: Path) -> None:
    recipe.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"line.yaml: it is no text in UTF-8 \(invalid start byte at byte 0\)"):
        compose_recipe(recipe, [])


def test_a_list_is_no_recipe(recipe: Path) -> None:
    recipe.write_text("- a\n- b\n")
    with pytest.raises(RecipeError, match=r"line.yaml: it holds a list; write a recipe as lines of `key: value`"):
        compose_recipe(recipe, [])


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are(recipe: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"lime.yaml does not exist; there are: .*line.yaml. Did you mean .*line.yaml"
    ):
        compose_recipe(recipe.with_name("lime.yaml"), [])
    with pytest.raises(RecipeError, match=r"does not exist; there are: none in that folder.$"):
        compose_recipe(recipe.parent / "nowhere" / "line.yaml", [])
    with pytest.raises(RecipeError, match=r"is a folder; there are: .*line.yaml"):
        compose_recipe(recipe.parent, [])
    other = recipe.rename(recipe.with_suffix(".yml"))
    with pytest.raises(RecipeError, match=r"line.yml is no .yaml file; rename it to line.yaml"):
        compose_recipe(other, [])


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
RECIPES = st.builds(
    SmallRecipe,
    collect=st.builds(Collect, num_points=st.integers(2, 99), seed=st.integers()),
    fit=st.builds(
        Fit,
        num_steps=st.integers(),
        method=st.builds(Gradient, lr=NUMBERS) | st.builds(Normal, ridge=NUMBERS),
    ),
    page=st.builds(Page, title=st.text()),
    min_kept_frac=NUMBERS,
    extra=st.none() | st.sampled_from([Path("a"), Path("/b/c")]),
    track=st.lists(st.sampled_from(["mlflow", "wandb"])).map(tuple),
)


@given(RECIPES)
def test_the_resolved_values_give_the_recipe_back(recipe: SmallRecipe) -> None:
    assert fill(SmallRecipe, resolved(recipe)) == recipe


def test_resolved_values_name_every_default_and_every_choice() -> None:
    assert resolved(SmallRecipe())["fit"] == {"num_steps": 20, "method": {"kind": "gradient", "lr": 0.1}}
