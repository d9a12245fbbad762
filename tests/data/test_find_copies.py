"""Find copies: all of them, none else, each pair as alike as its texts are, whatever the shards and their order."""

import functools
import itertools
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_slice import CHINESE, evidence, slice_lines, texts
from sharded import sharded

from burnish.artifacts import DatasetArtifact
from burnish.data.clean import CleanConfig, clean
from burnish.data.duplicates.resolve import Copies
from burnish.data.find_copies import FindCopiesConfig, exact_copies, find_copies, num_bands
from burnish.data.readers.copies import near_copy
from burnish.data.records import Record
from burnish.data.shards import read_column, shard_paths
from burnish.data.shingle import Bytes, Shingle, Words
from burnish.errors import ArtifactError, RecipeError
from burnish.runtime import Run

Pairs = dict[frozenset[str], float]


def found_in(
    run: Run, records: Sequence[Record], shingle: Shingle, config: FindCopiesConfig, num_shards: int = 1
) -> DatasetArtifact:
    cleaned = run(clean, sharded(run, records, num_shards), config=CleanConfig(pii=None, shingle=shingle))
    return run(find_copies, cleaned, config=config)


def pairs_of(
    run: Run, records: Sequence[Record], shingle: Shingle, config: FindCopiesConfig, num_shards: int = 1
) -> tuple[set[frozenset[str]], Pairs]:
    """Find the exact copies of each other, and the near pairs, by id."""
    found = found_in(run, records, shingle, config, num_shards)
    copies = Copies.read(found)
    cleaned = run(clean, sharded(run, records, num_shards), config=CleanConfig(pii=None, shingle=shingle))
    ids = np.concatenate([read_column(path, "id") for path in shard_paths(cleaned)])
    exact = {frozenset((ids[row], ids[first])) for row, first in copies.exact}
    near = {frozenset((ids[a], ids[b])): float(s) for (a, b), s in zip(copies.near, copies.similarities, strict=True)}
    return exact, near


@functools.cache
def cut(text: str, shingle: Shingle) -> frozenset[object]:
    by = oracle.byte_shingles if isinstance(shingle, Bytes) else oracle.word_shingles
    return frozenset(by(text, shingle.length))


def similarity(one: str, other: str, shingle: Shingle) -> float:
    return oracle.jaccard(set(cut(one, shingle)), set(cut(other, shingle)))


def headlines_with_copies() -> list[Record]:
    """Give real headlines and Chinese sentences, each copied twice with an edit, each fifth word for word."""
    headlines = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")[:80]]
    originals = texts(*headlines, *CHINESE)
    near = [
        Record(f"{r.id}+near{n}", near_copy(r.text, random.Random(f"{r.id} {n}")), None, "t", "near_copy")
        for r in originals
        for n in range(2)
    ]
    return [*originals, *near, *(replace(r, id=f"{r.id}+exact", planted="exact_copy") for r in originals[::5])]


HEADLINES = headlines_with_copies()


@pytest.mark.parametrize(("shingle", "least"), [(Bytes(3), 0.7), (Bytes(4), 0.5), (Words(2), 0.6)])
def test_it_agrees_with_comparing_every_pair(run: Run, shingle: Shingle, least: float) -> None:
    exact, near = pairs_of(run, HEADLINES, shingle, FindCopiesConfig(least), num_shards=3)
    by_key: dict[object, list[Record]] = {}
    for record in HEADLINES:
        by_key.setdefault(oracle.exact_key(record.text), []).append(record)
    assert len(exact) == len(HEADLINES) - len(by_key)
    assert all(len({oracle.exact_key(r.text) for r in HEADLINES if r.id in pair}) == 1 for pair in exact)
    true = {}
    for left, right in itertools.combinations(list(by_key.values()), 2):
        alike = similarity(left[0].text, right[0].text, shingle)
        if alike >= least:
            true[frozenset((oracle.exact_key(left[0].text), oracle.exact_key(right[0].text)))] = alike
    key_of = {r.id: oracle.exact_key(r.text) for r in HEADLINES}
    found = {frozenset(key_of[name] for name in pair): alike for pair, alike in near.items()}
    assert len(true) > 50
    assert found.keys() <= true.keys()
    assert len(found) >= 0.99 * len(true)
    assert {pair: pytest.approx(true[pair]) for pair in found} == found


