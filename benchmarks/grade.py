"""Grade what a curation kept against the truth of its corpus; any tool can be graded from the ids that it kept.

    python benchmarks/grade.py --corpus DIR --kept KEPT [--filtered FILE] [--partners FILE]

DIR was written by make_corpus.py. KEPT is a folder (or one file) of JSONL or Parquet with `id` and, where texts are to
be graded too, `text`; or a .txt file of ids. FILE of --filtered lists the ids that no rule but those against copies
removed, one a line; --partners (JSONL or Parquet with `id`, `partner_id`) says what a removed copy repeats.

What is measured; every share comes with its count. A document is *live* if it is in `filtered`, or every document
where that is not known: then removals for any reason count as caught, and what needs the reason is null.

exact_recall: a document and its byte-identical copies are a group, of which one may stay. Of the live others, the
    share that went: 1 - sum(kept - 1) / sum(live - 1).
norm_recall: the same for copies that differ in case, spacing, width or Unicode form: one may stay only if its whole
    byte-identical group went.
near_recall: of the live edited copies whose runs of five tokens (Chinese characters or words) have a Jaccard
    similarity of at least 0.8 with the document that they copy, the share that went; one may stay where that
    document and all its identical copies went. near_recall_0.7_0.8 and near_recall_0.5_0.7: likewise, lower bands.
precision: of the documents removed as copies (live, not kept), the share that were planted in a group of copies, or
    whose runs of five tokens have a Jaccard similarity of at least 0.5 with another document of the corpus.
gibberish_recall, short_recall, other_lang_recall: the share of such documents that went, whatever the reason.
clean_lost_frac: of the clean documents, the share removed by other rules than those against copies; where the reason
    is not known, of the clean documents that nothing copies, the share that went.
pii_masked: of the planted values in kept documents, by kind, the share that their texts no longer hold.
mojibake_repaired_frac, markup_cleaned_frac: of such documents that were kept, the share of which nine tenths of the
    wrong characters are right again. mojibake_repaired tells ways apart; where bytes were lost, nothing can restore
    them, and the overall share leaves those out.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from grade_texts import masked, restored
from natural_copies import with_a_copy

BANDS = ((0.8, 1.01, "near_recall"), (0.7, 0.8, "near_recall_0.7_0.8"), (0.5, 0.7, "near_recall_0.5_0.7"))


@dataclass
class Share:
    """Count cases."""

    num: int = 0
    of: int = 0

    def add(self, num: int, of: int) -> None:
        """Add cases."""
        self.num += num
        self.of += of

    @property
    def frac(self) -> float | None:
        """Give the share; None of no cases."""
        return self.num / self.of if self.of else None


@dataclass(frozen=True)
class Group:
    """A document and its copies: ids of the byte-identical, of those equal in another form, and near ones by Jaccard."""

    identical: list[str] = field(default_factory=list)
    norm: list[str] = field(default_factory=list)
    near: dict[str, float] = field(default_factory=dict)

    def members(self) -> list[str]:
        """Give all ids."""
        return [*self.identical, *self.norm, *self.near]


def grade(
    folder: Path,
    kept: Mapping[str, str] | Collection[str],
    filtered: Collection[str] | None = None,
    partners: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Grade one curation; see the head of this file for what each figure is.

    Args:
        folder: of the corpus.
        kept: ids of what was kept, with their texts where those are to be graded.
        filtered: ids that no rule but those against copies removed; None = not known.
        partners: of removed copies, the document that each repeats, where the tool says so; saves a search.
    """
    truth = {row["id"]: row for row in lines(folder / "truth.jsonl")}
    for ids in (kept, filtered or (), partners or (), (partners or {}).values()):
        _refuse_strangers(truth, ids)
    stayed = frozenset(kept)
    live = frozenset(truth) if filtered is None else stayed | frozenset(filtered)
    groups = groups_of(truth.values())
    shares: dict[str, Share] = defaultdict(Share)
    for group in groups.values():
        _grade_group(group, stayed, live, shares)
    for kind in ("gibberish", "short", "other_lang"):
        ids = [name for name, row in truth.items() if row["kind"] == kind]
        shares[f"{kind}_recall"].add(sum(name not in kept for name in ids), len(ids))
    clean = [name for name, row in truth.items() if row["kind"] == "clean"]
    if filtered is None:
        alone = [name for name in clean if name not in groups]
        shares["clean_lost_frac"].add(sum(name not in kept for name in alone), len(alone))
        shares["precision"].add(0, 0)
    else:
        shares["clean_lost_frac"].add(sum(name not in live for name in clean), len(clean))
        shares["precision"] = _precision(folder, groups, live - stayed, partners or {})
    if isinstance(kept, Mapping):
        _grade_texts(folder, truth, kept, shares)
    return _report(shares)


def groups_of(truth: Iterable[Mapping[str, Any]]) -> dict[str, Group]:
    """Gather the planted groups by the id of the document that is copied."""
    groups: dict[str, Group] = {}
    for row in truth:
        if row["of"] is not None:
            group = groups.setdefault(row["of"], Group([row["of"]]))
            match row["kind"]:
                case "exact":
                    group.identical.append(row["id"])
                case "norm":
                    group.norm.append(row["id"])
                case _:
                    group.near[row["id"]] = row["jaccard"]
    return groups


