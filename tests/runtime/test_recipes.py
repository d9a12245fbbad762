from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from burnish.errors import RecipeError
from burnish.runtime.recipes import choice_name, fill


@dataclass(frozen=True)
class Lora:
    rank: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise RecipeError(f"rank is {self.rank}; it must be at least 1")


@dataclass(frozen=True)
class Full:
    pass


@dataclass(frozen=True)
class HuggingFaceFolder:
    path: Path


@dataclass(frozen=True)
class Optimizer:
    lr: float = 1e-3
    betas: tuple[float, ...] = (0.9, 0.999)


@dataclass(frozen=True)
class Train:
    method: Lora | Full = Lora(rank=4)
    optimizer: Optimizer = Optimizer(lr=5e-4)
    precision: Literal["fp32", "bf16"] = "fp32"
    num_epochs: int = 1
    is_packed: bool = True
    note: str = ""
    warmup: int | None = None


@dataclass(frozen=True)
class Recipe:
    source: HuggingFaceFolder | Full
    train: Train = Train(num_epochs=3)
    seeds: tuple[int, ...] = (0,)
    weights: dict[str, float] = field(default_factory=dict)
    stages: tuple[Lora | Full, ...] = ()
    extra: Lora | None = None
    limit: int | Literal["auto"] = "auto"


def filled(**values: Any) -> Recipe:
    return fill(Recipe, {"source": "full", **values})


def test_nothing_given_is_the_default() -> None:
    assert filled() == Recipe(Full())


def test_values_go_to_their_places() -> None:
    recipe = fill(
        Recipe,
        {
            "source": {"kind": "hugging_face_folder", "path": "models/a"},
            "train": {"method": {"kind": "full"}, "precision": "bf16", "warmup": 10},
            "seeds": [1, 2],
            "weights": {"a": 1},
            "stages": ["lora", {"kind": "lora", "rank": 2}, "full"],
            "extra": {"rank": 3},
            "limit": 5,
        },
    )
    assert recipe == Recipe(
        HuggingFaceFolder(Path("models/a")),
        Train(method=Full(), precision="bf16", warmup=10, num_epochs=3),
        (1, 2),
        {"a": 1.0},
        (Lora(), Lora(2), Full()),
        Lora(3),
        5,
    )


def test_one_key_of_a_default_keeps_the_rest_of_that_default() -> None:
    recipe = filled(train={"optimizer": {"betas": [0.8]}})
    assert recipe.train.optimizer == Optimizer(lr=5e-4, betas=(0.8,))
    assert recipe.train.num_epochs == 3


def test_keys_of_a_choice_without_a_kind_change_the_default_choice() -> None:
    assert filled(train={"method": {"alpha": 1.0}}).train.method == Lora(rank=4, alpha=1.0)


def test_a_named_choice_starts_from_its_own_defaults() -> None:
    assert filled(train={"method": "lora"}).train.method == Lora(rank=8)
    assert filled(train={"method": {"kind": "lora", "alpha": 1.0}}).train.method == Lora(rank=8, alpha=1.0)


