"""Speculative decoding: the teacher's own tokens, however good the student, and counts that add up."""

from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import RecipeError
from burnish.evaluate import speculative
from burnish.evaluate.speculative import READINGS, DraftConfig, Speculated, measure_draft, speculate
from burnish.nn.weights import open_model
from burnish.runtime import Run
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import HEADLINES, make_model, read_lines, sealed_records

PROMPT = [5, 17, 90, 33, 41]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {
        "teacher": make_model(root / "teacher", "qwen3", num_hidden_layers=3),
        "other": make_model(root / "other", num_hidden_layers=1, vocab_size=328),
        "near": make_model(root / "near", "qwen3", num_hidden_layers=3),
    }
    near = open_model(made["near"], precision="fp32")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in near.parameters():
            parameter += 0.03 * parameter.std() * torch.randn_like(parameter) if parameter.ndim > 1 else 0
    near.save_pretrained(made["near"])
    return made


@pytest.mark.parametrize("num_draft", [1, 3, 8])
@pytest.mark.parametrize("student", ["teacher", "near", "other"])
def test_the_output_is_the_teachers_own(folders: dict[str, Path], student: str, num_draft: int) -> None:
    teacher, drafter = (open_model(folders[name], precision="fp32") for name in ("teacher", student))
    given = torch.tensor([PROMPT])
    expected = teacher.generate(
        given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=40,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )[0, len(PROMPT) :].tolist()
    made = speculate(teacher, drafter, PROMPT, num_draft=num_draft, max_tokens=40, stop=-1)
    assert made.tokens == expected
    assert made.num_accepted + made.num_steps == len(made.tokens) == 40
    if student == "teacher":
        assert made.num_accepted == made.num_drafted
        assert made.num_steps == -(-40 // (num_draft + 1))
    stop = expected[7]
    ended = speculate(teacher, drafter, PROMPT, num_draft=num_draft, max_tokens=40, stop=stop)
    assert ended.tokens == expected[: expected.index(stop) + 1]
    begun = speculate(teacher, drafter, PROMPT, num_draft=num_draft, max_tokens=40, stop=PROMPT[-1])
    assert begun.tokens  # what begins a document may be what ends one; it has ended nothing yet


def test_a_near_student_is_accepted_more_often(folders: dict[str, Path]) -> None:
    teacher, near, other = (open_model(folders[name], precision="fp32") for name in ("teacher", "near", "other"))
    counts = [speculate(teacher, each, PROMPT, num_draft=3, max_tokens=40, stop=-1) for each in (near, other)]
    assert counts[0].num_accepted > counts[1].num_accepted
    assert counts[0].num_steps < counts[1].num_steps


def test_the_stage_measures_acceptance(run: Run, folders: dict[str, Path], headlines: DatasetArtifact) -> None:
    teacher, near = (run(take_base, config=BaseConfig(LocalModel(folders[name]))) for name in ("teacher", "near"))
    config = DraftConfig(prompt_tokens=6, max_tokens=12, num_draft_tokens=3)
    report = run(measure_draft, teacher, near, headlines, config=config)
    rows = read_lines(report.payload / READINGS)
    assert len(rows) == 6
    accepted = report.measurement("acceptance_frac")
    assert accepted.value == sum(r["num_accepted"] for r in rows) / sum(r["num_drafted"] for r in rows)
    assert accepted.low is not None
    assert accepted.high is not None
    assert accepted.low <= accepted.value <= accepted.high
    assert report.measurement("identical_frac").value == 1
    steps = report.measurement("tokens_per_step").value
    assert steps == pytest.approx(report.measurement("accepted_tokens_per_step").value + 1, abs=0.35)
    assert report.measurement("speedup").value > 0


class Clock:
    """A clock that continuations alone move: with a student 1 s, without 2, but the first of all 1,000."""

    def __init__(self) -> None:
        self.now_s, self.has_student = 0.0, list[bool]()

    def perf_counter(self) -> float:
        return self.now_s

    def speculate(self, teacher: Any, student: Any, prompt: Any, **options: Any) -> Speculated:
        self.now_s += (1.0 if student is not None else 2.0) if self.has_student else 1000.0
        self.has_student.append(student is not None)
        return speculate(teacher, student, prompt, **options)


@pytest.mark.parametrize("num_documents", [1, 3])
def test_times_are_taken_warm_and_in_turns_and_one_document_claims_no_interval(
    run: Run, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, num_documents: int
) -> None:
    clock = Clock()
    monkeypatch.setattr(speculative, "time", clock)
    monkeypatch.setattr(speculative, "speculate", clock.speculate)
    rows = [{"id": f"d{n}", "text": text, "label": None} for n, (text, _) in enumerate(HEADLINES[:num_documents])]
    teacher, near = (run(take_base, config=BaseConfig(LocalModel(folders[name]))) for name in ("teacher", "near"))
    config = DraftConfig(prompt_tokens=4, max_tokens=3, num_draft_tokens=1, num_repeats=2)
    report = run(measure_draft, teacher, near, sealed_records(run, {"test": rows}), config=config)
    assert clock.has_student == [True, False, False, True] * (1 + num_documents)
    speedup = report.measurement("speedup")
    assert (speedup.value, speedup.n) == (2.0, num_documents)
    assert (speedup.low, speedup.high) == ((2.0, 2.0) if num_documents > 1 else (None, None))
    assert (report.measurement("tokens_per_step").low is None) == (num_documents == 1)


def test_other_tokens_are_refused(run: Run, base: ModelArtifact, headlines: DatasetArtifact, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "other")
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"<|im_end|>"', '"<|fin|>"'))
    other = run(take_base, config=BaseConfig(LocalModel(folder)))
    with pytest.raises(RecipeError, match="tokenizers differ"):
        run(measure_draft, base, other, headlines, config=DraftConfig())
    for wrong in ("num_draft_tokens", "prompt_tokens", "max_tokens", "num_documents", "num_repeats"):
        with pytest.raises(RecipeError, match=wrong):
            DraftConfig(**{wrong: 0})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="prompt_tokens is 1; it must be at least 2"):
        DraftConfig(prompt_tokens=1)