def _grade_group(group: Group, kept: frozenset[str], live: frozenset[str], shares: dict[str, Share]) -> None:
    identical_live, identical_kept = (sum(name in ids for name in group.identical) for ids in (live, kept))
    of = max(0, identical_live - 1)
    shares["exact_recall"].add(of - max(0, identical_kept - 1), of)
    norm_live, norm_kept = (sum(name in ids for name in group.norm) for ids in (live, kept))
    of = norm_live - (norm_live > 0 and identical_live == 0)
    shares["norm_recall"].add(of - norm_kept + (norm_kept > 0 and identical_kept == 0), of)
    has_base_live, has_base_kept = identical_live + norm_live > 0, identical_kept + norm_kept > 0
    near_live = _near(group, live, may_one_stay=not has_base_live)
    near_missed = _near(group, kept, may_one_stay=not has_base_kept)
    for least, below, name in BANDS:
        of = sum(least <= jaccard < below for jaccard in near_live)
        shares[name].add(of - sum(least <= jaccard < below for jaccard in near_missed), of)


def _near(group: Group, ids: frozenset[str], *, may_one_stay: bool) -> list[float]:
    """Give the similarities of the group's near copies among `ids`, without the one that may stand for the group."""
    found = sorted(jaccard for name, jaccard in group.near.items() if name in ids)
    return found[:-1] if may_one_stay else found


def _precision(
    folder: Path, groups: Mapping[str, Group], removed: frozenset[str], partners: Mapping[str, str]
) -> Share:
    planted = {name for group in groups.values() for name in group.members()}
    doubtful = removed - planted
    right = len(removed) - len(doubtful)
    if doubtful:
        right += len(with_a_copy(doubtful, partners, corpus_texts(folder)))
    return Share(right, len(removed))


def _grade_texts(folder: Path, truth: Mapping[str, Any], kept: Mapping[str, str], shares: dict[str, Share]) -> None:
    for kind, is_masked in masked(truth.values(), kept):
        shares[f"pii_masked/{kind}"].add(is_masked, 1)
    if not (folder / "originals.jsonl").exists():
        return  # a corpus of the generator's first version
    for how, is_restored in restored(lines(folder / "originals.jsonl"), kept, corpus_texts(folder)):
        if how == "markup":
            shares["markup_cleaned_frac"].add(is_restored, 1)
            continue
        shares[f"mojibake_repaired/{how}"].add(is_restored, 1)
        if how != "lost bytes":
            shares["mojibake_repaired_frac"].add(is_restored, 1)


def _report(shares: Mapping[str, Share]) -> dict[str, Any]:
    """Lay the shares out, those of a kind (`pii_masked/email`) in a place of their own; counts stand beside."""
    report: dict[str, Any] = {}
    for name, share in shares.items():
        head, _, kind = name.partition("/")
        if kind:
            report.setdefault(head, {})[kind] = share.frac
        else:
            report[head] = share.frac
    return {**report, "counts": {name: [share.num, share.of] for name, share in shares.items()}}


def _refuse_strangers(truth: Mapping[str, Any], ids: Iterable[str]) -> None:
    strange = sorted(name for name in ids if name not in truth)
    if strange:
        raise SystemExit(f"{len(strange)} ids are not of this corpus, the first is {strange[0]!r}; was it another one?")


def lines(path: Path) -> Iterator[Any]:
    """Read JSON lines."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


@cache
def corpus_texts(folder: Path) -> Mapping[str, str]:
    """Read the corpus: id -> text."""
    return {row["id"]: row["text"] for path in sorted(folder.glob("jsonl/*.jsonl")) for row in lines(path)}


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read rows from a .jsonl or .parquet file, or from all of them in a folder; or ids from a .txt file."""
    match path.suffix if path.is_file() else "folder":
        case ".jsonl":
            yield from lines(path)
        case ".parquet":
            import pyarrow.parquet

            yield from pyarrow.parquet.read_table(path).to_pylist()
        case ".txt":
            yield from ({"id": name} for name in path.read_text(encoding="utf-8").split())
        case "folder":
            for part in sorted((*path.rglob("*.jsonl"), *path.rglob("*.parquet"))):
                yield from rows(part)
        case suffix:
            raise SystemExit(f"{path} ends in {suffix!r}; give .jsonl, .parquet, .txt or a folder of the first two")


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments and print the grades as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--kept", required=True, type=Path)
    parser.add_argument("--filtered", type=Path)
    parser.add_argument("--partners", type=Path)
    given = parser.parse_args(arguments)
    kept = list(rows(given.kept))
    has_texts = bool(kept) and all("text" in row for row in kept)
    partners = {row["id"]: row["partner_id"] for row in rows(given.partners)} if given.partners else {}
    report = grade(
        given.corpus,
        {row["id"]: row["text"] for row in kept} if has_texts else [row["id"] for row in kept],
        None if given.filtered is None else [row["id"] for row in rows(given.filtered)],
        {name: partner for name, partner in partners.items() if partner is not None},
    )
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
