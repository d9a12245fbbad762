"""Clean: damage is undone, sound text is left alone, short text goes with its count."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_slice import CHINESE, collected, dataset, evidence, slice_lines, texts, use_slice

from burnish.data.clean import CleanConfig, clean, drop_invalid, fix_mojibake, normalise, repair, strip_html
from burnish.data.records import read_kept, read_rejected
from burnish.data.sources import GeneralText, RandomText, SarcasmHeadlines
from burnish.errors import RecipeError
from burnish.runtime import Run


@pytest.mark.parametrize(
    ("damaged", "sound"),
    [
        ("cafÃ© au lait", "café au lait"),
        ("â€œquotedâ€\u009d text", "“quoted” text"),
        ("bisquick cheeseburger pie\x99", "bisquick cheeseburger pie™"),
        ("ä½\xa0å¥½ä¸–ç•Œ", "你好世界"),
    ],
)
def test_mojibake_is_undone(damaged: str, sound: str) -> None:
    assert fix_mojibake(damaged) == sound


@pytest.mark.parametrize(
    "text", [*CHINESE, "“curly” — naïve façade", "ｆｕｌｌ　ｗｉｄｔｈ，标点。", "Ünited Stätes", "plain"]
)
def test_sound_text_is_left_alone(text: str) -> None:
    assert repair(text) == text


def test_the_damage_in_a_real_row_is_undone() -> None:
    (damaged,) = [row for line in slice_lines("type") if "didnâ€™t" in (row := json.loads(line)["text"])]
    assert repair(damaged).endswith("I said I didn’t know.”")


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("<p>one</p><p>two &amp; three</p>", "\none\n\ntwo & three\n"),
        ('a <a href="x">link</a> and <b>bold</b>', "a link and bold"),
        ("<script>var x = '<b>';</script>text<!-- note -->", " text "),
        ("&#20013;&#x6587;&nbsp;&hellip;", "中文\u00a0…"),
        ("if a < b and c > d: use <T> or AT&T; x<y", "if a < b and c > d: use <T> or AT&T; x<y"),
        ("fish &chips; R&D &unknown;", "fish &chips; R&D &unknown;"),
    ],
)
def test_html_goes_and_arithmetic_stays(text: str, stripped: str) -> None:
    assert strip_html(text) == stripped


def test_invalid_characters_go_and_joiners_stay() -> None:
    assert drop_invalid("a\x00b\u200bc\ufeffd\u202ee\ufffdf\x1bg\u00adh\uffff") == "abcdefgh"
    assert drop_invalid("tab\tline\npage\x0cend\r\nmac\rsep\u2028x") == "tab\tline\npage\nend\nmac\nsep\nx"
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert drop_invalid(f"{family} می\u200cخواهم") == f"{family} می\u200cخواهم"


def test_space_takes_its_normal_form() -> None:
    assert normalise("  a \t b\u3000c\u00a0 \n\n\n\n d \r\n e  ") == "a b c\n\nd\ne"
    assert normalise("cafe\u0301") == "café"


@given(st.text())
def test_the_normal_form_is_final(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(st.text())
def test_nothing_invalid_is_left(text: str) -> None:
    left = normalise(drop_invalid(text))
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c != "\n" for c in left)


def test_short_records_go_with_their_count_at_the_exact_bound(run: Run, tmp_path: Path) -> None:
    given_texts = texts("one two three four", "one, two - three", "今天很好", "今天好", "<b></b>")
    cleaned = run(clean, dataset(run, given_texts), config=CleanConfig(min_words=4))
    assert [record.text for record in read_kept(cleaned)] == ["one two three four", "今天很好"]
    gone = [
        (record.text, rejection.rule, rejection.value, rejection.threshold)
        for record, rejection in read_rejected(cleaned)
    ]
    assert gone == [
        ("one, two - three", "too_few_words", 3, 4),
        ("今天好", "too_few_words", 3, 4),
        ("", "too_few_words", 0, 4),
    ]
    found = evidence(cleaned)
    assert (found["records_in"], found["records_kept"], found["kept_frac"]) == (5, 2, 0.4)
    assert found["dropped_too_few_words_records"] == 3
    assert found["repaired_records"] == 0  # of those kept


def test_real_rows_flow_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run) -> None:
    use_slice(monkeypatch, tmp_path / "assets")
    raw = collected(run, SarcasmHeadlines(200), GeneralText(20), RandomText())
    cleaned = run(clean, raw, config=CleanConfig(min_words=6))
    kept, rejected = read_kept(cleaned), read_rejected(cleaned)
    assert {record.id for record in kept} | {record.id for record, _ in rejected} == {r.id for r in read_kept(raw)}
    assert len(kept) + len(rejected) == 240
    assert evidence(cleaned)["repaired_records"] == 1  # the quote above
    assert evidence(cleaned)["planted_random_records"] == 20  # carried on for the gate
    assert {record.planted for record, _ in rejected} == {"", "random"}


def test_losing_everything_stops_and_says_what_to_do(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="all 2 records were dropped, 2 of them by too_few_words; lower min_words"):
        run(clean, dataset(run, texts("a b", "c d")), config=CleanConfig())


def test_min_words_has_a_floor() -> None:
    with pytest.raises(RecipeError, match="min_words is 0"):
        CleanConfig(0)
