"""Heuristics: each published rule fires on what it is for, and on nothing in real prose."""

import json

import pytest
from real_slice import CHINESE, slice_lines

from burnish.data.document import Document
from burnish.data.heuristics import (
    FineWeb,
    Gopher,
    find_fineweb,
    find_gopher,
    passage_frac,
    phrase_frac,
    repeated_line_frac,
)
from burnish.errors import RecipeError

PROSE = [
    row["text"] for row in map(json.loads, slice_lines("type")) if row["type"] in ("c4", "openwebtext")
]  # of 38 to 140 words
WORDS = [
    "the",
    "river",
    "carried",
    "small",
    "boats",
    "past",
    "old",
    "houses",
    "where",
    "people",
    "sat",
    "and",
    "talked",
    "of",
    "summer",
    "while",
    "children",
    "ran",
    "along",
    "its",
    "bank",
    "to",
    "see",
    "who",
    "would",
    "first",
    "reach",
    "that",
    "bridge",
    "and",
    "every",
    "evening",
    "lights",
    "came",
    "on",
    "in",
    "windows",
    "across",
    "town",
    "so",
    "that",
    "anyone",
    "walking",
    "home",
    "late",
    "could",
    "find",
    "their",
    "way",
    "without",
    "fear",
    "or",
    "hurry",
    "under",
    "quiet",
    "trees",
]


def gopher(text: str, config: Gopher | None = None, *, knows_stop_words: bool = True) -> list[str]:
    return [fault.rule for fault in find_gopher(Document(text), config or Gopher(), knows_stop_words=knows_stop_words)]


def fineweb(text: str) -> list[str]:
    return [fault.rule for fault in find_fineweb(Document(text), FineWeb())]


@pytest.mark.parametrize("text", PROSE)
def test_real_prose_passes(text: str) -> None:
    assert gopher(text) == []
    assert fineweb(text) == []


def test_chinese_prose_passes() -> None:
    text = "\n".join(CHINESE)
    assert len(Document(text).words) > 100
    assert gopher(text) == []
    assert fineweb(text) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (" ".join(f"{word}ologicalness" for word in WORDS), "word_length"),
        (" ".join(word[:2] for word in WORDS) + " a b", "word_length"),
        (" ".join(f"#{word}" if i % 5 == 0 else word for i, word in enumerate(WORDS)), "symbols"),
        ("\n".join(f"• {' '.join(WORDS[i : i + 8])}." for i in range(0, 56, 8)), "bullets"),
        ("\n".join(f"{' '.join(WORDS[i : i + 10])} ..." for i in range(0, 50, 10)), "ellipses"),
        (" ".join(f"{word} {i}" if i % 3 == 0 else word for i, word in enumerate(WORDS)), "few_alphabetic_words"),
        (" ".join(word for word in WORDS if len(word) > 5 and word != "without"), "few_stop_words"),
        (" ".join(["buy now", *WORDS[:1]] * 20), "repeated_phrase"),
        (" ".join([*WORDS, *WORDS[:20]]), "repeated_passages"),
    ],
)
def test_each_gopher_rule_fires_on_its_own_fault(text: str, rule: str) -> None:
    assert len(Document(text).words) >= (10 if rule == "few_stop_words" else 50)
    assert rule in gopher(text, Gopher(min_words=10))
    assert gopher(" ".join(WORDS)) == []


def test_one_line_is_no_share_of_lines() -> None:
    assert gopher(" ".join(WORDS) + " ...") == []
    assert gopher("- " + " ".join(WORDS)) == []


def test_stop_words_are_asked_for_only_where_they_are_known() -> None:
    german = " ".join(f"wort{i} haus{i}" for i in range(30))
    assert "few_stop_words" in gopher(german)
    assert "few_stop_words" not in gopher(german, knows_stop_words=False)


def test_short_records_are_not_judged_as_documents() -> None:
    text = "buy now " * 24
    assert len(Document(text).words) == 48
    assert gopher(text) == []
    assert gopher(text + "buy now") != []


def test_a_chinese_document_is_one_of_twice_as_many_characters() -> None:
    text = "非常不错的" * 19
    assert gopher(text) == []  # 95 characters
    assert "repeated_phrase" in gopher(text + "非常不错的")


def test_a_chinese_phrase_is_twice_as_many_characters() -> None:
    name = "中国银行上海浦东分行去年对中国企业放款，中国客户增加，中国农村网点减少，中国各地的中国消费者与中国商家都说中国市场"
    rest = "回暖，明年预计仍会继续扩大规模，改进服务质量，满足小微经营户多样需求，支持绿色能源项目建设"
    assert phrase_frac(Document(name + rest).words, 2) > 0.16
    passage = "人工智能化，它改变生活；人工智能化，催生新职业；人工智能化，影响教育方式；人工智能化，也带来风险。"
    assert passage_frac(Document(passage + rest).words, 5) > 0.15
    assert gopher(name + rest, Gopher(min_words=40, max_phrase_fracs=(0.16, 0.16, 0.16))) == []
    assert gopher(passage + rest, Gopher(min_words=40, max_phrase_fracs=(1.0, 1.0, 1.0))) == []
    assert gopher(passage * 2 + rest, Gopher(max_phrase_fracs=(1.0, 1.0, 1.0))) == ["repeated_passages"]


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([" ".join(WORDS[i : i + 8]) for i in range(0, 48, 8)], "line_ends"),
        ([" ".join(WORDS[:9]) + ".", *(" ".join(WORDS[i : i + 9]) + "." for i in (0, 9, 18, 27))], "repeated_lines"),
        (["Home.", "About us.", "Contact.", "Log in.", " ".join(WORDS) + "."], "short_lines"),
        (
            ["首页。", "关于我们。", "联系方式。", "登录。", "中国银行上海分行昨日公布了上半年的财务报告。"],
            "short_lines",
        ),
    ],
)
def test_each_fineweb_rule_fires_alone(lines: list[str], rule: str) -> None:
    assert fineweb("\n".join(lines)) == [rule]
    assert fineweb("\n".join(lines[:4])) == []  # four lines tell nothing


def test_phrase_frac_counts_only_what_repeats() -> None:
    assert phrase_frac(["a", "b", "c", "d"], 2) == 0.0
    assert phrase_frac(["a", "b", "c", "a", "b"], 2) == pytest.approx(4 / 5)
    assert phrase_frac(["a"], 2) == 0.0


def test_passage_frac_counts_each_word_once() -> None:
    words = ["a", "b", "c", "d", "e", "f"]
    assert passage_frac(words, 5) == 0.0
    assert passage_frac([*words, *words], 5) == pytest.approx(6 / 12)


def test_repeated_line_frac_weighs_by_length() -> None:
    assert repeated_line_frac(["ab", "cdef", "ab"]) == pytest.approx(2 / 8)
    assert repeated_line_frac([]) == 0.0


def test_bounds() -> None:
    with pytest.raises(RecipeError, match="min_words is 4"):
        Gopher(min_words=4)
    with pytest.raises(RecipeError, match="max_phrase_fracs has 2"):
        Gopher(max_phrase_fracs=(0.1, 0.2))
