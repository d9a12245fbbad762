"""Cleaner: a table comes back as it would from the plain Python functions, and the ledger says what was done."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_texts import texts
from personal_texts import personal
from real_slice import CHINESE

from burnish.data.kernel.batch import to_arrays, to_column
from burnish.data.kernel.measure import MEASURES
from burnish.data.language import DocumentLanguage, LanguageModel
from burnish.data.repairs.cleaner import Cleaned, Cleaner, Splices, measures_schema
from burnish.data.repairs.pii import Drop, PiiConfig, mask
from burnish.data.repairs.repair import repair
from burnish.data.repairs.repair_hanzi import has_gbk_sign
from burnish.data.repairs.segment import count_words
from burnish.data.shards import kept_schema
from burnish.data.shingle import Bytes, Words

PII = PiiConfig(with_private_ips=True)
CLEANER = Cleaner(("en", "zh"), PII, Words())
DAMAGED = st.sampled_from(
    ["<p>", "</p>", "&amp;", "cafÃ©", "\u200b", "\x07", "\ufffd", "e\u0301", "鍝佽川", "\r\n", "\u3000"]
)
_ODD_BREAK = re.compile("[\r\x0b\x0c\x1c-\x1e\u2028\u2029]")
drawn_texts = personal | texts | st.lists(DAMAGED | personal.map(lambda text: text[:20]), max_size=8).map("".join)


def table(given_texts: list[str]) -> Any:
    rows = [
        {"id": f"r:{n}", "text": text, "label": "a", "source": "s", "planted": "", "meta": "{}"}
        for n, text in enumerate(given_texts)
    ]
    return pyarrow.Table.from_pylist(rows, schema=kept_schema())


def clean(given_texts: list[str], cleaner: Cleaner = CLEANER) -> Cleaned:
    return cleaner(table(given_texts))


def cleaned_texts(given_texts: list[str], cleaner: Cleaner = CLEANER) -> list[str]:
    found: list[str] = clean(given_texts, cleaner).rows["text"].to_pylist()
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(drawn_texts, min_size=1, max_size=4))
@example(["https://me:s3cretpw@"])  # credentials of no host, which the plain functions do not look for
def test_texts_are_repaired_and_masked_as_by_the_plain_functions(drawn: list[str]) -> None:
    sound = [text for text in drawn if not has_gbk_sign(text)]  # of which some are let pass: `inspect`
    done = clean(sound)
    expected = [mask(repair(text).text, PII) for text in sound]
    assert done.rows["text"].to_pylist() == [masked.text for masked in expected]
    assert done.rows.drop_columns("text") == table(sound).drop_columns("text")
    ledger = done.ledger.to_pylist()
    assert all(entry["step"] == "clean" and entry["kept"] for entry in ledger)
    for row, (text, masked) in enumerate(zip(sound, expected, strict=True)):
        mine = {entry["rule"]: entry["value"] for entry in ledger if entry["id"] == f"r:{row}"}
        did = {f"repaired_{name}": 1.0 for name in repair(text).did - {"spaces"}}
        if _ODD_BREAK.search(text):  # white space, or an invalid character where something else is wrong too
            did.pop("repaired_invalid_characters", None)
            mine.pop("repaired_invalid_characters", None)
        assert mine == did | {f"masked_{kind}": float(count) for kind, count in masked.counts.items()}
    assert done.counts["records"] == len(sound)
    assert done.counts["masked"] == sum(bool(masked.spans) for masked in expected)
    assert done.counts["repaired"] == len({entry["id"] for entry in ledger if entry["rule"].startswith("repaired_")})
    sums = Counter[str]()
    for entry in ledger:
        sums[entry["rule"]] += int(entry["value"])
    assert {rule: done.counts[rule] for rule in sums} == sums


@settings(max_examples=60, deadline=None)
@given(st.lists(drawn_texts, min_size=1, max_size=6))
def test_a_cleaned_text_needs_no_cleaning(drawn: list[str]) -> None:
    once = cleaned_texts([text for text in drawn if not has_gbk_sign(text)], replace(CLEANER, pii=None))
    again = [text for text in once if not has_gbk_sign(text)]
    assert cleaned_texts(again, replace(CLEANER, pii=None)) == again


def test_masking_is_left_out_where_it_is_not_asked_for() -> None:
    text = "call 13800138000 or mail ann@example.com"
    assert cleaned_texts([text], replace(CLEANER, pii=None)) == [text]
    assert cleaned_texts([text]) == ["call <CN_MOBILE> or mail <EMAIL>"]
    assert cleaned_texts([text], replace(CLEANER, pii=PiiConfig(kinds=("email",)))) == [
        "call 13800138000 or mail <EMAIL>"
    ]
    dropped = replace(CLEANER, pii=PiiConfig(kinds=("email",), replacement=Drop()))
    assert cleaned_texts([text], dropped) == ["call 13800138000 or mail "]


def test_measures_are_of_the_text_that_is_written() -> None:
    given_texts = [
        *CHINESE,
        "<p>Mail ann@example.com, or the others, and be glad that you did it.</p>",
        "",
        "caf\ufffd\ufffd the ends",
    ]
    done = clean(given_texts)
    measures = done.measures.to_pydict()
    assert (
        done.measures.schema.names
        == measures_schema().names
        == ["id", "language", "language_score", *MEASURES, "num_real_words"]
    )
    texts_after = done.rows["text"].to_pylist()
    assert measures["num_chars"] == [len(text) for text in texts_after]
    assert measures["num_bytes"] == [len(text.encode()) for text in texts_after]
    assert measures["num_real_words"][: len(CHINESE)] == [count_words(text) for text in CHINESE]
    assert measures["num_real_words"][0] < measures["num_words"][0]  # characters
    assert measures["language"][:-1] == ["zh"] * len(CHINESE) + ["en", measures["language"][-2]]
    assert measures["replacement_frac"][-1] == pytest.approx(2 / (len("caf the ends") + 2))
    assert set(measures["replacement_frac"][:-1]) == {0.0}
    assert done.readings.values.shape == (len(given_texts), len(MEASURES))


def test_bytes_that_are_no_text_are_lost_characters() -> None:
    raw = pyarrow.array([b"ab\xff\xfecd", "好".encode()[:2]], pyarrow.binary()).view(pyarrow.string())
    rows = table(["x", "y"]).set_column(1, kept_schema().field("text"), raw)
    done = CLEANER(rows)
    assert done.rows["text"].to_pylist() == ["abcd", ""]
    assert [entry["rule"] for entry in done.ledger.to_pylist()] == ["repaired_lost_characters"] * 2
    done.rows.validate(full=True)


def test_a_table_of_nothing() -> None:
    done = clean([])
    assert (done.rows.num_rows, done.measures.num_rows, done.ledger.num_rows) == (0, 0, 0)
    assert done.readings.keys.shape == (0, 2)


def test_the_choice_of_shingles_reaches_the_signatures() -> None:
    by = [clean(["the river carried small boats"], replace(CLEANER, shingle=s)) for s in (Words(5), Words(2), Bytes(4))]
    signatures = [each.readings.signatures for each in by]
    assert not any(np.array_equal(signatures[a], signatures[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert len({tuple(each.readings.keys[0]) for each in by}) == 1


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=6), st.data())
def test_splices(drawn: list[str], choose: st.DataObject) -> None:
    data, offsets = to_arrays(pyarrow.array(["before", *drawn], pyarrow.string()).slice(1))
    changes, expected = Splices(), list(drawn)
    for row, text in enumerate(drawn):
        if choose.draw(st.booleans()):
            low = choose.draw(st.integers(0, len(text)))
            high = choose.draw(st.integers(low, len(text)))
            new = choose.draw(st.text(max_size=5))
            places = [int(offsets[row]) + len(text[:place].encode()) for place in (low, high)]
            changes.add(row, places[0], places[1], new)
            expected[row] = text[:low] + new + text[high:]
    after = changes.apply(data, offsets)
    sizes = np.diff(after[1])
    assert [
        bytes(after[0][end - size : end]).decode() for size, end in zip(sizes, after[1][1:], strict=True)
    ] == expected


ENGLISH = "The president said on Tuesday that he would not sign the bill, and that was it."
OTHERS = {
    "fr": "Le président a parlé hier soir de la guerre et du climat.",
    "de": "Der Zug nach München hat heute leider Verspätung",
    "ja": "東京の天気は晴れです。",
    "ru": "новости дня из Москвы",
    "ko": "오늘 날씨가 정말 좋습니다",
}


def languages_of(given_texts: list[str], wanted: tuple[str, ...]) -> list[tuple[str, float]]:
    measures = clean(given_texts, replace(CLEANER, languages=wanted)).measures
    return list(zip(measures["language"].to_pylist(), measures["language_score"].to_pylist(), strict=True))


def test_chinese_and_english_are_known_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the model was asked")

    monkeypatch.setattr(LanguageModel, "guess", refuse)
    assert languages_of([*CHINESE, ENGLISH], ("en", "zh")) == [("zh", 1.0)] * len(CHINESE) + [("en", 1.0)]
    assert languages_of([CHINESE[0], ENGLISH], ("fr",)) == [("zh", 0.0), ("en", 0.0)]


def test_other_languages_are_the_models_to_tell() -> None:
    assert all(score < 0.1 for _, score in languages_of(list(OTHERS.values()), ("en", "zh")))
    for code, text in OTHERS.items():
        ((found, score),) = languages_of([text], ("en", code))
        assert found == code
        assert score > 0.5


@pytest.mark.parametrize("code", ["yue", "wuu"])
def test_a_wanted_chinese_language_is_not_taken_for_mandarin(code: str) -> None:
    ((found, score),) = languages_of(["佢哋喺度做乜嘢呀,我唔知喎,你話畀我聽啦。"], ("yue",))
    assert (found, score > 0.3) == ("yue", True)
    ((found, _),) = languages_of([CHINESE[0]], (code, "zh"))
    assert found == "zh"


def test_a_long_text_is_told_by_its_beginning_and_a_short_one_by_all() -> None:
    model = DocumentLanguage(("en", "fr"))
    found = model(pyarrow.array([OTHERS["fr"], OTHERS["fr"] * 500]), lambda name: np.zeros(2, np.float32))
    assert found[0].tolist() == ["fr", "fr"]
    assert (found[1] > 0.9).all()


def test_columns_come_and_go_without_a_copy() -> None:
    column = pyarrow.array(["中文", "", "abc"])
    assert to_column(*to_arrays(column)) == column
