"""Rules: each fires on what it is for, at its exact bound, and none on real prose of either language."""

import json
import random
import re

import numpy as np
import pyarrow
import pytest
from real_slice import CHINESE, slice_lines

from burnish.data.duplicates.copy_plan import columns_of
from burnish.data.repairs.cleaner import Cleaner
from burnish.data.rules import DOCUMENT_RULES, GIBBERISH_RULES, LINE_RULES, Documents, Gibberish, Lines
from burnish.data.select import RULES, SelectConfig, judge
from burnish.data.shards import kept_schema
from burnish.data.shingle import Words
from burnish.errors import RecipeError

ROWS = [json.loads(line) for line in slice_lines("type")]
PROSE = [row["text"] for row in ROWS if row["type"] in ("c4", "openwebtext")]
QUOTES = [row["text"] for row in ROWS if row["type"] == "Abirate/english_quotes"]
HEADLINES = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")]
RANDOM_WORDS = [row["text"] for row in ROWS if row["type"] == "RandomWordsDataset"]
RANDOM_CHARACTERS = [row["text"] for row in ROWS if row["type"] == "RandomCharAndNumberDataset"]
WORDS = re.findall(
    r"\w+",
    "The river carried small boats past old houses where people sat and talked of summer, while children ran along its "
    "bank to see who would first reach that bridge; and every evening lights came on in windows across town, so that "
    "anyone walking home late could find their way without fear or hurry under quiet trees.",
)
CHINESE_PROSE = (
    "中国银行上海浦东分行去年对中小企业放款，客户增加，农村网点减少，各地的消费者与商家都说市场回暖，明年预计仍会继续扩大规模，"
    "改进服务质量，满足小微经营户多样需求，支持绿色能源项目建设。人工智能技术正在改变我们的生活方式，也带来了新的风险。"
)


def faults(
    texts: list[str], config: SelectConfig | None = None, languages: tuple[str, ...] = ("en", "zh")
) -> list[list[str]]:
    """Give the rules that each text breaks, in order."""
    rows = [{"id": str(n), "text": text, "source": "t", "planted": ""} for n, text in enumerate(texts)]
    table = pyarrow.Table.from_pylist(rows, schema=kept_schema())
    measures = Cleaner(languages, None, Words())(table).measures
    verdicts = judge(columns_of(measures), config or SelectConfig())
    return [[verdict.rule for verdict in verdicts if verdict.fails[row]] for row in range(len(texts))]


def test_real_prose_passes_in_both_languages() -> None:
    assert len(PROSE) >= 10
    chinese = ["\n".join(CHINESE), CHINESE_PROSE, "。\n".join([*CHINESE, CHINESE_PROSE])]
    texts = [*PROSE, *QUOTES, *CHINESE, *chinese, " ".join(WORDS), "\n".join(map(" ".join, (WORDS[:30], WORDS[30:])))]
    assert faults(texts, SelectConfig(min_words=5)) == [[]] * len(texts)


def test_few_real_headlines_are_taken() -> None:
    taken = [
        (text, rules)
        for text, rules in zip(HEADLINES, faults(HEADLINES, SelectConfig(min_words=3)), strict=True)
        if rules
    ]
    assert len(taken) <= 0.02 * len(HEADLINES), taken