def test_none_where_none_is_allowed() -> None:
    assert filled(extra=None).extra is None
    assert filled(train={"warmup": None}).train.warmup is None


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"trainn": {}}, r"^trainn=\{\} is not known; keys here: source, train, .* Did you mean train\?$"),
    "unknown nested key": (
        {"train": {"method": {"kind": "lora", "rnak": 3}}},
        r"^train.method.rnak=3 is not known; keys here: rank, alpha. Did you mean rank\?$",
    ),
    "key of another choice": (
        {"train": {"method": {"kind": "full", "rank": 3}}},
        r"^train.method.rank=3 is not known; keys here: .$",
    ),
    "unknown kind": ({"train": {"method": "lorra"}}, r"^train.method.kind='lorra' is not known; allowed: lora, full."),
    "no kind": ({"source": {"path": "a"}}, r"^source is .*; give it a kind, one of: hugging_face_folder, full$"),
    "choice as number": ({"train": {"method": 3}}, r"^train.method is 3; give it a kind, one of: lora, full$"),
    "missing": ({"source": {"kind": "hugging_face_folder"}}, r"^source.path is not given and has no default; .*path$"),
    "text for a number": ({"train": {"num_epochs": "x"}}, r"^train.num_epochs is 'x'; it must be a whole number$"),
    "fraction for a whole": ({"train": {"num_epochs": 1.5}}, r"^train.num_epochs is 1.5; it must be a whole number$"),
    "true for a number": ({"train": {"num_epochs": True}}, r"^train.num_epochs is True; it must be a whole number$"),
    "number for true": ({"train": {"is_packed": 1}}, r"^train.is_packed is 1; it must be true or false$"),
    "number for text": ({"train": {"note": 1}}, r"^train.note is 1; it must be text$"),
    "text for a float": ({"train": {"optimizer": {"lr": "1e-4"}}}, r"^train.optimizer.lr is '1e-4'; it must be a num"),
    "literal": (
        {"train": {"precision": "bf61"}},
        r"^train.precision is 'bf61'; allowed: fp32, bf16. Did you mean bf16",
    ),
    "scalar for a list": ({"seeds": 3}, r"^seeds is 3; it must be a list: \[3\]$"),
    "wrong item": ({"seeds": [1, "b"]}, r"^seeds\[1\] is 'b'; it must be a whole number$"),
    "wrong item of a choice": ({"stages": ["lora", "ful"]}, r"^stages\[1\].kind='ful' .* Did you mean full\?$"),
    "wrong mapping value": ({"weights": {"a": "x"}}, r"^weights.a is 'x'; it must be a number$"),
    "list for a mapping": ({"weights": [1]}, r"^weights is \[1\]; it must be a mapping$"),
    "scalar for a dataclass": ({"train": None}, r"^train is None; it must be a mapping with keys among: method, "),
    "none of several": ({"limit": "all"}, r"^limit is 'all'; it must be a whole number or "),
    "forbidden by the type itself": ({"train": {"method": {"rank": 0}}}, r"^train.method: rank is 0; it must be at"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_with_key_value_and_remedy(name: str) -> None:
    values, message = MISTAKES[name]
    with pytest.raises(RecipeError, match=message) as refused:
        fill(Recipe, {"source": "full", **values})
    assert "\n" not in str(refused.value)


def test_the_recipe_itself_must_be_a_mapping() -> None:
    with pytest.raises(RecipeError, match=r"^the recipe is \[1\]; it must be a mapping"):
        fill(Recipe, [1])  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "name"), [(HuggingFaceFolder, "hugging_face_folder"), (Lora, "lora")])
def test_names_of_choices(kind: type, name: str) -> None:
    assert choice_name(kind) == name


@given(st.data())
def test_the_nearest_right_key_is_named_for_a_slip_of_the_hand(data: st.DataObject) -> None:
    keys = [item.name for item in fields(Train)]
    key = data.draw(st.sampled_from([key for key in keys if len(key) > 4]))
    place = data.draw(st.integers(1, len(key) - 2))
    slip = data.draw(st.sampled_from(["drop", "swap", "double"]))
    wrong = {
        "drop": key[:place] + key[place + 1 :],
        "swap": key[:place] + key[place + 1] + key[place] + key[place + 2 :],
        "double": key[: place + 1] + key[place:],
    }[slip]
    assume(wrong not in keys)
    with pytest.raises(RecipeError, match=rf"Did you mean {key}\?"):
        filled(train={wrong: 1})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from([item.name for item in fields(Recipe)]), value=ANYTHING)
def test_whatever_is_given_it_fits_or_is_refused_in_one_sentence(key: str, value: object) -> None:
    try:
        recipe = fill(Recipe, {"source": "full", key: value})
    except RecipeError as error:
        assert key in str(error)  # noqa: PT017 - either outcome is right, and this one has a form
    else:
        assert isinstance(recipe, Recipe)
