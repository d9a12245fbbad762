"""Mojibake: each kind is undone wherever it stands, and real Chinese of any age is never taken for it."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from burnish.data.repairs.repair_hanzi import common_hanzi, gbk_signs, has_gbk_sign
from burnish.data.repairs.repair_mojibake import fix_mojibake

SIMPLIFIED = "我们在这里说明如何安装软件包，以及如何配置网络。请先阅读本手册！"
TRADITIONAL = "本書說明如何安裝軟體套件，並設定網路。閱讀之前請先備份資料。"
POEM = "國破山河在，城春草木深。感時花濺淚，恨別鳥驚心。\n烽火連三月，家書抵萬金。白頭搔更短，渾欲不勝簪。"
RARE = "瓴甓厠珠璆，顒顒卬卬，魑魅魍魉，饕餮，龘靐齉，邯郸，佶屈聱牙，耄耋之年"
ENGLISH = "It’s the “naïve” reader’s café — or isn’t it?"


def as_gbk(text: str, errors: str = "replace") -> str:
    return text.encode().decode("gb18030", errors=errors)


@pytest.mark.parametrize(
    "text", [SIMPLIFIED, TRADITIONAL, POEM, RARE, "联通", "饕餮 盛宴 2024 年", "カタカナとひらがな"]
)
def test_sound_text_is_left_alone(text: str) -> None:
    assert fix_mojibake(text) == text
    assert fix_mojibake(f"{text} naïve “quoted” é {text}") == f"{text} naïve “quoted” é {text}"


@pytest.mark.parametrize("text", [SIMPLIFIED, TRADITIONAL, POEM, ENGLISH])
@pytest.mark.parametrize("encoding", ["latin-1", "sloppy-windows-1252"])
def test_utf8_read_as_a_one_byte_code_page(text: str, encoding: str) -> None:
    import ftfy.bad_codecs  # noqa: F401  # registers the sloppy code pages, which browsers use

    damaged = text.encode().decode(encoding)
    assert fix_mojibake(damaged) == text
    assert fix_mojibake(f"{SIMPLIFIED}\n\n{damaged}\n\n{POEM}") == f"{SIMPLIFIED}\n\n{text}\n\n{POEM}"


def as_windows(text: str, lost: str) -> str:
    """Read UTF-8 as code page 936: a byte 0x80 is the euro sign, or else `lost`, as is what makes no character."""
    data, characters = text.encode(), []
    while data:
        length = 1 if data[0] <= 0x80 else 2
        try:
            character = data[:length].decode("gbk") if length == 1 else data[:length].decode("gb18030")
        except UnicodeDecodeError:
            length, character = 1, "€" if data[0] == 0x80 and lost == "€" else lost.replace("€", "?")
        characters.append(character)
        data = data[length:]
    return "".join(characters)


@pytest.mark.parametrize("text", [SIMPLIFIED, TRADITIONAL, POEM])
def test_utf8_read_as_gbk(text: str) -> None:
    damaged = as_gbk(text.replace("\n", ""))
    whole = text.replace("\n", "")
    if "\ufffd" in damaged[-1]:  # the last character has lost a byte, before nothing that tells which
        whole = whole[:-1] + ("。" if whole.endswith("。") else "\ufffd")
    assert fix_mojibake(damaged) == whole
    assert fix_mojibake(f"{text}\n\n{damaged}\n\n{text}") == f"{text}\n\n{whole}\n\n{text}"
    assert fix_mojibake(f"标题：{damaged}") == f"标题：{whole}"
    assert fix_mojibake(f"他说“{damaged}") == f"他说“{whole}"


@pytest.mark.parametrize("lost", ["€", "?", "\ufffd"])
@pytest.mark.parametrize("text", ["一般而言，", "这是一本书", "一次一次，一一对应"])
def test_a_byte_that_gbk_has_nothing_for_is_told_from_its_neighbours(text: str, lost: str) -> None:
    damaged = as_windows(text, lost)
    assert lost in damaged
    fixed = fix_mojibake(damaged)
    assert (fixed, len(text) % 2) in ((text, 0), (text, 1), (text[:-1] + "\ufffd", 1))
    assert fixed[:-1] == text[:-1]


@pytest.mark.parametrize(
    ("damaged", "sound"),
    [
        ("鍝佽川", "品质"),
        ("绗�1绔�", "\ufffd1\ufffd"),
        ("瀹屾垚銆�\n", "完成。\n"),
        ("don鈥檛", "don’t"),
        ("INSERT 鈥� create rows", "INSERT — create rows"),
        ("锟斤拷锟斤拷", "\ufffd\ufffd\ufffd\ufffd"),
        ("ÖÐÎÄ£¬ÄãºÃ", "中文，你好"),
        ("Ã©Ã¨Ã¢", "éèâ"),
    ],
)
def test_known_shapes(damaged: str, sound: str) -> None:
    assert fix_mojibake(damaged) == sound


@pytest.mark.parametrize("text", ["ÀÉÈÊ ÞÆÐÍ", "»»»»»»", "°°°° ±±±±", "¡¿¡¿", "……““””——", "ÄÖÜäöüß", "½¾¼½¾¼"])
def test_latin_runs_are_not_taken_for_chinese(text: str) -> None:
    assert fix_mojibake(text) == text


def test_common_hanzi_are_the_first_levels_of_the_two_standards() -> None:
    common = common_hanzi()
    assert len(common) == 6722
    assert common.issuperset("的一是不了人我在有他這個們說會對與為於從")
    assert common.isdisjoint("鈥锛銆囍ab，")


def test_damage_always_shows_a_sign_and_plain_text_none() -> None:
    assert not any(map(has_gbk_sign, (SIMPLIFIED, TRADITIONAL, "plain", ENGLISH)))
    assert all(map(has_gbk_sign, map(as_gbk, (SIMPLIFIED, TRADITIONAL, POEM, ENGLISH, "中", "a—b"))))
    signs = gbk_signs()
    assert (len(signs.openings), len(signs.links)) == (14 * 64, 63 * 14)


@given(st.text(alphabet=sorted(common_hanzi()), min_size=1, max_size=40))
def test_no_common_chinese_is_damaged(text: str) -> None:
    assert fix_mojibake(text) == text


@given(st.text(alphabet=sorted(common_hanzi()), min_size=4, max_size=40))
def test_common_chinese_comes_back_but_for_a_lost_byte(text: str) -> None:
    damaged = as_gbk(text)
    assume(has_gbk_sign(damaged))  # a reading of nothing but common hanzi is no sign of damage
    fixed = fix_mojibake(damaged)
    assert len(fixed) == len(text)
    assert all(a == b or a == "\ufffd" for a, b in zip(fixed, text, strict=True))
    assert fixed.count("\ufffd") <= 1


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    assert "\x00" in text or "\x00" not in fix_mojibake(text)
