"""The grader: by hand on small truths, against plain definitions on drawn ones, and on a planted corpus."""

import importlib
import json
import random
from pathlib import Path
from typing import Any

import planted
import pyarrow as arrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

grading: Any = importlib.import_module("grade")
natural: Any = importlib.import_module("natural_copies")
defects: Any = importlib.import_module("corpus.defects")
text_grades: Any = importlib.import_module("grade_texts")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.corpus(tmp_path_factory.mktemp("corpus"))


def truth_of(corpus: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in grading.lines(corpus / "truth.jsonl")}


def small(folder: Path, *rows: tuple[str, str, str | None, float]) -> Path:
    """Write a truth of (id, kind, of, jaccard)."""
    keys = ("id", "kind", "of", "jaccard")
    lines = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


GROUP = (
    ("s", "clean", None, 0.0),
    ("e1", "exact", "s", 1.0),
    ("e2", "exact", "s", 1.0),
    ("f", "norm", "s", 1.0),
    ("n9", "near", "s", 0.9),
    ("n75", "near", "s", 0.75),
    ("n6", "near", "s", 0.6),
    ("other", "clean", None, 0.0),
    ("noise", "gibberish", None, 0.0),
)
EVERY = [row[0] for row in GROUP]
GOOD = [name for name in EVERY if name != "noise"]


# ---- by hand


@pytest.mark.parametrize(
    ("kept", "exact", "norm", "near", "lower"),
    [
        ("s other", [2, 2], [1, 1], [1, 1], [1, 1]),
        ("e2 other", [2, 2], [1, 1], [1, 1], [1, 1]),  # which one stays does not matter
        ("f other", [2, 2], [1, 1], [1, 1], [1, 1]),  # one in another form may stand for all
        ("n6 other", [2, 2], [1, 1], [1, 1], [1, 1]),
        ("s e1 other", [1, 2], [1, 1], [1, 1], [1, 1]),
        ("s f other", [2, 2], [0, 1], [1, 1], [1, 1]),
        ("s n9 other", [2, 2], [1, 1], [0, 1], [1, 1]),
        ("f n75 other", [2, 2], [1, 1], [1, 1], [0, 1]),
        ("n9 n75 other", [2, 2], [1, 1], [1, 1], [0, 1]),  # one of two near ones may stay: the nearer
        (" ".join(GOOD), [0, 2], [0, 1], [0, 1], [0, 1]),
    ],
)
def test_one_of_a_group_may_stay(
    tmp_path: Path, kept: str, exact: list[int], norm: list[int], near: list[int], lower: list[int]
) -> None:
    counts = grading.grade(small(tmp_path, *GROUP), kept.split(), GOOD)["counts"]
    assert counts["exact_recall"] == exact
    assert counts["norm_recall"] == norm
    assert counts["near_recall"] == near
    assert counts["near_recall_0.7_0.8"] == lower


def test_what_other_rules_removed_is_no_copy_to_be_found(tmp_path: Path) -> None:
    report = grading.grade(small(tmp_path, *GROUP), ["n9", "other"], ["n9", "n75", "other"])
    assert report["counts"]["exact_recall"] == [0, 0]
    assert report["exact_recall"] is None
    assert report["counts"]["near_recall"] == [0, 0]  # it may stay: nothing that it repeats was left
    assert report["counts"]["near_recall_0.7_0.8"] == [1, 1]
    assert report["counts"]["clean_lost_frac"] == [1, 2]
    assert report["gibberish_recall"] == 1.0


def test_without_the_reasons_what_needs_them_is_null(tmp_path: Path) -> None:
    report = grading.grade(small(tmp_path, *GROUP), ["s", "e1"])
    assert report["precision"] is None
    assert report["counts"]["exact_recall"] == [1, 2]
    assert report["counts"]["clean_lost_frac"] == [1, 1]  # `other`; `s` has copies, so its loss could be right
    assert "pii_masked" not in report


