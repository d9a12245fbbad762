"""Segmentation: real Chinese words are counted, mixed text too, and no more is segmented than an answer needs."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data import text as other
from burnish.data.repairs import segment
from burnish.data.repairs.repair_hanzi import common_hanzi
from burnish.data.repairs.segment import MAX_WORD_CHARACTERS, count_words, has_at_least, words

HANZI = sorted(common_hanzi())
segment.words("分词器先载入词典。")  # takes longer than hypothesis allows one example

mixed = st.lists(
    st.text(HANZI, max_size=30)
    | st.text("ab1'. -_，。\n", max_size=10)
    | st.text(max_size=5)
    | st.just("中华人民共和国"),
    max_size=6,
).map("".join)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("研究生命的起源", ["研究", "生命", "的", "起源"]),
        ("今天天气很好，我们一起去公园散步吧！", ["今天天气", "很", "好", "我们", "一起", "去", "公园", "散步", "吧"]),
        ("我来到北京清华大学。", ["我", "来到", "北京", "清华大学"]),
        ("清華大學", ["清華大學"]),
        ("Don't use Linux操作系统 2.6", ["dont", "use", "linux", "操作系统", "2", "6"]),
        ("カタカナ", ["カ", "タ", "カ", "ナ"]),
        ("一，二。\n三", ["一", "二", "三"]),
        ("—— …… ！", []),
        ("", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found
    assert count_words(text) == len(found)


def test_word_borders_are_mostly_the_annotators() -> None:
    # as annotated in the PKU corpus (People's Daily, January 1998)
    gold = (
        "迈向 充满 希望 的 新 世纪",
        "中共中央 总书记 国家 主席 江 泽民",
        "我们 必须 同 各国 人民 一道 努力",
        "在 这 辞旧迎新 的 美好 时刻 我 祝 大家 新年 快乐 家庭 幸福",
        "我国 改革 开放 和 现代化 建设 继续 向前 迈进",
        "国民经济 保持 了 高 增长 低 通胀 的 良好 发展 态势",
    )
    hits = num_found = num_gold = 0
    for sentence in gold:
        annotated, found = (
            list(accumulate(map(len, each))) for each in (sentence.split(), words(sentence.replace(" ", "")))
        )
        hits, num_found, num_gold = (
            hits + len({*annotated} & {*found}),
            num_found + len(found),
            num_gold + len(annotated),
        )
    assert hits / num_found > 0.9
    assert hits / num_gold > 0.75


@given(mixed)
def test_english_follows_the_word_rule_and_chinese_has_the_bounds(text: str) -> None:
    num_hanzi = sum(len(piece["chinese"] or "") for piece in segment._PIECE.finditer(text))
    num_others = sum(len(other.words(p[0])) for p in segment._PIECE.finditer(text) if p["chinese"] is None)
    least = num_others + -(-num_hanzi // MAX_WORD_CHARACTERS)
    assert least <= count_words(text) <= num_others + num_hanzi
    if num_hanzi == 0:
        assert words(text) == other.words(text)
    assert count_words(text) == len(words(text))


@given(mixed, st.integers(0, 40))
def test_the_short_answer_is_the_long_one(text: str, num_words: int) -> None:
    assert has_at_least(text, num_words) == (count_words(text) >= num_words)


def test_words_cover_the_chinese_of_a_text_in_order() -> None:
    text = "陈兵戎在网易杭研大厦说：“中华人民共和国全国人民代表大会”龘靐齉，我來到臺灣。"
    assert "".join(words(text)) == "".join(character for character in text if "\u4e00" <= character <= "\u9fff")


def test_no_more_is_segmented_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Counting:
        def cut(self, run: str, hmm: bool) -> list[str]:
            seen.append(len(run))
            return [run[i : i + 2] for i in range(0, len(run), 2)]

    monkeypatch.setattr(segment, "_segmenter", Counting)
    assert has_at_least("字" * 1_000_000, 10)
    assert has_at_least("好的，" * 1_000_000, 10)
    assert seen == [2] * 10
    assert has_at_least("字" * 160, 10)
    assert not has_at_least("字" * 18, 10)
    assert has_at_least("字" * 20, 10)
    assert seen[10:] == [18, 20]


def test_a_word_longer_than_any_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Whole:
        def cut(self, run: str, hmm: bool) -> list[str]:
            return [run]

    monkeypatch.setattr(segment, "_segmenter", Whole)
    assert [len(word) for word in words("字" * 40)] == [16, 16, 8]
