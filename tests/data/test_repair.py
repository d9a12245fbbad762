"""Repair: damage is undone and named, sound text is left alone, and what is repaired needs no repair."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.repairs.repair import KINDS, drop_invalid, normalise, repair
from burnish.data.repairs.repair_signs import (
    COMMON,
    COMPOSES,
    ENDS,
    LATIN,
    LINK,
    NUM_CODE_POINTS,
    ODD,
    OPENING,
    TAILS,
    code_point_flags,
    may_need_repair,
)

CHINESE = (
    "中国银行上海分行昨日公布了上半年的财务报告。",
    "這是一個關於臺灣歷史的故事,請仔細閱讀。",
    "床前明月光,疑是地上霜。举头望明月,低头思故乡。",
    "iPhone 15 发布会将于9月举行,国行价格尚未公布",
)

_SCRAPS = (
    "<p>", "</p>", "<br>", "&amp;", "&lt;", "amp;", "&", ";", "<script>", "</script>", "&#39;", "html", "<b>x</b>",
    "Ã©", "â€™", "Ã", "é", "ä½\xa0å¥½", "鈥檛", "鈥�", "鍝佽川", "銆�", "锛�", "�", "€", "?", "ÖÐÎÄ", "£¬", "中文", "顒顒卬卬",
    "\u200b", "\u200d", "\u00a0", "\u3000", "\r\n", "\n", "  ", "\t", "e\u0301", "\u0301", "\u1100", "\u1161", "\u11a8",
    "\x85", "\x99", "\ufeff", "👩\u200d🚀", "می\u200cخ", "\U000e0041", "a", "1", "。", "“",
)  # fmt: skip
code_point_flags()  # takes longer than hypothesis allows one example
_scrappy = st.lists(st.sampled_from(_SCRAPS) | st.text(max_size=3), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("damaged", "sound", "did"),
    [
        ("cafÃ© au lait", "café au lait", {"mojibake"}),
        ("<p>鍝佽川</p>", "品质", {"mojibake", "html"}),
        ("&amp;lt;Ctrl&amp;gt; &amp;amp; 中文", "<Ctrl> & 中文", {"html"}),
        ("&Atilde;&copy;t&Atilde;&copy;", "été", {"html", "mojibake"}),
        ("zero\u200b-width \x07bell", "zero-width bell", {"invalid_characters"}),
        ("lost \ufffd\ufffd here", "lost  here", {"lost_characters"}),
        ("cafe\u0301", "café", {"unicode_form"}),
        ("a\u00a0b \r\nc", "a b\nc", {"spaces", "invalid_characters"}),
    ],
)
def test_what_was_done_is_named(damaged: str, sound: str, did: set[str]) -> None:
    repaired = repair(damaged)
    assert repaired.text == sound
    assert repaired.did - {"spaces", "invalid_characters"} == did - {"spaces", "invalid_characters"}
    assert repaired.did <= set(KINDS)


def test_lost_characters_are_counted_not_guessed() -> None:
    assert repair("be\ufffdore t\ufffde end").num_lost == 2
    # 次韵一首 read as GBK: its last byte met a space and is gone; the full stop before the line's end is not guesswork
    damaged = "次韵一首 王安石。\n".encode().decode("gb18030", errors="replace")
    assert repair(damaged).text == "次韵一 王安石。"
    assert repair(damaged).num_lost == 1


@pytest.mark.parametrize(
    "text",
    [
        *CHINESE, "“curly” — naïve façade", "ｆｕｌｌ　ｗｉｄｔｈ", "def f(x):\n    return x  # same\n\nprint(f(1))",
        "| a  | b  |\n|----|----|", "The <label> tag and `&amp;` stay.", "顒顒卬卬，如圭如璋，令聞令望。",
    ],
)  # fmt: skip
def test_sound_text_is_left_alone(text: str) -> None:
    repaired = repair(text)
    assert repaired.text == text.replace("\u3000", " ")
    assert sorted(repaired.did) == (["spaces"] if "\u3000" in text else [])


def test_the_real_slice_is_left_alone_but_for_its_real_damage() -> None:
    lines = Path(__file__).with_name("slice.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row["text"] for row in map(json.loads, lines) if "type" in row and not row["type"].startswith("Random")]
    assert len(rows) > 10
    touched = [
        text for text in rows if repair(text).did & {"mojibake", "html", "invalid_characters", "lost_characters"}
    ]
    assert [text for text in touched if "didnâ€™t" in text] == touched != []


def test_invalid_characters_go_and_joiners_stay() -> None:
    assert drop_invalid("a\x00b\u200bc\ufeffd\u202ee\ufffdf\x1bg\u00adh\uffff\U0001ffff") == "abcdefgh"
    assert drop_invalid("tab\tline\npage\x0cend\r\nmac\rsep\u2028x") == "tab\tline\npage\nend\nmac\nsep\nx"
    assert drop_invalid("pass\u200dword 中\u200c文 \U000e0061\U000e0062") == "password 中文 "
    sound = "\U0001f468\u200d\U0001f469\u200d\U0001f467 می\u200cخواهم क्\u200dष \U0001f3f4\U000e0067\U000e0062\U000e007f"
    assert drop_invalid(sound) == sound


def test_space_takes_its_normal_form_and_layout_stays() -> None:
    assert normalise(" \na \t b\u3000c\u00a0 \n\n\n\n\u3000\u3000d \r\n    e  ") == "a \t b c\n\nd\n    e"
    assert normalise("cafe\u0301") == "café"


@given(_scrappy)
@settings(max_examples=400)
def test_repair_is_final(text: str) -> None:
    once = repair(text)
    again = repair(once.text)
    assert (again.text, again.did, again.num_lost) == (once.text, frozenset(), 0)
    assert bool(once.did) == (once.text != text)


@given(_scrappy)
@settings(max_examples=400)
def test_text_without_signs_needs_no_repair(text: str) -> None:
    if not may_need_repair(text):
        assert repair(text).text == text


@given(st.text())
def test_nothing_invalid_is_left(text: str) -> None:
    left = repair(text).text
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in left)
    assert unicodedata.is_normalized("NFC", left)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("plain", False), ("a < b & c", False), ("用户手册：第一章，安装。", False), ("two\n\nparagraphs", False),
        ("naïve", False), ("trailing \n", True), ("<b", True), ("&amp", True), ("a\u00a0b", True), ("e\u0301", True),
        ("Ã", True), ("é™", True), ("鈥檛", True), ("鍝佽川", True), ("x\n\n\ny", True), ("ÖÐ", True),
    ],
)  # fmt: skip
def test_signs(text: str, may: bool) -> None:
    assert may_need_repair(text) == may


def test_the_table_of_signs_holds_every_code_point() -> None:
    flags = code_point_flags()
    assert (len(flags), str(flags.dtype), flags.nbytes) == (NUM_CODE_POINTS, "uint8", NUM_CODE_POINTS)
    assert not flags[:0x80][[*range(0x20, 0x3F), *range(0x40, 0x7F), 9, 10]].any()  # "?" may stand for a lost byte
    assert flags[0x200B] == flags[0x7F] == flags[0x2003] == flags[0xFFFE] == ODD
    assert flags[0x0301] & COMPOSES
    assert flags[ord("é")] & (ODD | COMPOSES | LATIN) == LATIN
    assert flags[ord("中")] & COMMON
    assert flags[ord("鈥")] & (OPENING | COMMON) == OPENING
    assert flags[0xFFFD] & (ENDS | TAILS) == ENDS | TAILS
    assert (flags & LINK).astype(bool).sum() == 63 * 14