def graded(count: int, vocabulary: Sequence[str], glue: str, rng: random.Random) -> list[Record]:
    """Make documents, each with a copy in which more and more words are others."""
    records = []
    for number in range(count):
        words = rng.choices(vocabulary, k=rng.randrange(60, 250))
        edited = list(words)
        for place in rng.sample(range(len(words)), round(len(words) * rng.uniform(0.005, 0.08))):
            edited[place] = rng.choice(vocabulary)
        records += [
            Record(f"{glue}{number:03}", glue.join(words), None, "t"),
            Record(f"{glue}{number:03}+", glue.join(edited), None, "t"),
        ]
    return records


def test_pairs_of_graded_similarity_are_found_and_measured(run: Run) -> None:
    rng = random.Random(7)
    english = sorted({word for record in HEADLINES[:80] for word in record.text.split()})
    chinese = sorted(set("".join(CHINESE)) - set(" ,。!?"))
    records = [*graded(200, english, " ", rng), *graded(100, chinese, "", rng)]
    exact, near = pairs_of(run, records, Words(), FindCopiesConfig(0.7), num_shards=4)
    true = {
        frozenset((one.id, other.id)): similarity(one.text, other.text, Words())
        for one, other in zip(records[::2], records[1::2], strict=True)
    }
    assert {true[pair] for pair in exact} <= {1.0}  # where the edits put back what was there
    expected = {pair: alike for pair, alike in true.items() if alike >= 0.7 and pair not in exact}
    assert min(len(expected), len(true) - len(expected)) > 50
    assert near.keys() <= expected.keys()
    assert {pair: pytest.approx(expected[pair]) for pair in near} == near
    assert len(near) >= 0.99 * len(expected)  # 0.995 of those at the threshold, more above
    assert [pair for pair, alike in expected.items() if alike >= 0.8 and pair not in near] == []


def flood(count: int) -> list[Record]:
    """Give pages that share a bucket, of different lengths, and longer and shorter exact copies of some."""
    rng = random.Random(1)
    words = [word for record in HEADLINES[:30] for word in record.text.split()][:150]
    pages = [" ".join([*words, *rng.choices(words, k=rng.randrange(20, 60))]) for _ in range(count)]
    copies = [page.replace(" ", ", " if number % 2 else "! ", number) for number, page in enumerate(pages[::3])]
    return [Record(f"flood:{number:03}", page, None, "t") for number, page in enumerate([*pages, *copies])]


def test_shards_and_order_change_nothing(run: Run) -> None:
    records_of_all = [*HEADLINES, *flood(90)]
    shuffled = random.Random(3).sample(records_of_all, len(records_of_all))
    config = FindCopiesConfig(0.7)
    key_of = {r.id: oracle.exact_key(r.text) for r in records_of_all}
    found = []
    for records, num_shards in ((records_of_all, 1), (records_of_all, 2), (shuffled, 8), (shuffled[::-1], 3)):
        exact, near = pairs_of(run, records, Bytes(4), config, num_shards)
        sets = sorted(sorted(map(str, {key_of[name] for name in pair})) for pair in exact)
        found.append((sets, {frozenset(key_of[name] for name in pair): alike for pair, alike in near.items()}))
    assert found[0] == found[1] == found[2] == found[3]
    assert 90 * 16 < sum(alike > 0.7 for alike in found[0][1].values()) < 90 * 89 / 2  # too large for all pairs


