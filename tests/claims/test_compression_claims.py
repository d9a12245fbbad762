"""C1 to C5, C8 and Z2: readings are set beside the whole model's on the same documents, each figure finds its measurement."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims import all_claims
from burnish.claims.bench import FormsConfig, evidence_of
from burnish.claims.c1_pruning import CLAIM as C1
from burnish.claims.c1_pruning import measure_pruning
from burnish.claims.c2_qat import CLAIM as C2
from burnish.claims.c2_qat import measure_qat
from burnish.claims.c3_matrix import CLAIM as C3
from burnish.claims.c3_matrix import measure_matrix
from burnish.claims.c4_four_bit_inputs import CLAIM as C4
from burnish.claims.c4_four_bit_inputs import measure_four_bit_inputs, read_rounded, round_inputs
from burnish.claims.c5_distillation import CLAIM as C5
from burnish.claims.c5_distillation import measure_student
from burnish.claims.c8_search import CLAIM as C8
from burnish.claims.c8_search import measure_search
from burnish.claims.claim import READING, Verdict, judge
from burnish.claims.forms import DOCUMENTS, Document, ReadConfig, compared, read_form, read_with
from burnish.claims.given_recipe import given_recipe
from burnish.claims.z2_chain import CLAIM as Z2
from burnish.claims.z2_chain import measure_chain
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.errors import BurnishError, RecipeError
from burnish.evaluate.logits import logits_of, model_logits
from burnish.loop.chain import ChainRecipe
from burnish.loop.optimize_chain import OptimizeRecipe
from burnish.nn.weights import open_model
from burnish.runtime import Run, Workdir
from conftest import read_lines

FEW = ReadConfig(num_documents=4, max_tokens=16)


def documents(out: Workdir, *, config: list[int]) -> Draft[ReportArtifact]:
    """Stand for a reading: so many of ten tokens right in each document, a nat less for each."""
    read = [Document(str(at), 10, right, float(10 - right)) for at, right in enumerate(config)]
    (out / DOCUMENTS).write_text("".join(json.dumps(asdict(each)) + "\n" for each in read))
    return Draft(ReportArtifact, (), "")


def raced(out: Workdir, *, config: float) -> Draft[ReportArtifact]:
    """Stand for a race."""
    (out / "loads.json").write_text("[]")
    names = ("speed_ratio", "latency_saved_frac", "cost_saved_frac", "size_ratio", "size_saved_frac")
    return Draft(ReportArtifact, tuple(Measurement(name, config, "1", 3, config, config) for name in names), "")


def forms(run: Run, *rights: list[int]) -> list[ReportArtifact]:
    """Read the whole model (seven of ten right) and some forms, and race each form."""
    made = [run(documents, config=[7, 7, 7])]
    for at, right in enumerate(rights):
        made += [run(documents, config=right), run(raced, config=2.5 + at)]
    return made


def test_a_form_is_set_beside_the_whole_model_document_by_document(run: Run) -> None:
    whole, form = run(documents, config=[7, 7, 7]), run(documents, config=[7, 6, 5])
    change, kept = compared(whole, form, seed=0)
    assert change.value == pytest.approx(-0.1)
    assert change.low is not None
    assert change.high is not None
    assert -0.2 <= change.low < change.value < change.high <= 0
    assert kept.value == pytest.approx(np.exp(-0.1))
    with pytest.raises(RecipeError, match="read other documents"):
        compared(whole, run(documents, config=[7, 7]), seed=0)
    with pytest.raises(RecipeError, match="2 reports for 1 forms"):
        evidence_of(("a",), [whole, form], seed=0)


@pytest.mark.parametrize(
    ("claim", "stage", "names"),
    [(C1, measure_pruning, 2), (C2, measure_qat, 1), (C3, measure_matrix, 3)],
)
def test_every_figure_finds_its_measurement(run: Run, claim: Any, stage: Any, names: int) -> None:
    found = run(stage, *forms(run, *[[7, 6, 7]] * names), config=FormsConfig())
    for figure in claim.figures:
        verdict, _ = judge(figure, found.measurement(figure.name))
        if figure.name.endswith("next_token_change_frac"):
            assert verdict in (Verdict.FALLS_SHORT, Verdict.UNDECIDED)
    assert found.read_json(READING)["claim"] == claim.id
    assert claim in all_claims()


def test_the_last_form_of_the_matrix_is_the_last_reading(run: Run) -> None:
    found = run(measure_matrix, *forms(run, [7, 7, 7], [7, 6, 7], [5, 5, 5]), config=FormsConfig())
    changes = [found.measurement(f"{name}_next_token_change_frac").value for name in ("int8", "dynamic", "hybrid")]
    assert changes == pytest.approx([0, -1 / 30, -0.2])
    assert [found.measurement(f"{name}_speed_ratio").value for name in ("int8", "dynamic", "hybrid")] == [2.5, 3.5, 4.5]


def test_c5_has_the_drafts_too(run: Run) -> None:
    found = run(measure_student, *forms(run, [6, 6, 6]), run(raced, config=9.0), config=FormsConfig())
    assert found.measurement("student_next_token_change_frac").value == pytest.approx(-0.1)
    assert found.measurement("speed_ratio").value == 9  # what stands for the draft's evidence
    assert {figure.name for figure in C5.figures} <= {each.name for each in found.evidence}


def test_c4_reads_with_inputs_of_four_bits(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    model = open_model(base.payload, precision="fp32")
    exact = logits_of(model)([1, 5, 9])
    round_inputs(model, 4)
    assert np.abs(logits_of(model)([1, 5, 9]) - exact).max() > 1e-3
    whole = run(read_plain, base, headlines, config=FEW)
    rounded = run(read_rounded, base, headlines, config=FEW)
    nats = [sum(row["nats"] for row in read_lines(each.payload / DOCUMENTS)) for each in (whole, rounded)]
    assert nats[0] != nats[1]
    found = run(measure_four_bit_inputs, whole, rounded, config=FormsConfig())
    assert judge(C4.figures[0], found.measurement(C4.figures[0].name))[0] is not Verdict.NOT_MEASURED


def read_plain(
    out: Workdir, form: ModelArtifact, data: DatasetArtifact, *, config: ReadConfig
) -> Draft[ReportArtifact]:
    return read_with(out, model_logits(form.payload), form, data, config)


def test_the_engine_reads_what_transformers_reads(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    exact = ReadConfig(num_documents=4, max_tokens=16, arithmetic="exact")
    engine = run(read_form, run(export, base, config=ExportConfig(Openvino())), headlines, config=exact)
    plain = run(read_plain, base, headlines, config=exact)
    ours, theirs = (read_lines(each.payload / DOCUMENTS) for each in (engine, plain))
    assert [each["nats"] for each in ours] == pytest.approx([each["nats"] for each in theirs], rel=1e-3)
    assert [each["num_tokens"] for each in ours] == [each["num_tokens"] for each in theirs]
    assert engine.measurement("next_token_accuracy").n == sum(each["num_tokens"] for each in ours)


def page(out: Workdir, *, config: dict[str, Any]) -> Draft[ReportArtifact]:
    """Stand for a search's page."""
    (out / "report.json").write_text(json.dumps(config))
    return Draft(ReportArtifact, (Measurement("text_kept_frac", 0.93, "1", 24, 0.91, 0.95),), "")


