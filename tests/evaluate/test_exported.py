"""Export parity: what it measures, what it refuses, and what is missing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.export.write import ExportConfig, Gguf, Onnx, export
from burnish.errors import BurnishError, MissingExtra, RecipeError
from burnish.evaluate.exported import ROWS, ExportParityConfig, _compare, check_export
from burnish.evaluate.runtimes import Runtime, open_exported
from burnish.runtime import Run
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import make_model, read_lines


def test_the_rows_are_kept_and_the_evidence_is_theirs(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    exported = run(export, base, config=ExportConfig(Onnx()))
    report = run(check_export, base, exported, headlines, config=ExportParityConfig(num_prompts=4, max_tokens=10))
    rows = read_lines(report.payload / ROWS)
    assert [row["num_tokens"] for row in rows] == [10] * 4
    worst = report.measurement("logit_difference_max")
    assert worst.value == max(row["difference"] for row in rows) < 1e-4
    mean = report.measurement("logit_difference")
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low <= mean.value <= mean.high <= worst.value
    assert report.measurement("top1_agreement_frac").n == 40
    assert report.measurement("within_tolerance_frac").value == 1


def test_another_model_is_far_away(run: Run, base: ModelArtifact, headlines: DatasetArtifact, tmp_path: Path) -> None:
    other = run(take_base, config=BaseConfig(LocalModel(make_model(tmp_path / "other", initializer_range=0.25))))
    exported = run(export, other, config=ExportConfig(Onnx()))
    report = run(check_export, base, exported, headlines, config=ExportParityConfig(num_prompts=2, max_tokens=6))
    assert report.measurement("logit_difference").value > 0.05
    assert report.measurement("within_tolerance_frac").value == 0
    assert report.measurement("kl_nats").value > 0.01


def test_tokens_that_a_runtime_does_not_tell_are_left_out() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32) * 3
    logprobs = logits - np.log(np.exp(logits.astype(np.float64)).sum(1, keepdims=True))
    told = np.full_like(logits, np.nan)
    best = np.argsort(-logits, axis=1)[:, :12]
    np.put_along_axis(told, best, np.take_along_axis(logprobs, best, 1), 1)
    row = _compare("a", range(5), lambda _: logits, Runtime("r", lambda _: told, lambda _: []), is_equal=True)
    assert row.difference < 1e-6
    assert row.kl_nats < 1e-9
    assert row.num_agreed == 5
    told[2, best[2, 0]] -= 9
    moved = _compare("a", range(5), lambda _: logits, Runtime("r", lambda _: told, lambda _: []), is_equal=True)
    assert moved.num_agreed == 4
    assert moved.difference > 0.5
    assert moved.kl_nats > 0.01


def test_a_folder_of_no_known_form_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    for folder in (tiny_model, tmp_path):
        with pytest.raises(BurnishError, match="is no export that can be checked"):
            open_exported(folder, max_tokens=8)


def test_a_runtime_that_is_missing_says_what_brings_it(
    run: Run, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = run(export, base, config=ExportConfig(Gguf()))
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r"xllamacpp is not installed; type: pip install 'burnish\[export\]'"):
        open_exported(exported.payload, max_tokens=8)


@pytest.mark.parametrize(
    ("changes", "words"), [({"num_prompts": 0}, "num_prompts is 0"), ({"tolerance": 1.0}, "tolerance is 1.0")]
)
def test_a_config_out_of_range_is_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        ExportParityConfig(**changes)  # type: ignore[arg-type]
