"""Adversarial: the gate on real headlines with attacks among them, measuring itself."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from real_slice import CHINESE, dataset, evidence, slice_lines, texts
from set_aside import read_rejected
from sharded import FINANCE, PLAIN_CHINESE, sharded

from burnish.data.adversarial import RULES, AdversarialConfig, Detector, fit_detector, gate_adversarial, growth_of
from burnish.data.attacks.adversarial_trial import evaluate_detector
from burnish.data.attacks.attacks import ATTACKS, attacker_of
from burnish.data.records import Record, read_kept
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


def test_letters_of_a_list_are_no_split_word_and_those_of_a_word_are(tmp_path: Path) -> None:
    detector = fit_detector(iter([REAL]), REAL, tmp_path / "model.npz", AdversarialConfig())
    split = detector.judge(
        ["the value is b a d c f e", "the p r e s i d e n t speaks", "the p.r.e.s.i.d.e.n.t speaks"]
    )[2]
    assert split.values.tolist() == [0, 1, 1]


def test_growth_is_that_of_the_texts_longer_than_a_window_and_few_attacks_do_not_turn_it() -> None:
    sizes = np.linspace(0.0, 5.0, 400)
    surprises = np.where(sizes > 0, 0.3 * sizes, -9.0)
    assert growth_of(surprises, sizes) == pytest.approx(0.3, abs=0.01)
    surprises[1::12] += 5.0
    assert growth_of(surprises, sizes) == pytest.approx(0.3, abs=0.05)
    assert growth_of(-surprises, sizes) == 0.0
    assert growth_of(surprises[:9], sizes[:9]) == 0.0
    assert growth_of(surprises, np.ones(400)) == 0.0


def test_long_texts_are_not_stranger_than_their_parts(tmp_path: Path) -> None:
    parts = ["".join(HEADLINES[row : row + 2]) for row in range(0, 100, 2)]
    long = [" ".join(parts[row : row + 10]) for row in range(0, 50, 2)]
    detector = fit_detector(iter([REAL]), [*parts, *long], tmp_path / "model.npz", AdversarialConfig())
    flat = replace(detector, surprise_growth=0.0)
    gaps = [
        np.median(each.judge(long)[-1].values) - np.median(each.judge(parts)[-1].values) for each in (flat, detector)
    ]
    assert gaps[0] > 0.1
    assert abs(gaps[1]) < gaps[0] / 2


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
