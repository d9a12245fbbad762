"""M3's set and its reading, on tiny texts and stand-in models; the whole claim runs in `burnish claims M3`."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.claims import m3_multitask
from burnish.claims.m3_multitask import CLAIM, TASKS, MultitaskClaimConfig, TwoTasksConfig, measure_multitask
from burnish.learn.loop import LoopConfig
from burnish.learn.task_labels import read_targets
from burnish.runtime import Run, Workdir
from burnish.train.methods import Full
from burnish.train.multitask import MultitaskConfig, multitask
from conftest import HEADLINES, sealed_records

ARFF = "@data\n\n'WHEAT RISES wheat up',1\n'BANK SELLS UNIT a unit',0\n'CORN FALLS corn down',1\n'PROFIT UP shr 2',0\n"


def test_the_set_keeps_tasks_and_splits_apart(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "test"):
        (tmp_path / f"ReutersGrain-{split}.arff").write_text(ARFF.replace("RISES", f"RISES {split}"))
    monkeypatch.setattr(m3_multitask, "fetch", lambda *_, **__: tmp_path)
    rows = [
        {"id": f"h{i}", "text": text, "label": label, "source": "sarcasm_headlines", "planted": ""}
        for i, (text, label) in enumerate(HEADLINES)
    ]
    data = run(
        m3_multitask.take_two_tasks,
        sealed_records(run, {"records": rows}),
        config=TwoTasksConfig(num_validation=1, num_test=2),
    )
    found = {split: read_targets(data, split, TASKS) for split in ("train", "validation", "test")}
    sizes = {s: [sum(t.name in each.targets for each in f) for t in TASKS] for s, f in found.items()}
    assert sizes == {"train": [3, 3], "validation": [1, 1], "test": [2, 4]}
    texts = [each.text for each in found["train"] + found["validation"] + found["test"] if "sarcasm" in each.targets]
    assert sorted(texts) == sorted(text for text, _ in HEADLINES)
    wheat = next(each for each in found["test"] if each.text.startswith("WHEAT"))
    assert wheat.targets == {"grain": TASKS[1].labels.index("grain")}
    assert "RISES test" in wheat.text


def test_the_reading_is_the_mean_over_seeds_and_spans_their_intervals(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    first = run(multitask, base, headlines, config=_tiny())

    def with_gains(out: Workdir, model: ModelArtifact, *, config: dict[str, Any]) -> Draft[ModelArtifact]:
        for path in model.payload.iterdir():
            (out / path.name).write_bytes(path.read_bytes())
        gains = [Measurement(f"macro_f1_gain_frac_{n}", g[0], "1", 6, g[1], g[2]) for n, g in config["gains"].items()]
        rest = [Measurement(f"{p}macro_f1_frac_{t.name}", 0.5, "1", 6) for t in TASKS for p in ("", "control_")]
        return Draft(ModelArtifact, (*gains, *rest, Measurement("grad_cosine_grain_sarcasm", 0.1, "1", 3)), "")

    tuned = [
        run(with_gains, first, config={"seed": seed, "gains": {"sarcasm": gain, "grain": [0.0, 0.0, 0.0]}})
        for seed, gain in enumerate(([0.02, -0.01, 0.05], [0.04, 0.01, 0.09]))
    ]
    found = run(measure_multitask, headlines, *tuned, config=MultitaskClaimConfig(num_repeats=6))
    gain = found.measurement("macro_f1_gain_frac_sarcasm")
    assert gain.value == pytest.approx(0.03)
    assert (gain.low, gain.high) == (-0.01, 0.09)
    kept = found.measurement("speed_kept_frac")
    assert kept.low is not None
    assert kept.high is not None
    assert 0 < kept.low <= kept.value <= kept.high
    reading = json.loads((found.payload / "reading.json").read_text())
    assert reading["gains_by_seed"] == {"sarcasm": [0.02, 0.04], "grain": [0.0, 0.0]}
    names = {m.name for m in found.evidence}
    assert {figure.name for figure in CLAIM.figures} <= names


def _tiny() -> MultitaskConfig:
    """Two tasks of the claim's names on the same column, so that a model of two heads is there; trained fully."""
    from dataclasses import replace

    sarcasm = replace(TASKS[0], source="")
    return MultitaskConfig(
        (sarcasm, replace(sarcasm, name="grain")),
        method=Full(),
        loop=LoopConfig(num_steps=1, row_tokens=256),
        precision="fp32",
    )
