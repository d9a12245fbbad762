"""Measure: the kernel finds what the oracle finds, on every script, in any batch, and on bytes that are no text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_texts import broken, readings, texts, tidied, values
from oracle import measures, read

SOUND = st.lists(texts, min_size=1, max_size=4)


def assert_equal(found: dict[str, float], expected: dict[str, float]) -> None:
    assert {name: pytest.approx(value, rel=1e-5, abs=1e-6) for name, value in expected.items()} == found


@settings(max_examples=400, deadline=None)
@given(SOUND)
def test_every_measure_of_sound_text_is_the_oracles(drawn: list[str]) -> None:
    tidy = tidied(drawn)
    for text, found in zip(tidy, values([text.encode() for text in tidy]), strict=True):
        assert_equal(found, measures(text.encode()))


@settings(max_examples=300, deadline=None)
@given(st.lists(broken(), min_size=1, max_size=4))
def test_every_measure_of_broken_bytes_is_the_oracles(drawn: list[bytes]) -> None:
    for data, found in zip(drawn, values(drawn), strict=True):
        assert_equal(found, measures(data))


@pytest.mark.parametrize(
    "text",
    [
        "\n".join("!" * size for size in range(1, 60)),  # many lines, no word
        "\n".join(["☺" * size + "。" for size in range(1, 40)] * 2),
        "buy now " * 40,
        "非常不错的" * 40,
        "的" * 300,
        "a",
        "",
        "x9Kq iP lower UPPER 123 3rd don'T o'2",
        "  - a\n\t• b\n* c...\n1. d…\n",
        "the cat 中文 and 日本語のテキスト 한국어 текст",
    ],
)
def test_texts_that_are_hard_on_something(text: str) -> None:
    assert_equal(values([b"before", text.encode(), b"after"])[1], measures(text.encode()))


def test_a_text_is_measured_alike_in_any_batch() -> None:
    drawn = [f"line {n}, the {n % 7}th of 中文 {'!' * (n % 5)}\n" * (n % 11) for n in range(200)]
    data = [text.encode() for text in drawn]
    assert values(data) == [values([text])[0] for text in data]
    together, alone = readings(data), [readings([text]) for text in data]
    assert (together.keys == np.concatenate([each.keys for each in alone])).all()
    assert (together.signatures == np.concatenate([each.signatures for each in alone])).all()


def test_a_record_of_five_megabytes_and_no_record() -> None:
    paragraph = "The river carried small boats past old houses. 中国银行昨日公布了财务报告。\n"
    many = "".join(f"{number} {paragraph}" for number in range(5_000_000 // len(paragraph.encode())))
    found = values([many.encode(), b""])[0]
    assert found["num_bytes"] == len(many.encode()) > 4_900_000
    assert found["num_lines"] == many.count("\n")
    assert found["num_words"] == sum(len(read(line)[0]) for line in many.split("\n")[:3]) / 3 * many.count("\n")
    assert found["repeated_line_frac"] == 0  # each line has its number
    assert found["repeated_passage_frac"] > 0.9
    assert readings([]).values.shape == (0, len(found))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("abc d1", "letter_frac", 1.0),
        ("ab!?", "letter_frac", 0.5),
        ("wow!!!!!!", "letter_frac", 0.75),  # a mark that is repeated counts once
        ("好!", "letter_frac", 0.75),  # an ideograph counts as three
        ("『门神』", "letter_frac", 0.75),
        ("", "letter_frac", 0.0),
        ("x9Kq iP lower UPPER 123", "mixed_word_frac", 0.4),
        ("Capital Letters Are Fine", "mixed_word_frac", 0.0),
        ("换了2G内存", "mixed_word_frac", 0.2),
        ("a b c d", "phrase_2_frac", 0.0),
        ("a b c a b", "phrase_2_frac", 0.8),
        ("a b c a b", "phrase_3_frac", 0.0),
        ("中国的中国", "phrase_2_frac", 0.0),  # of Chinese, four characters
        ("中国银行的中国银行", "phrase_2_frac", 8 / 9),
        ("a b c d e f", "repeated_passage_frac", 0.0),
        ("a b c d e f a b c d e f", "repeated_passage_frac", 0.5),
        ("ab\ncdef\nab", "repeated_line_frac", 0.25),
        ("the cat is ❤\ufe0f", "num_words", 3),
        ("don’t won't", "num_words", 2),
        ("don’t won't", "mean_word_chars", 4),
        ("中文 and 日本", "num_words", 5),
        ("# a ... b … c", "symbol_frac", 1.0),
        ("to be or not", "function_word_frac", 1.0),
        ("我的书在桌上", "num_function_words", 4),
        ("qz", "letter_surprise_bits", None),
        ("犇中", "rare_hanzi_frac", 0.5),
        ("x\ufffd", "replacement_frac", 0.5),
        ("한국 abc", "hangul_frac", 0.4),
        ("ひら中", "kana_frac", 2 / 3),
    ],
)
def test_measures_by_example(text: str, name: str, expected: float | None) -> None:
    (found,) = values([text.encode()])
    if expected is None:
        assert found[name] > values([b"th"])[0][name] + 3  # bits
    else:
        assert found[name] == pytest.approx(expected)
