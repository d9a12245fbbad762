import shutil
from pathlib import Path

import pytest
from small_chain import Fit, SmallRecipe, small_chain

from burnish.artifacts import Artifact, Measurement, Store
from burnish.cli.compare import rows
from burnish.cli.main import burnish, exit_code
from burnish.runtime import Run
from burnish.runtime.events import EventLog


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "store"
    run = Run(Store(root), EventLog(root / "runs" / "test.jsonl"))
    small_chain(run, SmallRecipe())
    small_chain(run, SmallRecipe(fit=Fit(num_steps=60)))
    return root


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    return Path(shutil.copytree(made, tmp_path / "store"))


def type_command(*arguments: object) -> int:
    typed = [str(argument) for argument in arguments]
    return exit_code(lambda: burnish.main(typed, prog_name="burnish", standalone_mode=False))


def of_kind(store: Path, kind: str) -> list[Artifact]:
    return [artifact for artifact in Store(store).all() if artifact.kind == kind]


def test_the_list_names_every_artifact(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("show", "--store", store) == 0
    shown = capsys.readouterr().out
    for artifact in Store(store).all():
        assert artifact.digest[:12] in shown
    assert len(shown.splitlines()) == 1 + 5
    assert " B" in shown


def test_one_artifact_shows_card_evidence_and_lineage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = of_kind(store, "report")[0]
    assert type_command("show", report.digest[:8], "--store", store) == 0
    shown = capsys.readouterr().out
    assert "The line." in shown
    assert "kept_frac" in shown
    assert "0.7639 – 0.9911" in shown
    assert "Wilson 95 %" in shown
    assert "peak memory" in shown
    assert str(report.payload) in shown
    data, model = (parent.digest[:12] for parent in report.manifest.parents)
    tree = shown[shown.index("page · report", shown.index("payload")) :]
    assert tree.count(data) == 2  # of the report, and of the model that the report came from
    assert tree.count(model) == 1
    assert "(above)" in tree


def test_the_lineage_alone(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = of_kind(store, "report")[0]
    assert type_command("show", report.digest, "--lineage", "--store", store) == 0
    shown = capsys.readouterr().out
    assert "Wilson" not in shown
    assert "└── fit · model" in shown


def test_an_ancestor_that_was_deleted_is_named_as_such(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = of_kind(store, "report")[0]
    shutil.rmtree(store / "model" / report.manifest.parents[1].digest)
    assert type_command("show", report.digest, "--lineage", "--store", store) == 0
    assert "not in this store" in capsys.readouterr().out


def test_verify_hashes_what_is_shown_and_what_it_came_from(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = of_kind(store, "report")[0]
    assert type_command("show", report.digest, "--verify", "--store", store) == 0
    assert "verified: 3 artifacts" in capsys.readouterr().out
    model = store / "model" / report.manifest.parents[1].digest
    (model / "payload/slope.json").write_text("9")
    assert type_command("show", report.digest, "--store", store) == 0  # the report itself is as it was
    assert type_command("show", report.digest, "--verify", "--store", store) == 1
    assert "slope.json was altered" in capsys.readouterr().err
    assert type_command("show", "--verify", "--store", store) == 1


def test_verify_sees_a_parent_that_is_not_the_one_that_was_read(
    store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The model was made anew with other bytes, as a stage that is not deterministic would."""
    report = of_kind(store, "report")[0]
    assert report.path is not None
    manifest = report.manifest
    body = (report.path / "manifest.json").read_text()
    other = body.replace(manifest.parents[1].payload_digest, "0" * 64)
    assert other != body
    rewritten = type(manifest)(
        **{**manifest.__dict__, "parents": (manifest.parents[0], _replaced(manifest.parents[1]))}
    )
    rewritten.write(report.path / "manifest.json")
    assert type_command("show", report.digest, "--verify", "--store", store) == 1
    assert "was made from another payload of model" in capsys.readouterr().err


def _replaced(parent: object) -> object:
    return type(parent)(**{**parent.__dict__, "payload_digest": "0" * 64})


@pytest.mark.parametrize(
    ("reference", "message"),
    [("ffff", "no artifact 'ffff'"), ("abc", "no artifact 'abc'"), ("/nowhere", "no artifact")],
)
def test_a_wrong_reference_is_one_sentence(
    store: Path, reference: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_command("show", reference, "--store", store) == 1
    assert message in (shown := capsys.readouterr().err)
    assert len(shown.splitlines()) == 1


def test_no_store_is_said_and_none_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("show", "--store", tmp_path / "none") == 1
    assert "there is no store at" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_store_may_be_named_by_the_environment(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BURNISH_STORE", str(store))
    assert type_command("show") == 0
    assert "report" in capsys.readouterr().out


def test_compare_on_the_command_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = of_kind(store, "model")
    assert type_command("compare", first.digest[:8], second.digest[:8], "--store", store) == 0
    shown = capsys.readouterr().out
    assert "slope" in shown
    assert first.label in shown
    assert second.label in shown


class Measured(Artifact):
    """An artifact with evidence in hand, for the arithmetic of the comparison."""

    def __init__(self, *evidence: Measurement) -> None:
        super().__init__("a" * 64, "room.stage", None)
        self.__dict__["evidence"] = evidence


def m(value: float, low: float | None = None, high: float | None = None, unit: str = "1") -> Measurement:
    return Measurement("x", value, unit, 10, low, high)


@pytest.mark.parametrize(
    ("a", "b", "difference", "verdict"),
    [
        (m(0.5, 0.4, 0.6), m(0.8, 0.7, 0.9), "+0.3 (+60.0%)", "apart"),
        (m(0.8, 0.7, 0.9), m(0.5, 0.4, 0.6), "-0.3 (-37.5%)", "apart"),
        (m(0.5, 0.4, 0.6), m(0.6, 0.5, 0.7), "+0.1 (+20.0%)", "overlap"),
        (m(0.5, 0.4, 0.6), m(0.7, 0.6, 0.8), "+0.2 (+40.0%)", "overlap"),
        (m(0), m(3), "+3", "no interval"),
        (m(3), m(3), "+0 (+0.0%)", "equal"),
        (m(-2), m(-1), "+1 (+50.0%)", "no interval"),
        (m(3, unit="ms"), m(3, unit="s"), "", "not comparable: ms and s"),
    ],
)
def test_differences_and_intervals(a: Measurement, b: Measurement, difference: str, verdict: str) -> None:
    assert rows(Measured(a), Measured(b)) == [("x", str(a), str(b), difference, verdict)]


def test_what_only_one_has_is_said() -> None:
    a, b = Measurement("only_a", 1, "1", 1), Measurement("only_b", 2, "1", 1)
    assert rows(Measured(a), Measured(b)) == [
        ("only_a", "1", "", "", "only in A"),
        ("only_b", "", "2", "", "only in B"),
    ]