def test_c8_is_the_answer_in_turn_with_the_base(run: Run) -> None:
    rows = [{"number": 0, "words": "base"}, {"number": 2, "words": "int4"}]
    found_page = run(page, config={"answer": {"number": 2}, "candidates": rows})
    found = run(measure_search, found_page, run(raced, config=3.5), found_page, config=FormsConfig())
    verdicts = {figure.name: judge(figure, found.measurement(figure.name))[0] for figure in C8.figures}
    assert verdicts["answer_speed_ratio"] is verdicts["answer_text_kept_frac"] is Verdict.HOLDS
    assert "the answer is int4" in found.read_json(READING)["setting"]
    empty = run(page, config={"answer": None, "candidates": []})
    with pytest.raises(BurnishError, match="found nothing within its limits"):
        run(measure_search, empty, run(raced, config=3.5), found_page, config=FormsConfig())


def test_recipes_of_claims_are_those_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_recipe(ChainRecipe, "recipes/quickstart.yaml", seed=3).train.seed == 3
    assert given_recipe(OptimizeRecipe, "recipes/optimize/quickstart.yaml").seed == 17
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"there is no recipes/quickstart.yaml in .*; run this claim in"):
        given_recipe(ChainRecipe, "recipes/quickstart.yaml")


def test_z2_is_read_from_what_the_chain_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(name: str, **values: float) -> ReportArtifact:
        def stage(out: Workdir, *, config: str) -> Draft[ReportArtifact]:
            (out / "x").write_text(config)
            rows = tuple(Measurement(key, value, "1", 9, 0.9 * value, 1.1 * value) for key, value in values.items())
            return Draft(ReportArtifact, rows, "")

        stage.__qualname__ = name
        return run(stage, config=name)

    from burnish.claims import z2_chain

    artifacts = [
        made("load_generate", throughput_tokens_per_s=10, latency_p50_ms=100),
        made("load_served", throughput_tokens_per_s=40, latency_p50_ms=30),
        made("score_model", accuracy_frac=0.4),
        made("score_served", accuracy_frac=0.8),
    ]
    for name in ("load_generate", "load_served", "score_model", "score_served"):
        stand_in = type(name, (), {})
        stand_in.__module__, stand_in.__qualname__ = __name__, name
        monkeypatch.setattr(z2_chain, name, stand_in)
    found = run(measure_chain, made("page"), *artifacts, config=FormsConfig())
    speed = found.measurement("chain_speed_ratio")
    assert (speed.value, speed.low, speed.high) == pytest.approx((4, 36 / 11, 44 / 9))
    assert found.measurement("chain_latency_saved_frac").value == pytest.approx(0.7)
    assert found.measurement("chain_cost_saved_frac").value == pytest.approx(0.75)
    assert found.measurement("chain_accuracy_change_frac").value == pytest.approx(0.4)
    assert found.measurement("chain_three_days_ratio").value > 1
    assert judge(Z2.figures[0], speed)[0] is Verdict.HOLDS
