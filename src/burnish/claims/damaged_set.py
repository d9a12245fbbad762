"""The damaged set: natural texts of two languages with every kind of fault planted, and the truth beside them."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.claims.damage import DAMAGES, random_ideographs
from burnish.claims.natural import Natural, by_chance, natural_texts
from burnish.claims.personal import with_personal_data
from burnish.data.readers.copies import near_copy
from burnish.data.shards import kept_schema, read_tables, shard_paths, write_table
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

TRUTH = "truth/truth.jsonl"
COPIES = ("exact_copy", "near_copy")


@dataclass(frozen=True)
class DamageConfig:
    """Say how much of which fault to plant.

    Attributes:
        natural: how many natural texts to take of each source; those that are not damaged are the valid ones.
        num_planted: of each kind of damage, each on a text of its own that is not in the set as it was; copies repeat
            a valid text.
        num_random_ideographs: texts of random Chinese characters; all rows that came as planted stay too.
        seed: draws texts and faults.
    """

    natural: dict[str, int]
    num_planted: dict[str, int] = field(default_factory=dict)
    num_random_ideographs: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        kinds = (*DAMAGES, *COPIES, "personal_data")
        for kind, count in self.num_planted.items():
            if kind not in kinds or count < 1:
                raise RecipeError(f"num_planted has {kind}: {count}; the kinds are {', '.join(kinds)}, each at least 1")


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of one record: the fault, the natural text behind it, and what of it must not stay.

    Attributes:
        kind: "" for none.
        of: id of the natural text; copies share it with what they copy.
        original: the natural text, empty for garbage.
        secret: the personal data that was planted.
    """

    id: str
    kind: str
    of: str
    original: str
    secret: str = ""


def plant_damage(out: Workdir, collected: DatasetArtifact, *, config: DamageConfig) -> Draft[DatasetArtifact]:
    """Write the damaged set to `data/` and what is known of each record, where no rule looks, to `truth/`.

    Raises:
        RecipeError: there are too few natural texts.
    """
    with out.progress("plant damage", total=3, unit="steps") as bar:
        natural = natural_texts(collected, config.natural, seed=config.seed)
        bar.advance(note=f"{len(natural):,} natural texts")
        rows = list(_planted(natural, config)) + list(_garbage(collected, config))
        bar.advance(note=f"{len(rows):,} records")
        rows = sorted(rows, key=lambda row: random.Random(f"{config.seed}/order/{row[0].id}").random())
        arrow = need("pyarrow", extra="data")
        records = [
            {"id": truth.id, "text": text, "label": None, "source": source, "planted": truth.kind, "meta": None}
            for truth, text, source in rows
        ]
        write_table(out / "data/part-00000.parquet", arrow.Table.from_pylist(records, schema=kept_schema()))
        lines = (json.dumps(asdict(truth), ensure_ascii=False) + "\n" for truth, _, _ in rows)
        (out / TRUTH).write_text("".join(lines), encoding="utf-8")
        bar.advance()
    kinds = [truth.kind for truth, _, _ in rows]
    evidence = (
        Measurement("valid_before_frac", kinds.count("") / len(kinds), "1", len(kinds), how="known: what is planted"),
        *(
            Measurement(f"planted_{kind}_records", float(kinds.count(kind)), "records", len(kinds), how="count")
            for kind in sorted(set(kinds) - {""})
        ),
    )
    return Draft(DatasetArtifact, evidence, f"{len(kinds):,} records, {kinds.count(''):,} of them valid.")


def read_truth(planted: DatasetArtifact) -> list[Truth]:
    """Read what `plant_damage` knows of its records."""
    lines = (planted.payload / TRUTH).read_text(encoding="utf-8").splitlines()
    return [Truth(**json.loads(line)) for line in lines]


Row = tuple[Truth, str, str]  # what is known, the text, its source


def _planted(natural: Sequence[Natural], config: DamageConfig) -> Iterator[Row]:
    """Damage texts by chance, each once; the rest are valid, and some of those are copied."""
    waiting = by_chance(natural, config.seed, "damage")
    for kind, count in config.num_planted.items():
        if kind not in COPIES:
            damaged, waiting = _damaged(kind, waiting, count, config.seed)
            yield from damaged
    for text in waiting:
        yield Truth(text.id, "", text.id, text.text), text.text, text.source
    for kind, count in config.num_planted.items():
        if kind in COPIES:
            yield from _copied(kind, waiting, count, config.seed)


def _damaged(kind: str, waiting: list[Natural], count: int, seed: int) -> tuple[list[Row], list[Natural]]:
    """Damage the first texts to which the damage can be done; give them, and those that are left."""
    rows: list[Row] = []
    left: list[Natural] = []
    for text in waiting:
        rng = random.Random(f"{seed}/{kind}/{text.id}")
        damaged, secret = _damage(kind, text.text, rng) if len(rows) < count else (None, "")
        if damaged is None:
            left.append(text)
        else:
            rows.append((Truth(f"{text.id}+{kind}", kind, text.id, text.text, secret), damaged, text.source))
    if len(rows) < count:
        raise RecipeError(f"{kind} can be done to {len(rows)} texts; num_planted asks for {count}")
    return rows, left


def _damage(kind: str, text: str, rng: random.Random) -> tuple[str | None, str]:
    if kind == "personal_data":
        return with_personal_data(text, rng)
    return DAMAGES[kind](text, rng), ""


def _copied(kind: str, valid: Sequence[Natural], count: int, seed: int) -> Iterator[Row]:
    if count > len(valid):
        raise RecipeError(f"{count} of {kind} are asked for; there are {len(valid)} texts to copy")
    for text in by_chance(valid, seed, kind)[:count]:
        copy = text.text if kind == "exact_copy" else near_copy(text.text, random.Random(f"{seed}/{kind}/{text.id}"))
        yield Truth(f"{text.id}+{kind}", kind, text.id, text.text), copy, text.source


def _garbage(collected: DatasetArtifact, config: DamageConfig) -> Iterator[Row]:
    for row in _collected_garbage(collected):
        yield Truth(row["id"], "random", row["id"], ""), row["text"], row["source"]
    for number in range(config.num_random_ideographs):
        name = f"random_ideographs:{number}"
        text = random_ideographs(random.Random(f"{config.seed}/{name}"))
        yield Truth(name, "random_ideographs", name, ""), text, "random_ideographs"


def _collected_garbage(collected: DatasetArtifact) -> Iterator[dict[str, Any]]:
    for path in shard_paths(collected):
        for table in read_tables(path):
            yield from (row for row in table.to_pylist() if row["planted"] == "random")
