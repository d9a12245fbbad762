"""The gate's set: documents of a domain, among them broken sentences, texts from elsewhere, and attacks."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.claims.damage import disturbed_words, shuffled_words
from burnish.claims.natural import Natural, by_chance, natural_texts
from burnish.data.attacks.attacks import ATTACKS, attacker_of
from burnish.data.augmenting.word_spans import words_with_places
from burnish.data.shards import kept_schema, write_table
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

SEEDS, LABELLED, HELD_OUT = "seeds.jsonl", "labelled.jsonl", "held_out.jsonl"
_NUM_WORDS = 400  # texts that attacks take words from

KINDS = ("shuffled", "disturbed", "off_domain", "attacked")


@dataclass(frozen=True)
class GateSetConfig:
    """Say what the set is made of.

    Attributes:
        domain: natural texts to take of each source of the domain.
        elsewhere: likewise of sources outside it.
        num_shuffled: documents whose words stand in any order within each clause.
        num_disturbed: documents in which half of the words changed places with a neighbour and a fifth are gone.
        num_attacked: documents that carry an attack, each kind in turn.
        num_off_domain: texts from elsewhere in the set.
        num_seeds: documents that say what the domain is; these and the next two are in no other part.
        num_labelled: documents, and as many texts from elsewhere, that choose the threshold of domain fit.
        num_held_out: documents on which the loss is measured.
        max_chars: of a passage.
        seed: draws texts and faults.
    """

    domain: dict[str, int]
    elsewhere: dict[str, int]
    num_shuffled: int = 0
    num_disturbed: int = 0
    num_attacked: int = 0
    num_off_domain: int = 0
    num_seeds: int = 60
    num_labelled: int = 100
    num_held_out: int = 100
    max_chars: int = 400
    seed: int = 0

    def drawn(self, seed: int) -> "GateSetConfig":
        """Give the same set, drawn otherwise."""
        return replace(self, seed=seed)


def plant_gate_set(out: Workdir, collected: DatasetArtifact, *, config: GateSetConfig) -> Draft[DatasetArtifact]:
    """Write the set to `data/`; beside it the seeds, the labelled sample and the held-out documents.

    Raises:
        RecipeError: there are too few natural texts.
    """
    with out.progress("plant faults", total=2, unit="steps") as bar:
        natural = natural_texts(
            collected, {**config.domain, **config.elsewhere}, seed=config.seed, max_chars=config.max_chars
        )
        bar.advance(note=f"{len(natural):,} natural texts")
        domain = by_chance([text for text in natural if text.source in config.domain], config.seed, "gate")
        elsewhere = by_chance([text for text in natural if text.source in config.elsewhere], config.seed, "gate")
        seeds, domain = _taken(domain, config.num_seeds, "num_seeds")
        held_out, domain = _taken(domain, config.num_held_out, "num_held_out")
        labelled, domain = _taken(domain, config.num_labelled, "num_labelled")
        others, elsewhere = _taken(elsewhere, config.num_labelled, "num_labelled")
        rows = list(_rows(domain, elsewhere, config))
        bar.advance(note=f"{len(rows):,} records")
    _write(out, SEEDS, seeds, [True] * len(seeds))
    _write(out, HELD_OUT, held_out, [True] * len(held_out))
    _write(out, LABELLED, [*labelled, *others], [True] * len(labelled) + [False] * len(others))
    rows.sort(key=lambda row: random.Random(f"{config.seed}/order/{row[0]}").random())
    arrow = need("pyarrow", extra="data")
    records = [
        {"id": name, "text": text, "label": None, "source": source, "planted": kind, "meta": None}
        for name, text, source, kind in rows
    ]
    write_table(out / "data/part-00000.parquet", arrow.Table.from_pylist(records, schema=kept_schema()))
    kinds = [kind for *_, kind in rows]
    evidence = (
        Measurement(
            "invalid_before_frac", 1 - kinds.count("") / len(kinds), "1", len(kinds), how="known: what is planted"
        ),
        *(Measurement(f"planted_{kind}_records", float(kinds.count(kind)), "records", len(kinds)) for kind in KINDS),
    )
    return Draft(DatasetArtifact, evidence, f"{len(kinds):,} records, {kinds.count(''):,} of them valid.")


Row = tuple[str, str, str, str]  # id, text, source, kind of fault


def _rows(domain: Sequence[Natural], elsewhere: Sequence[Natural], config: GateSetConfig) -> Iterator[Row]:
    others, _ = _taken(list(elsewhere), config.num_off_domain, "num_off_domain")
    for text in others:
        yield f"{text.id}+off_domain", text.text, text.source, "off_domain"
    wanted = {
        "shuffled": config.num_shuffled, "disturbed": config.num_disturbed, "attacked": config.num_attacked
    }  # fmt: skip
    words = sorted({word.text for text in domain[:_NUM_WORDS] for word in words_with_places(text.text)})
    waiting = list(domain)
    for kind, count in wanted.items():
        left: list[Natural] = []
        done = 0
        for text in waiting:
            broken = _broken(kind, text, done, words, config.seed) if done < count else None
            if broken is None:
                left.append(text)
            else:
                yield f"{text.id}+{kind}", broken, text.source, kind
                done += 1
        if done < count:
            raise RecipeError(f"num_{kind} is {count}; it can be done to {done} documents")
        waiting = left
    for text in waiting:
        yield text.id, text.text, text.source, ""


def _broken(kind: str, text: Natural, number: int, words: Sequence[str], seed: int) -> str | None:
    rng = random.Random(f"{seed}/{kind}/{text.id}")
    match kind:
        case "shuffled":
            return shuffled_words(text.text, rng)
        case "disturbed":
            return disturbed_words(text.text, rng)
        case _:
            attack = list(ATTACKS.values())[number % len(ATTACKS)]
            return attack(text.text, attacker_of(seed, text.id, words))


def _taken(texts: list[Natural], count: int, name: str) -> tuple[list[Natural], list[Natural]]:
    if count > len(texts):
        raise RecipeError(f"{name} is {count}; there are {len(texts)} texts left")
    return texts[:count], texts[count:]


def _write(out: Workdir, name: str, texts: Sequence[Natural], is_domain: Sequence[bool]) -> None:
    rows = ({"text": text.text, "is_domain": wanted} for text, wanted in zip(texts, is_domain, strict=True))
    (out / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