def test_ids_of_another_corpus_are_refused(tmp_path: Path) -> None:
    folder = small(tmp_path, *GROUP)
    with pytest.raises(SystemExit, match=r"1 ids are not of this corpus, the first is 'zzz'"):
        grading.grade(folder, ["s", "zzz"])
    with pytest.raises(SystemExit, match="not of this corpus"):
        grading.grade(folder, ["s"], EVERY, {"e1": "zzz"})


# ---- against plain definitions

subsets = st.tuples(st.sets(st.sampled_from(EVERY)), st.sets(st.sampled_from(EVERY))).map(lambda s: (s[0] & s[1], s[1]))


@given(subsets)
def test_recall_is_what_the_definition_says(sets: tuple[set[str], set[str]]) -> None:
    kept, live = sets
    group = grading.Group(["s", "e1", "e2"], ["f"], {"n9": 0.9, "n75": 0.75, "n6": 0.6})
    shares = grading.defaultdict(grading.Share)
    grading._grade_group(group, frozenset(kept), frozenset(live), shares)
    identical = {"s", "e1", "e2"}
    exact = shares["exact_recall"]
    assert exact.of == max(0, len(identical & live) - 1)
    assert exact.of - exact.num == max(0, len(identical & kept) - 1)
    for share in shares.values():
        assert 0 <= share.num <= share.of
    near = [shares[name] for *_, name in grading.BANDS]
    missed = sum(share.of - share.num for share in near)
    num_near = len({"n9", "n75", "n6"} & kept)
    assert missed == (num_near if (identical | {"f"}) & kept else max(0, num_near - 1))


@given(subsets, st.sampled_from(EVERY))
def test_removing_one_more_copy_never_lowers_a_recall(sets: tuple[set[str], set[str]], gone: str) -> None:
    kept, live = sets
    group = grading.Group(["s", "e1", "e2"], ["f"], {"n9": 0.9, "n75": 0.75, "n6": 0.6})
    both = []
    for left in (kept, kept - {gone}):
        shares = grading.defaultdict(grading.Share)
        grading._grade_group(group, frozenset(left), frozenset(live), shares)
        both.append(sum(share.num for share in shares.values()))
    assert both[1] >= both[0]


# ---- precision


def test_natural_copies_are_those_that_a_full_comparison_finds() -> None:
    rng = random.Random(3)
    texts = {f"d{n}": planted.english(rng, 60) if n % 2 else planted.chinese(rng, 120) for n in range(30)}
    vocabulary = {"en": ["other", "words"], "zh": list("其他词语")}
    for n in range(30):
        texts[f"c{n}"] = defects.edit(texts[f"d{n}"], rng.choice((0.02, 0.06, 0.12, 0.3)), rng, vocabulary)
    texts |= {"short1": "OK 好", "short2": "ok\n好", "short3": "no 好", "empty": "", "signs": "!!!"}
    everything = set(texts)
    full = {name for name in texts if any(defects.jaccard(texts[name], texts[o]) >= 0.5 for o in texts if o != name)}
    assert natural.with_a_copy(everything, {}, texts) == full
    assert 10 < len(full) < len(texts)


def test_a_named_partner_is_believed_only_as_far_as_the_texts_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(4)
    texts = {name: planted.chinese(rng, 200) for name in "ab"}
    texts["c"] = texts["a"] + "尾巴"
    monkeypatch.setattr(natural, "_candidates", lambda spans, texts: {name: [] for name in spans})
    assert natural.with_a_copy(["c", "b"], {"c": "a", "b": "a"}, texts) == {"c"}


def test_precision_counts_planted_and_natural_copies(corpus: Path) -> None:
    truth = truth_of(corpus)
    copies = [name for name, row in truth.items() if row["of"] is not None]
    sources = {row["of"] for row in truth.values()}
    strangers = [name for name, row in truth.items() if row["kind"] == "clean" and name not in sources][:3]
    kept = set(truth) - set(copies) - set(strangers)
    report = grading.grade(corpus, kept, list(truth))
    assert report["counts"]["precision"] == [len(copies), len(copies) + 3]


