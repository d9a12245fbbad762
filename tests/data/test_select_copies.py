"""Select: of copies the best stays, each other names it, and neither shards nor their order change which."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from curated import MIXED, NO_RULES, kept_ids, reasons, selected
from real_slice import evidence, texts
from sharded import sharded
from test_find_copies import HEADLINES, similarity
from test_rules import WORDS

from burnish.data.records import Record, read_kept
from burnish.data.rules import Gibberish, Lines
from burnish.data.select import KeepBest, SelectConfig
from burnish.data.shingle import Bytes, Shingle, Words
from burnish.errors import RecipeError
from burnish.runtime import Run


@pytest.mark.parametrize("shingle", [Words(), Bytes(4)])
def test_copies_name_a_kept_partner_and_their_true_similarity(run: Run, shingle: Shingle) -> None:
    made = selected(run, sharded(run, HEADLINES, 2), NO_RULES, shingle=shingle)
    kept, gone = kept_ids(made), reasons(made)
    text_of = {record.id: record.text for record in HEADLINES}
    assert Counter(r.rule for r in gone.values()).keys() == {"exact_copy", "near_copy"}
    for name, reason in gone.items():
        assert reason.partner_id in kept
        true = similarity(text_of[name], text_of[reason.partner_id], shingle)
        assert reason.value == reason.similarity == pytest.approx(true)
        assert reason.threshold == (1.0 if reason.rule == "exact_copy" else 0.75)
        assert true >= (reason.threshold or 0)


@pytest.mark.parametrize("shingle", [Words(2), Bytes(4)])
def test_shards_and_order_change_nothing(run: Run, shingle: Shingle) -> None:
    shuffled = random.Random(5).sample(HEADLINES, len(HEADLINES))
    found = []
    for records, num_shards in ((HEADLINES, 1), (HEADLINES, 2), (HEADLINES, 8), (shuffled, 8), (shuffled[::-1], 1)):
        made = selected(
            run, sharded(run, records, num_shards), replace(NO_RULES, copies=KeepBest(0.7)), shingle=shingle
        )
        found.append((kept_ids(made), reasons(made)))
    assert all(each == found[0] for each in found)
    assert 80 <= len(found[0][0]) < len(HEADLINES)


def test_a_flood_of_copies_leaves_one(run: Run) -> None:
    page = "Our shop is closed for the holidays and will be open again on the second of January at nine. " * 3
    records = texts(
        *(f"{page} Visitor number {n} thanks you and wishes you all a good new year." for n in range(3_000))
    )
    made = selected(run, sharded(run, records, 3), replace(NO_RULES, copies=KeepBest(0.7)))
    (left,) = read_kept(made)
    assert evidence(made)["dropped_near_copy_records"] == 2_999
    assert {r.partner_id for r in reasons(made).values()} == {left.id}


BASE = WORDS[:24]


@pytest.mark.parametrize(
    ("records", "kept"),
    [
        (texts("央行下调利率,市场反应积极。", "央行下调利率 市场反应积极"), {"t:0000"}),  # longer
        (texts("the end of it all", "The end of it all!"), {"t:0001"}),
        (texts("the end of it all", "the end of it all"), {"t:0000"}),  # the smaller id
        (texts("the end\ufffd\ufffd of it all.", "the end of it all"), {"t:0001"}),  # less damaged
        (texts(" ".join(BASE), " ".join([*BASE, "it"])), {"t:0001"}),  # near copies: longer
    ],
)
def test_which_copy_stays(run: Run, records: Sequence[Record], kept: set[str]) -> None:
    for order in (records, records[::-1]):
        assert kept_ids(selected(run, sharded(run, order, 1), NO_RULES)) == kept


def test_a_copy_that_is_not_good_enough_takes_no_good_one_with_it(run: Run) -> None:
    good = " ".join(BASE)
    damaged = good.replace(" ", " \ufffd ") + " " + good + " indeed"  # longer, but characters are lost
    config = replace(NO_RULES, gibberish=Gibberish())
    made = selected(run, sharded(run, texts(damaged, good), 1), config, looked=0.3)
    assert kept_ids(made) == {"t:0001"}
    assert reasons(made)["t:0000"].rule == "lost_characters"
    menu = texts("\n".join(WORDS), " ".join(WORDS))  # exact copies; the first has the smaller id, and short lines
    made = selected(run, sharded(run, menu, 1), replace(NO_RULES, lines=Lines()))
    assert kept_ids(made) == {"t:0001"}
    assert reasons(made)["t:0000"].rule == "short_lines"
    exact = texts(good + " \ufffd", good)
    assert kept_ids(selected(run, sharded(run, exact, 1), config)) == {"t:0001"}


def test_a_lower_similarity_drops_more(run: Run) -> None:
    raw = sharded(run, HEADLINES, 1)
    kept = [
        kept_ids(selected(run, raw, replace(NO_RULES, copies=KeepBest(least)), shingle=Bytes(4)))
        for least in (0.5, 0.75, 1.0)
    ]
    off = kept_ids(selected(run, raw, replace(NO_RULES, copies=None)))
    assert len(kept[0]) < len(kept[1]) < len(kept[2]) < len(off) == len(HEADLINES)


def test_less_similarity_than_was_looked_for_is_refused(run: Run) -> None:
    raw = sharded(run, MIXED, 1)
    with pytest.raises(
        RecipeError,
        match=r"select\.copies\.min_similarity is 0\.6; copies were looked for down to 0\.7\. Lower find_copies",
    ):
        selected(run, raw, SelectConfig(copies=KeepBest(0.6)), looked=0.7)
    assert kept_ids(selected(run, raw, SelectConfig(copies=KeepBest(0.7)), looked=0.7))
