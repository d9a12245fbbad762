"""Gibberish: random characters and random words, English and Chinese, against real short text."""

import json
import random

import pytest
from real_slice import CHINESE, slice_lines

from burnish.data.document import Document
from burnish.data.gibberish import (
    Gibberish,
    Vocabulary,
    find_gibberish,
    is_chinese,
    letter_frac,
    mixed_word_frac,
    units_of,
)
from burnish.errors import RecipeError

HEADLINES = [Document(json.loads(line)["input"][-1]["content"]) for line in slice_lines("ideal")]
ROWS = [json.loads(line) for line in slice_lines("type")]
RANDOM_WORDS = [Document(row["text"]) for row in ROWS if row["type"] == "RandomWordsDataset"]
RANDOM_CHARACTERS = [Document(row["text"]) for row in ROWS if row["type"] == "RandomCharAndNumberDataset"]
CONFIG = Gibberish(min_records=100)


def rules(document: Document, vocabulary: Vocabulary, config: Gibberish = CONFIG) -> list[str]:
    return [rejection.rule for rejection in find_gibberish(document, vocabulary, config)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary([*HEADLINES, *RANDOM_WORDS, *RANDOM_CHARACTERS])


def test_random_words_are_salad_and_nothing_else(vocabulary: Vocabulary) -> None:
    assert [rules(document, vocabulary) for document in RANDOM_WORDS] == [["word_salad"]] * 10


def test_random_characters_show_in_letters_or_mixed_words(vocabulary: Vocabulary) -> None:
    caught = [{"few_letters", "mixed_words"} & set(rules(document, vocabulary)) for document in RANDOM_CHARACTERS]
    assert all(caught)


def test_few_real_headlines_are_taken_even_from_so_small_a_set(vocabulary: Vocabulary) -> None:
    taken = [document.text for document in HEADLINES if rules(document, vocabulary)]
    assert len(taken) <= 0.05 * len(HEADLINES), taken


def test_function_words_or_shared_words_save_a_text(vocabulary: Vocabulary) -> None:
    assert rules(Document("quonsil vorpaline drumbastic sneedle"), vocabulary) == ["word_salad"]
    assert rules(Document("the quonsil of vorpaline drumbastic sneedle"), vocabulary) == []
    assert rules(Document("quonsil president obama sneedle"), vocabulary) == []
    assert rules(Document("quonsil vorpaline"), vocabulary) == []  # two words tell nothing


def test_novel_frac_counts_what_no_other_document_has() -> None:
    known = Vocabulary([Document("alpha beta alpha"), Document("beta gamma")])
    assert known.novel_frac(["alpha", "beta", "gamma", "delta"]) == 0.75
    assert known.novel_frac(["the", "delta"]) == 0.5


def test_too_few_records_to_know_what_is_new() -> None:
    few = Vocabulary(HEADLINES[:99])
    assert rules(RANDOM_WORDS[0], few) == []
    assert rules(RANDOM_WORDS[0], few, Gibberish(min_records=99)) == ["word_salad"]


def test_random_chinese_is_salad_among_chinese() -> None:
    rng = random.Random(0)
    common = [bytes([high, low]).decode("gb2312") for high in range(0xB0, 0xD7) for low in range(0xA1, 0xFF)]
    noise = [Document("".join(rng.choices(common, k=20))) for _ in range(20)]
    sentences = [Document(text) for text in CHINESE]
    # Real text repeats itself; four tellings of a dozen sentences stand for a corpus.
    vocabulary = Vocabulary([*sentences * 4, *noise])
    config = Gibberish(min_records=60)
    caught = sum(rules(document, vocabulary, config) == ["word_salad"] for document in noise)
    assert caught >= 18
    assert [rules(document, vocabulary, config) for document in sentences] == [[]] * len(sentences)


def test_a_script_is_judged_among_its_own() -> None:
    mixed = Vocabulary([*HEADLINES, *(Document(text) for text in CHINESE)])
    assert mixed.num_records(chinese=True) == len(CHINESE)
    assert mixed.num_records(chinese=False) == len(HEADLINES)
    assert rules(Document("绛翻娲鹦鸫囡狍徼"), mixed) == []  # 12 Chinese records are not 100


def test_units_are_words_without_numbers_and_chinese_pairs() -> None:
    assert units_of(Document("Buy 3 iPhones, 新手机 now")) == ["buy", "iphones", "now", "新手", "手机"]
    assert units_of(Document("好 ok")) == ["ok", "好"]
    assert is_chinese(["新手", "手机", "now"])
    assert not is_chinese(["buy", "now", "手机", "新手"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abc d1", 1.0), ("ab!?", 0.5), ("wow!!!!!!", 0.75), ("好!", 0.75), ("『门神』", 0.75), ("  ", 0.0)],
)
def test_letter_frac(text: str, expected: float) -> None:
    assert letter_frac(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x9Kq iP lower UPPER 123", 0.4), ("Capital Letters Are Fine", 0.0), ("换了2G内存", 0.2), ("", 0.0)],
)
def test_mixed_word_frac(text: str, expected: float) -> None:
    assert mixed_word_frac(Document(text)) == pytest.approx(expected)


def test_bounds() -> None:
    with pytest.raises(RecipeError, match=r"max_novel_frac is 1\.5"):
        Gibberish(max_novel_frac=1.5)
    with pytest.raises(RecipeError, match="min_records is 0"):
        Gibberish(min_records=0)
