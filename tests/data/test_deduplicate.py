"""Deduplicate: nothing alike is kept twice, nothing different is dropped, whatever the order."""

import functools
import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_slice import CHINESE, collected, dataset, evidence, slice_lines, texts, use_slice

from burnish.data.copies import near_copy
from burnish.data.deduplicate import (
    DeduplicateConfig,
    deduplicate,
    find_copies,
    jaccard,
    num_bands,
    shingles,
)
from burnish.data.records import Record, read_kept, read_rejected
from burnish.data.sources import PlantedCopies, SarcasmHeadlines
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime import Run

CONFIG = DeduplicateConfig(shingle_bytes=3)


@functools.cache
def cut(text: str, length: int) -> frozenset[bytes]:
    data = normal_form(text).encode()
    return frozenset(data[i : i + length] for i in range(len(data)) if i + length <= len(data))


def similarity(left: str, right: str, config: DeduplicateConfig = CONFIG) -> float:
    """Compare by definition: what both have of what either has."""
    one, two = cut(left, config.shingle_bytes), cut(right, config.shingle_bytes)
    return len(one & two) / len(one | two)


def with_copies() -> list[Record]:
    """Real headlines and Chinese sentences, each copied twice with an edit, each fifth word for word."""
    headlines = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")[:120]]
    originals = texts(*headlines, *CHINESE)
    near = [
        Record(f"{r.id}+near{n}", near_copy(r.text, random.Random(f"{r.id} {n}")), None, "t", "near_copy")
        for r in originals
        for n in range(2)
    ]
    exact = [Record(f"{r.id}+exact", r.text, None, "t", "exact_copy") for r in originals[::5]]
    return [*originals, *near, *exact]


RECORDS = with_copies()
TEXTS = {record.id: record.text for record in RECORDS}


def test_it_agrees_with_comparing_every_pair() -> None:
    found = find_copies(RECORDS, CONFIG)
    kept: list[Record] = []
    for record in sorted(RECORDS, key=lambda r: r.id):
        alike = [k for k in kept if similarity(record.text, k.text) >= CONFIG.threshold]
        assert (record.id in found) == bool(alike), record
        if not alike:
            kept.append(record)
    assert 200 < len(found) < len(RECORDS) - 130


@settings(max_examples=20, deadline=None)
@given(st.permutations(RECORDS))
def test_the_order_of_records_changes_nothing(shuffled: list[Record]) -> None:
    assert find_copies(shuffled, CONFIG) == find_copies(RECORDS, CONFIG)


def test_every_copy_names_a_kept_partner_and_their_true_similarity() -> None:
    found = find_copies(RECORDS, CONFIG)
    rules = {rejection.rule for rejection in found.values()}
    assert rules == {"exact_copy", "near_copy"}
    for identity, rejection in found.items():
        assert rejection.partner_id is not None
        assert rejection.partner_id not in found
        assert rejection.partner_id < identity
        assert rejection.similarity == pytest.approx(similarity(TEXTS[identity], TEXTS[rejection.partner_id]))
        assert rejection.value == rejection.similarity


def test_a_chain_of_likenesses_is_not_dropped_whole() -> None:
    base = "abcdefghijklmnopqrstuvwxyz0123456789"
    chain = texts(base, base[2:], base[4:])
    config = DeduplicateConfig(threshold=0.9, shingle_bytes=3)
    ends = similarity(chain[0].text, chain[2].text, config)
    steps = [similarity(a.text, b.text, config) for a, b in itertools.pairwise(chain)]
    assert min(steps) >= 0.9 > ends  # the middle is like both, the ends are not like each other
    assert set(find_copies(chain, config)) == {"t:0001"}