# ---- texts and the whole


def test_a_perfect_curation_and_none_at_all(corpus: Path) -> None:
    truth = truth_of(corpus)
    before = grading.corpus_texts(corpus)
    originals = {row["id"]: row["text"] for row in grading.lines(corpus / "originals.jsonl")}
    bad = {name for name, row in truth.items() if row["kind"] in ("gibberish", "short", "other_lang")}
    kept: dict[str, str] = {}
    for name, row in truth.items():
        if name not in bad and row["of"] is None:
            kept[name] = originals.get(name, before[name])
            for value in row.get("pii", {}).values():
                kept[name] = kept[name].replace(value, "<masked>")
    perfect = grading.grade(corpus, kept, set(truth) - bad)
    nothing = grading.grade(corpus, before, list(truth))
    assert nothing["precision"] is None
    names = [name for name in perfect if isinstance(perfect[name], float) and name != "precision"]
    assert len(names) == 11
    for name in names:
        ideal = 0.0 if name == "clean_lost_frac" else 1.0
        assert (perfect[name], nothing[name]) == (ideal, 0.0), name
    assert perfect["precision"] == 1.0
    assert set(perfect["pii_masked"].values()) == {1.0}
    assert set(nothing["pii_masked"].values()) == {0.0}


@pytest.mark.parametrize(
    ("text", "original", "wrong"),
    [
        ("cafÃ©", "café", 3),
        ("“café” ，好", '"café",  好', 0),  # quotes, width and spaces are no faults
        ("hello header café", "café", 0),  # nor are other words
        ("a<b>\u200bé", "aé", 3),
        ("", "好好", 2),
    ],
)
def test_wrong_characters_are_counted(text: str, original: str, wrong: int) -> None:
    assert text_grades.num_wrong(text, original) == wrong


def test_a_fault_that_changed_nothing_is_not_graded() -> None:
    rows = [{"id": "a", "how": "as cp1252", "text": "plain"}, {"id": "b", "how": "as cp1252", "text": "é"}]
    assert list(text_grades.restored(rows, {"a": "plain", "b": "é"}, {"a": "plain", "b": "Ã©"})) == [
        ("as cp1252", True)
    ]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "folder", "txt"])
def test_the_command_reads_what_tools_write(
    corpus: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = truth_of(corpus)
    kept = [{"id": name, "text": "masked"} for name, row in truth.items() if row["of"] is None]
    path = tmp_path / f"kept.{form}" if form != "folder" else tmp_path / "kept"
    match form:
        case "jsonl":
            path.write_text("".join(f"{json.dumps(row)}\n" for row in kept), encoding="utf-8")
        case "parquet":
            arrow.parquet.write_table(arrow.Table.from_pylist(kept), path)
        case "folder":
            (path / "data").mkdir(parents=True)
            for number, part in enumerate((kept[:50], kept[50:])):
                arrow.parquet.write_table(arrow.Table.from_pylist(part), path / "data" / f"{number}.parquet")
        case "txt":
            path.write_text("\n".join(str(row["id"]) for row in kept))
    filtered, partners = tmp_path / "filtered.txt", tmp_path / "partners.jsonl"
    filtered.write_text("\n".join(truth))
    partners.write_text("".join(json.dumps({"id": n, "partner_id": r["of"]}) + "\n" for n, r in truth.items()))
    grading.main(
        ["--corpus", str(corpus), "--kept", str(path), "--filtered", str(filtered), "--partners", str(partners)]
    )
    report = json.loads(capsys.readouterr().out)
    assert report["exact_recall"] == report["near_recall"] == report["precision"] == 1.0
    assert ("pii_masked" in report) == (form != "txt")


def test_a_file_of_no_known_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.csv").write_text("id\n")
    with pytest.raises(SystemExit, match=r"kept.csv ends in '.csv'; give .jsonl, .parquet, .txt or a folder"):
        list(grading.rows(tmp_path / "kept.csv"))
