from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from natural_set import CHINESE, collected, dataset

from burnish.claims.natural import by_chance, is_chinese, natural_texts
from burnish.data.records import Record
from burnish.errors import RecipeError
from burnish.runtime import Run

QUOTAS = {"en": 30, "zh": 12}


def shingles(text: str) -> set[str]:
    lower = " ".join(text.lower().split())
    return {lower[start : start + 5] for start in range(len(lower) - 4)}


def test_passages_are_prose_of_two_languages_and_no_two_are_alike(run: Run) -> None:
    found = natural_texts(collected(run), QUOTAS, seed=0, max_chars=400)
    assert [sum(each.source == source for each in found) for source in QUOTAS] == [30, 12]
    assert len({each.id for each in found}) == len(found)
    assert all(is_chinese(each.text) == (each.source == "zh") for each in found)
    assert all(len(each.text) <= 400 for each in found)
    for one, other in combinations(found, 2):
        a, b = shingles(one.text), shingles(other.text)
        assert len(a & b) < 0.35 * len(a | b)  # hashed shingles may differ a little from these


def test_the_seed_alone_decides_which(run: Run) -> None:
    data = collected(run)
    first, again, other = (natural_texts(data, QUOTAS, seed=seed, max_chars=400) for seed in (0, 0, 1))
    assert first == again != other


def test_a_text_that_is_there_twice_is_taken_once(run: Run) -> None:
    twice = [Record(f"zh:{k}", CHINESE[k % 4] + ("!" if k > 3 else ""), None, "zh") for k in range(8)]
    assert len(natural_texts(dataset(run, twice), {"zh": 4}, seed=0)) == 4
    with pytest.raises(RecipeError, match=r"zh has 4 passages of prose that repeat nothing; 5 are asked for"):
        natural_texts(dataset(run, twice), {"zh": 5}, seed=0)


def test_what_is_no_prose_or_might_have_a_fault_already_is_no_natural_text(run: Run) -> None:
    faults = (
        "mail me@example.org now",
        "call 13812345678 now",
        "at 10.20.30.40 now",
        "a &nbsp; b",
        "<br/> x",
        "a \ufffd",
        "\x07",
    )
    english = "the quick brown fox jumps over the lazy dog and runs home again"
    texts = [f"{prose} {fault}" for fault in faults for prose in (CHINESE[0], english)]
    texts += ["too short", "x = foo(1); y[2] += 3 # { } " * 5, "好的", "1 2 3 4 5 6 7 8 9 10 11 12 13"]
    data = dataset(run, [Record(f"{k}", text, None, f"s{k}") for k, text in enumerate([english, CHINESE[0], *texts])])
    assert len(natural_texts(data, {"s0": 1, "s1": 1}, seed=0)) == 2
    for k in range(len(texts)):
        with pytest.raises(RecipeError, match="has 0 passages"):
            natural_texts(data, {f"s{k + 2}": 1}, seed=0)


@given(st.lists(st.sampled_from(CHINESE), unique=True, min_size=2), st.integers(0, 9))
def test_an_order_by_chance_does_not_depend_on_the_order_given(texts: list[str], seed: int) -> None:
    from burnish.claims.natural import Natural

    given_texts = [Natural(f"n{CHINESE.index(text)}", text, "zh") for text in texts]
    assert by_chance(given_texts, seed, "a") == by_chance(given_texts[::-1], seed, "a")
