"""Rules, samples and sets of copies: what the page says of them is what the ledger holds."""

import json
from collections import Counter

import pytest
from data_stages_made import Added, Given, Measures, Pairs, Sieve, augment, clean, collect, find_copies, select
from hypothesis import given
from hypothesis import strategies as st
from set_aside import read_rejected

from burnish.artifacts import DatasetArtifact
from burnish.data.records import read_kept
from burnish.report.data_charts import histogram_chart, mini_histogram
from burnish.report.data_copies import read_copies
from burnish.report.data_fetch import draw, fetch
from burnish.report.data_rules import Rule, read_rules
from burnish.report.data_samples import read_changes, removed_samples
from burnish.report.data_stages import Stage, trace_stages
from burnish.report.data_text import Pieces
from burnish.report.data_words import bound_words, measured_by
from burnish.runtime import Run

EMAIL = "zhang.san@example.com"
ROWS = tuple(
    (f"r{n:02}", text, "web")
    for n, text in enumerate(
        [
            "short", "短", "## ##", *(f"this is the ordinary row number {n}" for n in range(30)),
            *("#" * n + " marks in a row of words" for n in range(12)), f"write to <EMAIL> or call, {'word ' * 30}",
        ]
    )
)  # fmt: skip
PARTNERS = (("r10", "r04", 0.85), ("r11", "r10", 0.95), ("r12", "r04", 1.0), ("r20", "r21", 0.8))


@pytest.fixture
def way(run: Run) -> tuple[Stage, ...]:
    raw_rows = tuple((i, text.replace("<EMAIL>", EMAIL), source) for i, text, source in ROWS)
    raw = run(collect, config=Given(raw_rows, 3))
    notes = (("r45", "masked_email", 1.0), ("r05", "repaired_mojibake", 1.0), ("r45", "repaired_mojibake", 1.0))
    cleaned = run(clean, raw, config=Measures(notes, suffix=" fin"))
    copies = run(find_copies, cleaned, config=Pairs((0.7, 0.79, 0.8, 0.85, 1.0)))
    return trace_stages((raw, cleaned, copies, run(select, cleaned, copies, config=Sieve(3, 0.3, PARTNERS))))


def rules_of(way: tuple[Stage, ...]) -> dict[str, Rule]:
    return {rule.name: rule for rule in read_rules(way[-1], way[2:3])}


def joined(pieces: Pieces) -> str:
    return "".join(piece.text for piece in pieces)


def test_rules_are_counted_as_the_ledger_has_them(way: tuple[Stage, ...]) -> None:
    rejected = Counter(reason.rule for _, reason in read_rejected(way[-1].artifact))
    rules = rules_of(way)
    assert {name: rule.num_removed for name, rule in rules.items()} == rejected
    assert [rule.num_removed for rule in rules.values()] == sorted(rejected.values(), reverse=True)
    assert {rule.num_in for rule in rules.values()} == {len(ROWS)}
    assert (rules["too_few_words"].threshold, rules["too_few_words"].bound) == (3.0, "below 3 words")
    assert (rules["symbols"].is_floor, rules["symbols"].bound) == (False, "above 30 %")
    assert rules["near_copy"].bound == "80 % alike and more"


def test_a_histogram_holds_every_record_and_what_became_of_it(way: tuple[Stage, ...]) -> None:
    rules = rules_of(way)
    num_kept = len(read_kept(way[-1].artifact))
    for name in ("too_few_words", "symbols"):
        histogram = rules[name].histogram
        assert histogram is not None
        assert sum(histogram.kept) == num_kept
        assert sum(histogram.removed) == rules[name].num_removed
        assert sum(histogram.other) == len(ROWS) - num_kept - rules[name].num_removed
        assert sum(histogram.removed[: histogram.bound]) == (rules[name].num_removed if rules[name].is_floor else 0)
        assert f"{num_kept} records kept" in histogram_chart(rules[name], histogram, 327)
        assert mini_histogram(histogram).count("<rect") >= 2


def test_copies_are_set_against_all_pairs_that_were_found(way: tuple[Stage, ...]) -> None:
    histogram = rules_of(way)["near_copy"].histogram
    assert histogram is not None
    assert (histogram.noun, sum(histogram.kept), sum(histogram.removed)) == ("pairs", 2, 3)
    assert sum(histogram.removed[histogram.bound :]) == 3


def test_without_a_ledger_the_rejected_rows_say_the_same(way: tuple[Stage, ...]) -> None:
    before = rules_of(way)
    for path in way[-1].shards("ledger"):
        path.unlink()
    after = rules_of(way)
    assert {n: (r.num_removed, r.histogram) for n, r in after.items()} == {
        n: (r.num_removed, r.histogram) for n, r in before.items()
    }


def test_samples_are_removed_records_with_their_values(way: tuple[Stage, ...]) -> None:
    rejected = {record.id: (record, reason) for record, reason in read_rejected(way[-1].artifact)}
    rules = list(rules_of(way).values())
    samples = removed_samples(way[-1], rules, 2, seed=0)
    for rule in rules:
        assert len(samples[rule.name]) == min(2, rule.num_removed)
        for sample in samples[rule.name]:
            record, reason = rejected[sample.id]
            assert reason.rule == rule.name
            assert joined(sample.text) == record.text
            if reason.partner_id is not None:
                assert sample.beside_words == f"kept: {reason.partner_id} · web"
                assert sample.value == f"similarity {reason.similarity:.3f}"
    assert removed_samples(way[-1], rules, 0, seed=0) == {}


