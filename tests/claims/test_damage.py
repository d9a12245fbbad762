import html
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from natural_set import CHINESE

from burnish.claims import personal
from burnish.claims.damage import (
    DAMAGES,
    as_cp1252,
    control_characters,
    lost_characters,
    markup,
    mojibake,
    random_ideographs,
    shuffled_words,
    truncation,
)
from burnish.claims.personal import with_personal_data
from burnish.data.repairs.pii_checks import is_chinese_id

ENGLISH = (
    "It's said that the committee didn't read the report before the vote on Tuesday, which nobody had expected.",
    'The minister called the plan "a first step" and promised that farmers would hear more before the harvest.',
)
TEXTS = st.sampled_from((*CHINESE, *ENGLISH))
CHANCE = st.integers(0, 10_000).map(random.Random)


@given(TEXTS, CHANCE)
def test_every_damage_changes_the_text_and_follows_from_chance_alone(text: str, rng: random.Random) -> None:
    for damage in DAMAGES.values():
        state = rng.getstate()
        damaged = damage(text, rng)
        rng.setstate(state)
        assert damaged is not None
        assert damaged != text
        assert damage(text, rng) == damaged


@given(st.sampled_from(CHINESE))
def test_mojibake_of_one_kind_can_be_read_back(text: str) -> None:
    raw = as_cp1252(text.encode())
    back = b"".join(bytes([ord(c)]) if ord(c) < 256 else c.encode("cp1252") for c in raw)
    assert back.decode() == text


def test_english_without_quotation_marks_has_nothing_to_break() -> None:
    assert mojibake("No marks here at all", random.Random(0)) is None
    assert "â€™" in (mojibake(ENGLISH[0], random.Random(0)) or "")


@given(TEXTS, CHANCE)
def test_control_characters_are_all_that_is_added(text: str, rng: random.Random) -> None:
    damaged = control_characters(text, rng)
    added = [character for character in damaged if character not in text]
    assert len(damaged) - len(text) == max(2, len(text) // 40) == len(added)
    assert "".join(character for character in damaged if character not in added) == text


@given(TEXTS, CHANCE)
def test_a_page_of_markup_shows_the_text_again_when_its_tags_are_taken_away(text: str, rng: random.Random) -> None:
    page = re.sub(r"<script.*?</script>|<!--.*?-->", "", markup(text, rng), flags=re.DOTALL)
    assert " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split()) == " ".join(text.split())


@given(TEXTS, CHANCE)
def test_a_truncated_text_has_fewer_than_ten_words(text: str, rng: random.Random) -> None:
    short = truncation(text, rng)
    assert 3 <= len(re.findall(r"[A-Za-z0-9]+|[\u4e00-\u9fff]", short)) <= 8


@given(TEXTS, CHANCE)
def test_lost_characters_are_one_in_twelve(text: str, rng: random.Random) -> None:
    assert lost_characters(text, rng).count("\ufffd") == max(2, len(text) // 12)


@given(CHANCE)
def test_random_ideographs_are_mostly_rare(rng: random.Random) -> None:
    text = random_ideographs(rng)
    assert 30 <= len(text) <= 120
    assert sum(_is_in_gb2312(character) for character in text) < 0.75 * len(text)


def _is_in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@given(CHANCE)
def test_made_up_numbers_are_valid_by_their_checksums(rng: random.Random) -> None:
    assert is_chinese_id(personal.cn_id(rng))
    digits = [int(digit) for digit in personal.card(rng).replace(" ", "")]
    assert len(digits) == 16
    assert sum(sum(divmod(d * (2 if place % 2 else 1), 10)) for place, d in enumerate(reversed(digits))) % 10 == 0
    assert re.fullmatch(r"1[3-9]\d{9}", personal.cn_mobile(rng))
    assert re.fullmatch(r"[\w.-]+@[\w.-]*example\.\w+", personal.email(rng))


@given(TEXTS, CHANCE)
def test_personal_data_stands_in_a_sentence_beside_the_text(text: str, rng: random.Random) -> None:
    damaged, value = with_personal_data(text, rng)
    assert value in damaged
    assert text in damaged
    assert value not in text


@pytest.mark.parametrize("text", [CHINESE[0], ENGLISH[1]])
def test_shuffling_moves_words_within_their_clause_and_loses_none(text: str) -> None:
    mixed = shuffled_words(text, random.Random(1))
    assert mixed is not None
    assert mixed != text
    clauses, mixed_clauses = (re.split(r"[,.\"。]", each) for each in (text, mixed))
    assert [sorted(clause) for clause in mixed_clauses] == [sorted(clause) for clause in clauses]


def test_a_single_word_cannot_be_shuffled() -> None:
    assert shuffled_words("word", random.Random(0)) is None