def test_random_rows_are_caught() -> None:
    assert all("word_salad" in rules for rules in faults(RANDOM_WORDS))
    caught = faults(RANDOM_CHARACTERS)
    assert all(caught)
    assert sum(bool(set(rules) & set(GIBBERISH_RULES)) for rules in caught) >= 9  # of 10; one has ten characters
    rng = random.Random(0)
    hanzi = ["".join(chr(rng.randrange(0x4E00, 0x9FA6)) for _ in range(20)) for _ in range(20)]
    letters = [" ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(12)) for _ in range(20)]
    assert all("random_ideographs" in rules for rules in faults(hanzi))
    assert all("random_letters" in rules for rules in faults(letters))


LINES_OF_EIGHT = [" ".join(WORDS[i : i + 8]) for i in range(0, 56, 8)]


CASES = [
    ("too short", "too_few_words"),
    ("央行降息", "too_few_words"),
    ("Le président a parlé hier soir de la guerre et du climat devant des journalistes.", "language"),
    ("& ^ $ | (%) [] {} ~ ! ? <> @ # * / = + the end of it is so _ and you are in", "few_letters"),
    ("『』【】《》、；：—…（）～·〔〕“”‘’「」★※→←一二三四五", "few_letters"),
    ("the x9Kq z8Rt p0Lm aQ3w bX2y cW1v is of the end", "mixed_words"),
    ("quonsilate vorpaline drumbastic sneedleton fraxitude glimmerous plonkation trevastic mundelicate skorpifant", "word_salad"),
    ("xqzv wkjh of the zxcq vbgw and qwrt jkzx the pqzw vxkj", "random_letters"),
    ("犇猋骉麤龘靐齉爩厵灥馫鱻羴掱惢焱", "random_ideographs"),
    (" ".join(word[:2] for word in WORDS), "short_words"),
    (" ".join(f"{word}ologicalness" for word in WORDS[:40] + ["the", "of"] * 8), "long_words"),
    (" ".join(f"#{word}" if i % 5 == 0 else word for i, word in enumerate(WORDS)), "symbols"),
    (" ".join(f"{word} {i} {i + 1} {i + 2}" if i % 2 == 0 else word for i, word in enumerate(WORDS)), "few_alphabetic_words"),
    (" ".join(f"mountain{a} rivers{b}" for a in "bcdefgh" for b in "klmn"), "few_function_words"),
    (" ".join(["buy now", *WORDS[:1]] * 20), "repeated_phrase_2"),
    ("非常不错的" * 30, "repeated_phrase_4"),
    ("买它买它" * 30, "repeated_phrase_2"),
    (" ".join([*WORDS[:20]] * 5), "repeated_passages"),
    (CHINESE_PROSE * 4, "repeated_passages"),
    ("\n".join(f"• {line}." for line in LINES_OF_EIGHT), "bullets"),
    ("\n".join(f"  - {line}." for line in LINES_OF_EIGHT), "bullets"),
    ("\n".join(f"{line} ..." for line in LINES_OF_EIGHT), "ellipses"),
    ("\n".join(f"{CHINESE_PROSE[i : i + 30]}……" for i in range(0, 150, 30)), "ellipses"),
    ("\n".join([f"{' '.join(WORDS[:20])}."] * 4 + [" ".join(WORDS[i : i + 10]) for i in (20, 30)]), "repeated_lines"),
    ("\n".join(WORDS), "short_lines"),
    ("\n".join(CHINESE_PROSE[i : i + 5] for i in range(0, 110, 5)), "short_lines"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), CASES)
def test_each_rule_fires_on_its_own_fault(text: str, rule: str) -> None:
    assert rule in faults([text])[0]


def test_lost_characters_and_line_ends() -> None:
    assert faults(["caf\ufffd the harvest of this year is good and the barns are full of it"]) == [["lost_characters"]]
    asked = SelectConfig(lines=Lines(min_line_end_frac=0.12))
    text = "\n".join([*LINES_OF_EIGHT[:5], " ".join(WORDS[40:56])])
    assert faults([text, text + ".", "\n".join(f"{line}。" for line in text.split("\n"))], asked) == [
        ["line_ends"],
        [],
        [],
    ]
    assert faults([text]) == [[]]


def test_every_rule_has_a_text_above_and_one_name() -> None:
    covered = {rule for _, rule in CASES}
    copies = {"exact_copy", "near_copy"}  # `test_select`
    assert covered | {"lost_characters", "line_ends", "repeated_phrase_3"} | copies == set(RULES)
    assert len(RULES) == len(set(RULES)) == 4 + len((*GIBBERISH_RULES, *DOCUMENT_RULES, *LINE_RULES))


def test_bounds_are_inclusive_though_measures_are_single_precision() -> None:
    text = " ".join(
        ["buy now"] * 3 + [f"{a}{b}{a}{b}" for a in "bcdf" for b in "aeio"] + ["the"] * 2
    )  # 24 words, 6 in the phrase
    assert len(text.split()) == 24
    for share, broken in ((0.25, False), (0.24, True)):
        documents = Documents(
            min_words=10, max_phrase_fracs=(share, 1, 1), min_function_words=0, max_mean_word_chars=99
        )
        assert ("repeated_phrase_2" in faults([text], SelectConfig(documents=documents))[0]) is broken
    ten = " ".join(["the"] * 6 + [str(number) for number in range(4)])  # 0.6 alphabetic, which float32 has not
    for least, broken in ((0.6, False), (0.61, True)):
        documents = Documents(
            min_words=10, min_alphabetic_word_frac=least, max_phrase_fracs=(1, 1, 1), max_passage_frac=1
        )
        assert ("few_alphabetic_words" in faults([ten], SelectConfig(documents=documents))[0]) is broken
    nine = "\n".join(["- the end"] * 9 + ["the end"])
    for most, broken in ((0.9, False), (0.89, True)):
        lines = Lines(min_words=10, max_bullet_line_frac=most, max_repeated_line_frac=1, max_short_line_frac=1)
        assert ("bullets" in faults([nine], SelectConfig(lines=lines))[0]) is broken


@pytest.mark.parametrize("min_words", [3, 4])
def test_the_floor_counts_words_as_a_reader_does(min_words: int) -> None:
    texts = ["one two three", "one, two - three", "今天天气", "don't stop it", "", "央行下调存款准备金率"]
    few = ["too_few_words" in rules for rules in faults(texts, SelectConfig(min_words=min_words))]
    assert few == [min_words > 3, min_words > 3, True, min_words > 3, True, False]


def test_rules_for_documents_leave_short_records_alone() -> None:
    shout = "everyone can order this product from our " * 6
    menu = "Home.\nAbout us.\nContact.\nLog in.\nAll of this and more is what we have for you here."
    assert faults([shout, menu]) == [[], []]
    assert "repeated_passages" in faults([shout * 2])[0]
    assert "short_lines" in faults([menu], SelectConfig(lines=Lines(10, max_short_line_frac=0.7)))[0]
    assert faults([menu.replace("Log in.\n", "")], SelectConfig(lines=Lines(10, max_short_line_frac=0.7))) == [
        []
    ]  # four


def test_a_chinese_document_is_one_of_twice_as_many_characters() -> None:
    assert "repeated_phrase_4" not in faults(["非常不错的" * 19])[0]  # 95 characters
    assert "repeated_phrase_4" in faults(["非常不错的" * 20])[0]


def test_a_rare_name_is_no_random_text() -> None:
    named = [
        "The singer 陶喆 and the poet 靐 read from the new book in Taipei on the weekend.",
        "歌手陶喆昨日在台北小巨蛋举办演唱会，现场座无虚席。",
    ]
    assert faults(named) == [[], []]


TURKISH = (
    "Dün akşam şehir merkezinde açılan yeni kütüphane büyük ilgi gördü. Öğrenciler sabah erken saatlerde kapının "
    "önünde sıraya girdi, çünkü sınav haftası yaklaşıyor ve evde çalışacak sessiz yer bulmak çok zor. Müdür, "
    "binanın hafta sonları gece yarısına kadar açık kalacağını söyledi. Mahalle sakinleri ise çocukları için "
    "ayrılan bölümü, renkli rafları, geniş pencereleri ve bahçeye bakan okuma salonunu özellikle beğendi."
)
FINNISH = "Kansaneläkelaitoksen pääjohtaja luonnehti eduskuntavaalikeskustelua poikkeuksellisen asialliseksi."


def test_function_words_are_asked_only_of_languages_whose_words_are_known() -> None:
    assert faults([TURKISH], languages=("tr",)) == [[]]
    assert faults([FINNISH], SelectConfig(min_words=5), languages=("fi",)) == [[]]
    assert (
        "word_salad"
        in faults(["quonsilate vorpaline drumbastic sneedleton fraxitude glimmerous"], languages=("en",))[0]
    )


def test_a_group_that_is_off_asks_nothing() -> None:
    texts = ["x9Kq z8Rt p0Lm aQ3w bX2y cW1v", "buy now " * 60, "\n".join(WORDS)]
    off = SelectConfig(min_words=0, min_language_score=0, gibberish=None, documents=None, lines=None)
    assert faults(texts, off) == [[]] * 3
    assert all(faults(texts))


def test_the_order_of_rules_is_theirs() -> None:
    both = "Xq9 #@! 7zT %^& *() кот"
    (rules,) = faults([both])
    assert rules[:3] == ["too_few_words", "language", "few_letters"]
    assert rules == [rule for rule in RULES if rule in rules]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gibberish(min_letter_frac=1.5), r"min_letter_frac is 1\.5; it must be in \[0, 1\]"),
        (lambda: Gibberish(max_lost_frac=-0.1), r"max_lost_frac is -0\.1"),
        (lambda: Documents(min_words=0), "min_words is 0; it must be at least 1"),
        (lambda: Documents(max_phrase_fracs=(0.1, 0.2)), "max_phrase_fracs has 2 values; it must have 3"),
        (lambda: Documents(max_phrase_fracs=(0.1, 0.2, 2.0)), r"max_phrase_fracs is 2\.0"),
        (lambda: Lines(max_short_line_frac=7), "max_short_line_frac is 7"),
        (lambda: Lines(min_words=0), "min_words is 0; it must be at least 1"),
    ],
)
def test_bounds_of_bounds(make: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make()  # type: ignore[operator]


def test_columns_are_what_the_measures_say() -> None:
    table = pyarrow.table({"id": ["a"], "language": ["tr"], "x": pyarrow.array([0.3], pyarrow.float32())})
    column = columns_of(table)
    assert column("x").tolist() == [0.3]
    assert column("knows_function_words").tolist() == [0.0]
    assert column("x").dtype == np.float64