def test_a_bucket_of_thousands_stays_linear_and_is_one_record(run: Run) -> None:
    page = "Our shop is closed for the holidays and will be open again on the second of January at nine. " * 3
    records = texts(
        *(f"{page} Visitor number {n} thanks you and wishes you all a good new year." for n in range(3_000))
    )
    cleaned = run(clean, sharded(run, records, 2), config=CleanConfig(pii=None))
    start_s = time.process_time()
    found = run(find_copies, cleaned, config=FindCopiesConfig(0.7))
    assert time.process_time() - start_s < 10
    facts = evidence(found)
    assert facts["candidate_pairs"] <= 32 * 3_000 * num_bands(0.7) < 3_000 * 2_999 / 2
    copies = Copies.read(found)
    degree = np.bincount(copies.near.ravel(), minlength=3_000)
    assert degree.max() == 2_999  # one record is like all the others, so it alone stays: `resolve`


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=4), st.floats(0.001, 0.99))
def test_exact_copies_whatever_the_filter_takes_for_seen(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[list[int]], rate: float
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    paths = [folder / f"{number}.npz" for number in range(len(drawn))]
    for path, numbers in zip(paths, drawn, strict=True):  # half of a key may be another's
        np.savez(path, keys=np.array([(n % 4, n) for n in numbers], np.uint64).reshape(-1, 2))
    flat = list(itertools.chain(*drawn))
    found, num_suspects = exact_copies(paths, rate, lambda _: None)
    assert sorted(map(tuple, found.tolist())) == [
        (row, flat.index(n)) for row, n in enumerate(flat) if flat.index(n) < row
    ]
    assert num_suspects >= len({n for n in flat if flat.count(n) > 1})


def test_a_false_positive_drops_nothing(run: Run) -> None:
    for rate in (0.0001, 0.9):
        exact, near = pairs_of(run, HEADLINES, Bytes(4), FindCopiesConfig(0.7, rate))
        if rate == 0.0001:
            first = exact, near
    assert (exact, near) == first


def test_where_there_are_no_copies_and_where_shards_are_empty(run: Run) -> None:
    records = texts(*CHINESE[:3], "", "!!!", "…")
    exact, near = pairs_of(run, records, Words(), FindCopiesConfig(), num_shards=9)
    assert (exact, near) == (set(), {})
    found = found_in(run, records, Words(), FindCopiesConfig(), num_shards=9)
    facts = evidence(found)
    assert (facts["records_in"], facts["exact_copy_records"], facts["near_copy_pairs"]) == (6, 0, 0)
    assert Copies.read(found).rows().tolist() == []
    alone = found_in(run, texts("a single record"), Words(), FindCopiesConfig())
    assert evidence(alone)["records_in"] == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Café, au lait!", "cafe\u0301 AU LAIT"),
        ("中国银行，上海", "中国 银行 上海"),
        ("ＡＢＣ　def", "abc DEF."),
        ("???", "???"),
        ("５＋５＝１０", "5+5=10"),
    ],
)
def test_exact_copies_differ_in_form_only(run: Run, left: str, right: str) -> None:
    exact, near = pairs_of(run, texts(left, right), Words(), FindCopiesConfig())
    assert (exact, near) == ({frozenset(("t:0000", "t:0001"))}, {})


def test_texts_of_marks_only_are_no_copies_of_each_other(run: Run) -> None:
    assert pairs_of(run, texts("???", "!!!", "…", "+", "-", "❤"), Bytes(3), FindCopiesConfig(0.1)) == (set(), {})


def test_a_changed_chinese_character_is_a_near_copy_and_another_sentence_is_not(run: Run) -> None:
    sentence = "中国银行上海分行昨日公布了上半年的财务报告和下半年的经营计划"
    changed = sentence.replace("昨日", "今日")
    _, near = pairs_of(run, texts(sentence, changed, *CHINESE[1:]), Bytes(4), FindCopiesConfig(0.7))
    assert near == {frozenset(("t:0000", "t:0001")): pytest.approx(similarity(sentence, changed, Bytes(4)))}


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 1.0])
def test_bands_find_995_of_1000_pairs_at_the_threshold(threshold: float) -> None:
    bands = num_bands(threshold)
    slots = 120 // bands
    assert bands * slots == 120
    assert 1 - (1 - threshold**slots) ** bands >= 0.995
    assert num_bands(0.5) > num_bands(0.9)


def test_what_was_not_cleaned_is_refused(run: Run) -> None:
    with pytest.raises(ArtifactError, match="has no sketches"):
        run(find_copies, sharded(run, texts("a text"), 1), config=FindCopiesConfig())


@pytest.mark.parametrize(
    ("least", "rate", "message"),
    [
        (0.0, 0.1, "min_similarity is 0"),
        (1.1, 0.1, "min_similarity is 1.1"),
        (0.7, 0.0, "false_positive_frac is 0"),
        (0.7, 1.0, "false_positive_frac is 1"),
    ],
)
def test_bounds(least: float, rate: float, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        FindCopiesConfig(least, rate)


def test_nothing_of_a_run_is_left_beside_the_pairs(run: Run, tmp_path: Path) -> None:
    found = found_in(run, HEADLINES, Bytes(4), FindCopiesConfig(0.7))
    assert sorted(path.name for path in found.payload.rglob("*.*")) == ["exact.parquet", "looked.json", "near.parquet"]
    assert not list(tmp_path.rglob("shingles.bin"))