def test_a_partner_that_was_removed_itself_leaves_the_copy_alone_on_the_page(way: tuple[Stage, ...]) -> None:
    samples = removed_samples(way[-1], list(rules_of(way).values()), 9, seed=0)["near_copy"]
    chained = next(sample for sample in samples if sample.id == "r11")
    assert chained.beside == ()
    assert joined(chained.text)


def test_the_draw_does_not_depend_on_shards(run: Run) -> None:
    drawn = []
    for shards in (1, 4):
        raw = run(collect, config=Given(ROWS, shards))
        stage = trace_stages((raw, run(select, raw, config=Sieve(3, 0.1))))[-1]
        drawn.append({r: [d.row["id"] for d in some] for r, some in draw(stage, 4, seed=0, kept=False).items()})
        other = {r: [d.row["id"] for d in some] for r, some in draw(stage, 4, seed=1, kept=False).items()}
    assert drawn[0] == drawn[1]
    assert other != drawn[1]


def test_personal_data_is_never_shown(way: tuple[Stage, ...]) -> None:
    changes = {change.rule: change for change in read_changes(way[1], 5, seed=0)}
    assert (changes["masked_email"].num_records, changes["masked_email"].num_found) == (1, 1)
    (masked,) = changes["masked_email"].samples
    assert [piece.text for piece in masked.text if piece.is_marked] == ["<EMAIL>"]
    (repaired,) = changes["repaired_mojibake"].samples  # the other one held an address
    assert (repaired.id, repaired.text_words, repaired.beside_words) == ("r05", "before", "after")
    assert [piece.text.strip() for piece in repaired.beside if piece.is_marked] == ["fin"]
    shown = json.dumps([[joined(s.text), joined(s.beside)] for change in changes.values() for s in change.samples])
    assert EMAIL not in shown
    assert "zhang" not in shown


def test_what_was_added_stands_beside_its_source(run: Run) -> None:
    raw = run(collect, config=Given(ROWS, 2))
    stage = trace_stages((raw, run(augment, raw, config=Added(("r07",)))))[-1]
    (change,) = read_changes(stage, 3, seed=0)
    (sample,) = change.samples
    assert (sample.id, sample.text_words, sample.beside_words) == ("r07+syn1", "source", "made from it")
    assert [piece.text.strip() for piece in sample.beside if piece.is_marked] == ["anew"]


def test_a_set_of_copies_holds_all_that_lead_to_one_record(way: tuple[Stage, ...]) -> None:
    copies = read_copies(way)
    assert copies is not None
    assert (copies.num_sets, copies.num_removed) == (2, 4)
    assert copies.sizes == (("2", 1, 2), ("4–5", 1, 4))
    first = copies.largest[0]
    assert (first.id, first.size, first.kinds, first.least) == ("r04", 4, ("3 near copies",), 0.85)
    assert joined(first.text) == next(r.text for r in read_kept(way[-1].artifact) if r.id == "r04")
    assert read_copies(way[:2]) is None


def test_fetch_finds_ids_in_any_shard(way: tuple[Stage, ...]) -> None:
    wanted = {"r01", "r02", "r03", "r45", "nowhere"}
    found = fetch(way[0].shards("data"), wanted, ("text",))
    texts = {record.id: record.text for record in read_kept(way[0].artifact)}
    assert {i: row["text"] for i, row in found.items()} == {i: texts[i] for i in wanted - {"nowhere"}}


@given(st.floats(0, 1), st.booleans())
def test_bounds_are_words(threshold: float, is_floor: bool) -> None:
    said = bound_words("few_letters", threshold, is_floor=is_floor)
    assert said.startswith("below " if is_floor else "above ")
    assert float(said.split()[1].replace("−", "-")) == pytest.approx(100 * threshold, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("rule", "threshold", "is_floor", "is_inclusive", "said"),
    [
        ("too_few_words", 10.0, True, False, "below 10 words"),
        ("injection_pattern", 1.0, False, True, "1 and more"),
        ("invisible_characters", 0.0, False, False, "above 0 characters"),
        ("few_function_words", 1.0, True, False, "below 1 word"),
        ("near_copy", 0.75, False, False, "75 % alike and more"),
        ("too_far", 0.2, True, False, "less than 20 % alike"),
        ("semantic_copy", 0.9, False, True, "0.9 and more"),
        ("exact_copy", 1.0, False, True, "the same words and symbols"),
        ("a_rule_of_tomorrow", -2.5, True, False, "below −2.5"),
        ("language", None, True, False, ""),
    ],
)
def test_a_bound_reads_as_the_rule_works(
    rule: str, threshold: float | None, is_floor: bool, is_inclusive: bool, said: str
) -> None:
    assert bound_words(rule, threshold, is_floor=is_floor, is_inclusive=is_inclusive) == said


def test_every_rule_of_the_stages_is_put_into_words() -> None:
    from burnish.data import adversarial, domain, grammar, model_quality, select, semantic
    from burnish.data.augmenting import near_copy_check

    modules = (select, grammar, domain, adversarial, semantic, model_quality, near_copy_check)
    rules = [rule for module in modules for rule in module.RULES]
    assert [rule for rule in rules if measured_by(rule).words == "value"] == ["missing_translation", "repeats_another"]


def test_a_dataset_without_decisions_has_no_rules(run: Run) -> None:
    raw: DatasetArtifact = run(collect, config=Given(ROWS))
    (stage,) = trace_stages((raw,))
    assert read_rules(stage, ()) == ()
    assert read_changes(stage, 3, seed=0) == ()
