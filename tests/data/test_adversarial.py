"""Adversarial: the gate on real headlines with attacks among them, measuring itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from real_slice import CHINESE, dataset, evidence, slice_lines, texts
from sharded import FINANCE, PLAIN_CHINESE, sharded

from burnish.data.adversarial import RULES, AdversarialConfig, Detector, fit_detector, gate_adversarial
from burnish.data.attacks.adversarial_trial import evaluate_detector
from burnish.data.attacks.attacks import ATTACKS, attacker_of
from burnish.data.records import Record, read_kept, read_rejected
from burnish.data.scoring.sample import Sampled
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill

HEADLINES = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")]
REAL = [*HEADLINES, *CHINESE, *FINANCE, *PLAIN_CHINESE]
SURE = ("homoglyphs", "zero_width", "bidi_override", "token_flood", "injection")


def attacked(*names: str) -> list[Record]:
    """One attacked Chinese and one English record for each kind of attack."""
    rows: list[Record] = []
    for number, name in enumerate(names):
        for text in (HEADLINES[number], FINANCE[number]):
            changed = ATTACKS[name](text, attacker_of(5, text, ()))
            rows.append(Record(f"a:{name}:{len(rows)}", str(changed), None, "t"))
    return rows


def test_attacks_among_real_records_are_set_aside_with_their_rule(run: Run) -> None:
    records = [*texts(*REAL), *attacked(*SURE)]
    done = run(gate_adversarial, dataset(run, records), config=AdversarialConfig(trial_records=40))
    gone = {record.id: rejection for record, rejection in read_rejected(done)}
    assert {identity for identity in gone if identity.startswith("a:")} == {r.id for r in attacked(*SURE)}
    rules = {
        "homoglyphs": "mixed_scripts",
        "zero_width": "invisible_characters",
        "bidi_override": "invisible_characters",
        "token_flood": "repeated_passage",
        "injection": "injection_pattern",
    }
    for identity, rejection in gone.items():
        if identity.startswith("a:"):
            assert rejection.rule == rules[identity.split(":")[1]]
    honest = [identity for identity in gone if not identity.startswith("a:")]
    assert len(honest) <= 0.02 * len(REAL)
    found = evidence(done)
    assert sum(found[f"dropped_{rule}_records"] for rule in RULES) == len(gone) == len(records) - len(read_kept(done))


def test_the_stage_measures_itself_on_its_own_input(run: Run) -> None:
    done = run(gate_adversarial, dataset(run, texts(*REAL)), config=AdversarialConfig(trial_records=60, seed=2))
    found = {m.name: m for m in done.evidence}
    assert {f"adversarial_recall_{name}_frac" for name in ATTACKS} <= set(found)
    for name in SURE:
        assert found[f"adversarial_recall_{name}_frac"].value > 0.85, name
        assert found[f"adversarial_recall_{name}_frac"].low is not None
    assert found["adversarial_false_alarm_frac"].n == 60
    assert found["adversarial_false_alarm_frac"].value <= 0.05
    # Fluent words in other places are what these rules cannot see, and the evidence says so.
    assert found["adversarial_recall_word_substitution_frac"].value < 0.5


def test_the_trial_follows_the_detector(tmp_path: Path) -> None:
    blind = AdversarialConfig(9**9, 9**9, 9**9, 9**9, 9.0**9, 0.0)
    rows = [Sampled(str(row), text) for row, text in enumerate(REAL[:30])]
    detector = fit_detector(iter([REAL]), REAL, tmp_path / "model.npz", blind)
    found = evaluate_detector(replace(detector, max_surprise=float("inf")).judge, rows, REAL[30:60], seed=0)
    assert {m.name: m.value for m in found} == {
        "adversarial_false_alarm_frac": 0.0,
        **{f"adversarial_recall_{name}_frac": 0.0 for name in ATTACKS},
    }
    assert evaluate_detector(detector.judge, [], REAL, seed=0) == ()


def test_the_bound_of_surprise_takes_the_share_asked_for_and_attacks_do_not_raise_it(tmp_path: Path) -> None:
    def bound(sample: list[str], name: str) -> Detector:
        config = AdversarialConfig(max_surprising_frac=0.1)
        return fit_detector(iter([REAL]), sample, tmp_path / f"{name}.npz", config)

    clean = bound(REAL, "clean")
    taken = sum(clean.judge(REAL)[-1].fails.tolist())
    assert 0.05 * len(REAL) <= taken <= 0.1 * len(REAL)
    flooded = [f"\u202e{'qzx]{;vk~' * 9}{row}" for row in range(60)]
    assert bound([*REAL, *flooded], "flooded").max_surprise < clean.judge(flooded)[-1].values.min()
    strange = [f"{'qzx]{;vk~' * 6}{row}" for row in range(len(REAL) // 25)]  # 4 %, and no other rule takes them
    assert bound([*REAL, *strange], "strange").max_surprise < clean.judge(strange)[-1].values.min()


def test_a_killed_run_goes_on_with_the_counts_it_has(tmp_path: Path) -> None:
    config = AdversarialConfig()
    first = fit_detector(iter([REAL]), REAL, tmp_path / "model.npz", config)
    again = fit_detector(iter(()), REAL, tmp_path / "model.npz", config)
    assert first == again


def test_the_kept_set_does_not_depend_on_shards(run: Run) -> None:
    records = [*texts(*REAL), *attacked("homoglyphs", "injection", "split_words")]
    config = AdversarialConfig(trial_records=0, max_surprising_frac=0.02)
    kept = [
        {record.id for record in read_kept(run(gate_adversarial, sharded(run, records, number), config=config))}
        for number in (1, 5)
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) < len(records)


def test_no_trial_leaves_no_figure(run: Run) -> None:
    done = run(gate_adversarial, dataset(run, texts(*REAL)), config=AdversarialConfig(trial_records=0))
    assert not [m for m in done.evidence if m.name.startswith("adversarial_")]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_mixed_words": -1}, "max_mixed_words is -1"),
        ({"max_repeats": 0}, "max_repeats is 0"),
        ({"min_injection_score": 0.0}, "min_injection_score is 0"),
        ({"max_surprising_frac": 1.0}, "max_surprising_frac is 1"),
    ],
)
def test_wrong_bounds_are_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        fill(AdversarialConfig, values)
