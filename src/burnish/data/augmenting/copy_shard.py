"""Copy shard: what augmentation does to one shard: make copies, check each, write what passed and what did not."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from burnish.data.augmenting.copy_methods import Method, Words, make_copies, suffix_of
from burnish.data.augmenting.label_guard import LabelGuard
from burnish.data.augmenting.near_copy_check import Bounds, Copy, find_fault
from burnish.data.ledger import ledger_schema
from burnish.data.shard_parts import Row, write_parts
from burnish.data.shards import kept_schema, of_split, rejected_schema
from burnish.data.text import normal_form

STEP = "augment"
HELD_OUT = ("validation", "test")
FOLDERS = ("data", "rejected", "ledger")


@dataclass(frozen=True)
class CopyShard:
    """Write a shard's rows, each followed by its copies; of a held-out split the rows alone.

    Attributes:
        num_copies: of each method.
        labels: copy only records with these; None copies all.
        guard: of labels; None where there is none.
    """

    methods: tuple[Method, ...]
    num_copies: int
    labels: tuple[str, ...] | None
    bounds: Bounds
    words: Words
    guard: LabelGuard | None

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        """Read the shard, write `data`, `rejected`, `ledger` and the counts into the folder."""
        counts = Counter[str]()
        sums = [0.0, 0.0]
        counts["in"] = write_parts(
            shard,
            folder,
            dict(zip(FOLDERS, (kept_schema(), rejected_schema(), ledger_schema()), strict=True)),
            lambda rows: self._copy_table(rows, counts, sums),
            is_left=of_split(shard.name, HELD_OUT),
            advance=advance,
        )
        (folder / "counts.json").write_text(json.dumps({"counts": counts, "similarity": sums}), encoding="utf-8")

    def _copy_table(
        self, rows: list[Row], counts: Counter[str], sums: list[float]
    ) -> tuple[list[Row], list[Row], list[Row]]:
        """Give the rows with their copies, the refused copies with their reasons, and the ledger's rows."""
        chosen = [at for at, row in enumerate(rows) if self.labels is None or row["label"] in self.labels]
        counts["sources"] += len(chosen)
        made = make_copies([rows[at] for at in chosen], self.methods, self.num_copies, self.words)
        copies_of = dict(zip(chosen, made, strict=True))
        p_others = iter(self._p_others([(rows[at], text) for at, copies in copies_of.items() for _, text in copies]))
        kept, refused, decisions = list[Row](), list[Row](), list[Row]()
        for at, row in enumerate(rows):
            kept.append(row)
            earlier, numbers = set[str](), Counter[str]()
            for name, text in copies_of.get(at, ()):
                numbers[suffix_of(name)] += 1
                copy = _copied(row, text, name, f"{row['id']}+{suffix_of(name)}{numbers[suffix_of(name)]}")
                judged = Copy(row["id"], row["text"], text, next(p_others))
                fault, alike = find_fault(judged, earlier, self.bounds)
                if fault is None:
                    earlier.add(normal_form(copy["text"]))
                    kept.append(copy)
                    counts.update(("added", f"by_{name}"))
                    sums[0], sums[1] = sums[0] + alike, sums[1] + alike * alike
                    reason: Row = {"rule": name, "value": alike, "partner_id": row["id"], "similarity": alike}
                else:
                    reason = {key: getattr(fault, key) for key in fault.__slots__}
                    refused.append({**copy, **reason})
                    counts[f"refused_{fault.rule}"] += 1
                decisions.append({"id": copy["id"], "step": STEP, "kept": fault is None, **reason})
        return kept, refused, decisions

    def _p_others(self, copies: list[tuple[Row, str | None]]) -> list[float | None]:
        if self.guard is None:
            return [None] * len(copies)
        sources = [(row["text"], row["label"]) for row, _ in copies]
        return self.guard.p_others([row["id"] for row, _ in copies], sources, [text for _, text in copies])


def _copied(row: Row, text: str | None, method: str, identity: str) -> Row:
    """Make a copy's row: what its source has, and how it was made; it is no fault that the recipe planted."""
    meta = {**json.loads(row["meta"] or "{}"), "augmented": method, "of": row["id"]}
    changes = {"id": identity, "text": text or "", "planted": "", "meta": json.dumps(meta, ensure_ascii=False)}
    return {**row, **changes}