def test_the_partner_is_the_most_alike() -> None:
    base = "abcdefghijklmnopqrstuvwxyz0123456789"
    found = find_copies(texts(base[4:], base, base[2:]), DeduplicateConfig(threshold=0.9, shingle_bytes=3))
    assert {identity: rejection.partner_id for identity, rejection in found.items()} == {"t:0002": "t:0001"}
    assert similarity(base, base[2:]) > similarity(base[4:], base[2:]) >= 0.9


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Café, au lait!", "cafe\u0301 AU LAIT"),
        ("中国银行，上海", "中国 银行 上海"),
        ("ＡＢＣ　def", "abc DEF."),
        ("???", "???"),
    ],
)
def test_exact_copies_differ_in_form_only(left: str, right: str) -> None:
    (rejection,) = find_copies(texts(left, right), CONFIG).values()
    assert (rejection.rule, rejection.partner_id, rejection.similarity) == ("exact_copy", "t:0000", 1.0)


def test_texts_of_marks_only_are_no_copies_of_each_other() -> None:
    assert find_copies(texts("???", "!!!", "…"), CONFIG) == {}


def test_a_changed_chinese_character_is_a_near_copy_and_another_sentence_is_not() -> None:
    sentence = "中国银行上海分行昨日公布了上半年的财务报告和下半年的经营计划"
    found = find_copies(texts(sentence, sentence.replace("昨日", "今日"), *CHINESE[1:]), CONFIG)
    assert list(found) == ["t:0001"]
    assert 0.8 <= (found["t:0001"].similarity or 0) < 1


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_99_of_100_pairs_at_the_threshold(threshold: float) -> None:
    bands = num_bands(threshold)
    rows = 120 // bands
    assert bands * rows == 120
    assert 1 - (1 - threshold**rows) ** bands >= 0.99
    assert num_bands(0.5) > num_bands(0.9)


@given(st.binary(min_size=1, max_size=40), st.integers(1, 6))
def test_shingles_cover_the_text(data: bytes, length: int) -> None:
    pieces = shingles(data, length)
    assert all(piece in data for piece in pieces)
    assert len(pieces) <= max(1, len(data) - length + 1)
    assert data[:length] in pieces
    assert data[-length:] in pieces
    assert jaccard(pieces, pieces) == 1.0


def test_a_lower_threshold_drops_more() -> None:
    loose = set(find_copies(RECORDS, DeduplicateConfig(0.5, 3)))
    tight = set(find_copies(RECORDS, DeduplicateConfig(1.0, 3)))
    assert tight < set(find_copies(RECORDS, CONFIG)) <= loose


def test_the_stage_measures_against_planted_truth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run) -> None:
    use_slice(monkeypatch, tmp_path / "assets")
    raw = collected(run, SarcasmHeadlines(200), PlantedCopies(40, 40))
    single = run(deduplicate, raw, config=CONFIG)
    kept, rejected = read_kept(single), read_rejected(single)
    found = evidence(single)
    assert found["records_in"] == len(kept) + len(rejected) == 280
    left = sum(record.planted != "" for record in kept)
    assert found["planted_copy_caught_frac"] == pytest.approx((80 - left) / 80)
    assert found["planted_copy_caught_frac"] >= 0.9
    assert found["dropped_exact_copy_records"] >= 40
    assert found["dropped_exact_copy_records"] + found["dropped_near_copy_records"] == len(rejected)
    assert found["planted_copy_records"] == 80
    assert all(record.planted for record, _ in rejected)  # no headline of the slice is lost to another


def test_without_planted_copies_nothing_is_claimed(run: Run, tmp_path: Path) -> None:
    single = run(deduplicate, dataset(run, texts("one text", "another text")), config=CONFIG)
    assert "planted_copy_caught_frac" not in evidence(single)
    assert evidence(single)["kept_frac"] == 1


@pytest.mark.parametrize(("threshold", "shingle_bytes"), [(0.0, 4), (1.1, 4), (0.8, 0)])
def test_bounds(threshold: float, shingle_bytes: int) -> None:
    with pytest.raises(RecipeError, match=r"threshold is|shingle_bytes is"):
        DeduplicateConfig(threshold, shingle_bytes)
