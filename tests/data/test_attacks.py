"""Attacks: each does what it says to real text in both languages, the same way each time."""

import json
import random
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_slice import slice_lines
from sharded import FINANCE, GRAIN

from burnish.data.attacks.attack_templates import HELD_OUT, KNOWN
from burnish.data.attacks.attacks import ATTACKS, Attacker, attacker_of
from burnish.data.attacks.disguise import undisguised

WORDS = ["market", "shares", "monetary", "investors", "股票", "大幅", "今日"]
HEADLINES = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")]


def attacked(name: str, text: str, seed: int = 0) -> str | None:
    return ATTACKS[name](text, attacker_of(seed, text, WORDS))


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("text", [GRAIN[0], FINANCE[0]])
def test_an_attack_changes_the_text_and_is_repeatable(name: str, text: str) -> None:
    found = attacked(name, text)
    assert found is not None
    assert found != text
    assert found == attacked(name, text)
    assert len({attacked(name, text, seed) for seed in range(10)}) > 1


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40), st.sampled_from(sorted(ATTACKS)))
def test_any_text_is_attacked_or_passed_over(text: str, name: str) -> None:
    found = ATTACKS[name](text, Attacker(random.Random(0), HELD_OUT, WORDS))
    assert found is None or found.encode()


def test_homoglyphs_look_alike_and_differ() -> None:
    for text in (GRAIN[0], "人工智能大会在京开幕,八方来客"):
        found = attacked("homoglyphs", text)
        assert found is not None
        assert len(found) == len(text)
        assert found != text
        assert unicodedata.normalize("NFKC", undisguised(found)) == unicodedata.normalize("NFKC", text)


def test_invisible_characters_are_all_that_was_added() -> None:
    for text in (GRAIN[0], FINANCE[0]):
        found = attacked("zero_width", text)
        assert found is not None
        assert re.sub("[\u200b\u200c\u200d\u2060\ufeff]", "", found) == text


def test_a_turned_passage_reads_backwards_between_its_marks() -> None:
    found = attacked("bidi_override", GRAIN[0])
    assert found is not None
    before, turned, after = re.fullmatch("(.*)\u202e(.*)\u202c(.*)", found).groups()  # type: ignore[union-attr]
    assert before + turned[::-1] + after == GRAIN[0]


def test_a_flood_repeats_a_unit_of_the_text() -> None:
    for text in (GRAIN[0], FINANCE[0]):
        found = attacked("token_flood", text)
        assert found is not None
        assert re.search(r"(\S{2,} ?)\1{18,}", found)


def test_injections_speak_the_texts_language_and_come_from_the_set_asked_for() -> None:
    for text, language in ((GRAIN[0], "en"), (FINANCE[0], "zh")):
        for templates, is_held_out in ((HELD_OUT, True), (KNOWN, False)):
            found = ATTACKS["injection"](text, attacker_of(1, text, (), is_held_out=is_held_out))
            assert found is not None
            assert sum(template in found for template in templates[language]) == 1


def test_the_two_sets_share_no_sentence() -> None:
    assert set(KNOWN) == set(HELD_OUT) == {"en", "zh"}
    for language, known in KNOWN.items():
        assert not set(known) & set(HELD_OUT[language])
        assert len(known) == len(HELD_OUT[language]) == 12


def test_substituted_words_come_from_elsewhere_and_the_rest_stays() -> None:
    found = attacked("word_substitution", GRAIN[0])
    assert found is not None
    mine, theirs = GRAIN[0].split(), found.split()
    assert len(mine) == len(theirs)
    changed = [after for before, after in zip(mine, theirs, strict=True) if before != after]
    assert 0 < len(changed) < len(mine)
    assert {re.sub(r"\W", "", word) for word in changed} <= set(WORDS)


def test_a_nonsense_suffix_leaves_the_text_in_front() -> None:
    for text in (GRAIN[0], FINANCE[0]):
        found = attacked("nonsense_suffix", text)
        assert found is not None
        assert found.startswith(f"{text} ")
        assert len(found) > len(text) + 20
    assert ATTACKS["nonsense_suffix"]("text", attacker_of(0, "x", ())) is None


def test_most_real_headlines_can_be_attacked_in_every_way() -> None:
    for name in ATTACKS:
        done = [attacked(name, text) for text in HEADLINES]
        assert sum(found is not None for found in done) > 0.95 * len(HEADLINES), name
