"""Inspect: a text that the kernel calls sound is one that repair leaves alone; damage of every kind is flagged."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_texts import arrays, broken, raw_arrays, texts, tidied
from oracle import decoded
from real_slice import CHINESE, SLICE

from burnish.data.kernel.inspect import CHARACTERS, MARKUP, damaged
from burnish.data.repairs.repair import repair
from burnish.data.repairs.repair_hanzi import has_gbk_sign
from burnish.data.repairs.repair_markup import strip_html

_SCRAPS = (
    "<p>", "</p>", "<br>", "<a href=x>", "<name>", "<script>", "</script>", "<!-- x -->", "< b", "&amp;", "&lt;", "&", ";", "&#39;", "&#x4e2d;", "&no;",
    "Ã©", "â€™", "Ã", "é", "Â", "œ", "ä½\xa0å¥½", "鈥檛", "鈥�", "鍝佽川", "銆?", "锛€", "€", "?", "ÖÐÎÄ", "£¬", "Ð´Ñ€", "√©", "├⌐", "Г©",
    "中文", "顒顒卬卬", "犇", "👩\u200d🚀", "می\u200cخ", "\U000e0041", "\U0001fffe", "\U0002f800", "\U0001d15e", "𠀀", "豈", "Å", "a", "1", "。", "\n",
)  # fmt: skip
scrappy = st.lists(st.sampled_from(_SCRAPS) | texts.map(lambda text: text[:6]), max_size=10).map("".join)
ENGLISH = tuple(
    row["text"]
    for row in map(json.loads, Path(SLICE).read_text(encoding="utf-8").splitlines())
    if row.get("type") in ("c4", "openwebtext") and "â€™" not in row["text"]
)


@settings(max_examples=800, deadline=None)
@given(texts | scrappy)
def test_what_has_no_flag_needs_no_repair(text: str) -> None:
    (damage,) = damaged(*arrays([text]))
    is_plain = damage == 0 or (damage == MARKUP and strip_html(text) == text)
    if is_plain and not has_gbk_sign(text):
        assert repair(text).text == tidied([text])[0]


def test_every_code_point_without_a_flag_is_left_alone() -> None:
    every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    sound = [character for character, flag in zip(every, damaged(*arrays(every)), strict=True) if not flag]
    assert 190_000 < len(sound) < 196_000  # two planes of ideographs, emoji, most of the first plane
    for start in range(0, len(sound), 512):
        text = "".join(f"a{character} " for character in sound[start : start + 512])
        repaired = repair(text)
        assert repaired.did <= {"spaces", "invalid_characters"}, hex(start)  # the latter are line breaks
        assert repaired.text == tidied([text])[0]


@pytest.mark.parametrize(
    "text",
    [
        "<p>one</p>", "a <br> b", '<a href="x">y</a>', "<!-- note -->", "fish &amp; chips", "&#20013;&#x6587;", "cafÃ© au lait", "don鈥檛", "鍝佽川",
        "ÖÐ¹ú£¬ÈËÃñ", "zero\u200bwidth", "\x07", "lost \ufffd", "cafe\u0301", "\u1112\u1161\u11ab", "\uf900", "\U0002f800", "\U0001fffe", "a\u200db",
    ],
)  # fmt: skip
def test_damage_is_flagged(text: str) -> None:
    assert repair(text).did - {"spaces"}
    assert (damaged(*arrays(["sound", text, "很好"])) > 0).tolist() == [False, True, False]


def test_sound_prose_is_not_flagged() -> None:
    assert len(ENGLISH) >= 8
    sound = [
        *CHINESE,
        *ENGLISH,
        "naïve café — “quoted” … £5 €6 ½",
        "if a < b and c > d: use <T> or AT&T",
        "❤🎉 𠮷野家",
        "東京の天気は晴れです。",
    ]
    assert [text for text, flag in zip(sound, damaged(*arrays(sound)), strict=True) if flag] == []


@pytest.mark.parametrize("text", [*CHINESE, *(text[:300] for text in ENGLISH)])
def test_utf8_that_was_read_as_gbk_is_flagged_wherever_it_stands(text: str) -> None:
    misread = text.encode().decode("gb18030", errors="replace").replace("\ufffd", "?")
    paragraphs = "\n".join([*CHINESE, misread, *CHINESE])
    is_damaged = bool(repair(misread).did - {"spaces"})
    assert ((damaged(*arrays([misread, paragraphs])) & CHARACTERS) > 0).tolist() == [is_damaged, is_damaged]
    assert is_damaged or text not in CHINESE


@settings(max_examples=300, deadline=None)
@given(st.lists(broken(), min_size=1, max_size=4))
def test_bytes_that_are_no_text_are_flagged_each_for_itself(drawn: list[bytes]) -> None:
    flags = damaged(*raw_arrays(drawn))
    for data, flag in zip(drawn, flags, strict=True):
        assert flag == damaged(*arrays([decoded(data)]))[0]
        assert flag or "\ufffd" not in decoded(data)
