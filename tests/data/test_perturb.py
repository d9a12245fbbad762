"""Perturbation: neighbours change places and words go, and nothing else happens."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.augmenting.perturb import Perturb, perturbed
from burnish.data.augmenting.word_spans import num_negations, words_with_places
from burnish.errors import RecipeError

ENGLISH = "Scientists say 3 of them, not all, found the old clock in town today. Nobody else saw it there!"
CHINESE = "酒店的位置非常好,服务员态度不错,但是早餐不好吃。7月2号入住,房间空调没有坏!"
TEXTS = st.one_of(
    st.sampled_from([ENGLISH, CHINESE, "iPhone手机的price很便宜,I like it very much"]),
    st.text(alphabet="abc 酒店早餐不好3,。!\n", max_size=60),
)
SEEDS = st.integers(0, 1000)


def word_counts(text: str) -> Counter[str]:
    return Counter(word.text.lower() for word in words_with_places(text))


def marks(text: str) -> list[str]:
    return re.findall(r"[^\w\s]+", text)


@given(TEXTS, SEEDS, st.floats(0.05, 1))
def test_order_moves_letters_within_clauses_only(text: str, seed: int, frac: float) -> None:
    made = perturbed(text, Perturb(frac, 0.0), random.Random(seed))
    assert marks(made) == marks(text)
    for before, after in zip(re.split(r"[^\w\s]+|\n", text), re.split(r"[^\w\s]+|\n", made), strict=True):
        assert Counter(before.lower()) == Counter(after.lower())


def test_order_swaps_so_many_neighbours() -> None:
    text = "one two three four five six seven eight nine ten"
    words = text.split()
    for seed in range(20):
        made = perturbed(text, Perturb(0.3, 0.0), random.Random(seed)).split()
        moved = [place for place, (a, b) in enumerate(zip(words, made, strict=True)) if a != b]
        assert len(moved) == 6
        assert all(
            made[a] == words[b] and made[b] == words[a] and b == a + 1
            for a, b in zip(moved[::2], moved[1::2], strict=True)
        )
    assert perturbed(text, Perturb(0.01, 0.0), random.Random(0)) != text  # at least one


def test_omission_leaves_so_many_words_out() -> None:
    text = "one two three four five six seven eight nine ten"
    for seed in range(20):
        made = perturbed(text, Perturb(0.0, 0.3), random.Random(seed))
        assert len(made.split()) == 7
        assert "  " not in made
        assert made == made.strip()


@given(TEXTS, SEEDS)
def test_omission_only_takes_away(text: str, seed: int) -> None:
    made = perturbed(text, Perturb(0.0, 0.4), random.Random(seed))
    assert marks(made) == marks(text)
    assert not Counter(made.lower()) - Counter(text.lower())
    assert [c for c in made if c.isdigit()] == [c for c in text if c.isdigit()]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_negations_and_numbers_neither_move_nor_go(text: str) -> None:
    for seed in range(50):
        made = perturbed(text, Perturb(0.3, 0.3), random.Random(seed))
        assert num_negations(made) == num_negations(text)
        assert re.findall(r"\d", made) == re.findall(r"\d", text)
        assert "7月2号" in made or "月" not in text  # what stands beside a number stays with it
        order = perturbed(text, Perturb(0.5, 0.0), random.Random(seed))
        assert order.find("not all") == text.find("not all")


def test_chinese_moves_whole_words() -> None:
    made = {perturbed("早餐非常丰富", Perturb(0.4, 0.0), random.Random(seed)) for seed in range(20)}
    assert made == {"非常早餐丰富", "早餐丰富非常"}
    gone = {perturbed("早餐非常丰富", Perturb(0.0, 0.3), random.Random(seed)) for seed in range(30)}
    assert gone == {"非常丰富", "早餐丰富", "早餐非常"}


def test_a_capital_that_begins_the_sentence_stays_in_front() -> None:
    assert {perturbed("The clock", Perturb(1.0, 0.0), random.Random(seed)) for seed in range(5)} == {"Clock the"}
    assert perturbed("Oslo Bergen", Perturb(1.0, 0.0), random.Random(0)) == "Bergen Oslo"


def test_what_has_no_neighbours_is_as_it_was() -> None:
    for text in ("", "word", "好", "one, two", "not", "12 34", "これは本です"):
        assert perturbed(text, Perturb(1.0, 0.5), random.Random(0)) == text
    assert perturbed("same same", Perturb(1.0, 0.0), random.Random(0)) == "same same"


def test_the_same_draws_give_the_same_text() -> None:
    for text in (ENGLISH, CHINESE):
        one, same, other = (perturbed(text, Perturb(), random.Random(seed)) for seed in (1, 1, 2))
        assert one == same != other


@pytest.mark.parametrize("fracs", [(0.0, 0.0), (1.5, 0.0), (0.0, 1.0), (-0.1, 0.1)])
def test_shares_that_do_nothing_or_too_much_are_refused(fracs: tuple[float, float]) -> None:
    with pytest.raises(RecipeError, match="and one be above 0"):
        Perturb(*fracs)
