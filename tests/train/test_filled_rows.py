"""Rows of one length where layers are compiled: every stage asks for them, and they change no loss."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Row
from burnish.learn.task import TokenTask
from burnish.nn.chat import LabelTask
from burnish.runtime import Run
from burnish.train import tuning
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.methods import Lora, Prefix
from burnish.train.pretrain import PretrainConfig, pretrain

LOOP = LoopConfig(num_steps=3, row_tokens=200, validate_every_steps=3, is_compiled=True)
TASK = LabelTask("Which?", ("serious", "sarcastic"))
METHOD = Lora(rank=2)
CONFIGS = {
    finetune: FinetuneConfig(TASK, method=METHOD, loop=LOOP, precision="fp32"),
    pretrain: PretrainConfig(method=METHOD, loop=LOOP, precision="fp32"),
}


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the rows that training and validation meet; nothing is compiled, which takes a minute."""
    met: list[int] = []
    backward, validate = TokenTask.backward, TokenTask.validate

    def noting(method: Callable[..., dict[str, float]]) -> Callable[..., dict[str, float]]:
        def noted(task: TokenTask, model: Any, rows: Sequence[Row], *rest: Any) -> dict[str, float]:
            met.extend(len(row.ids) for row in rows)
            return method(task, model, rows, *rest)

        return noted

    monkeypatch.setattr(TokenTask, "backward", noting(backward))
    monkeypatch.setattr(TokenTask, "validate", noting(validate))
    monkeypatch.setattr(tuning, "compile_layers", lambda model: met.append(0))
    return met


@pytest.mark.parametrize("stage", CONFIGS, ids=lambda stage: stage.__name__)
def test_compiled_layers_meet_one_length(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, lengths: list[int], stage: Any
) -> None:
    config = CONFIGS[stage]
    compiled = run(stage, base, headlines, config=config)
    assert lengths[0] == 0  # compile_layers was asked
    assert set(lengths[1:]) == {200}
    plain = run(stage, base, headlines, config=replace(config, loop=replace(LOOP, is_compiled=False)))
    assert any(0 < length < 200 for length in lengths)
    for name in ("train_loss_nats", "validation_loss_nats", "train_tokens"):
        assert compiled.measurement(name).value == pytest.approx(plain.measurement(name).value, rel=1e-5), name


def test_a_prefix_is_not_compiled_and_needs_no_filler(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, lengths: list[int]
) -> None:
    run(finetune, base, headlines, config=replace(CONFIGS[finetune], method=Prefix(2)))
    assert 0 not in lengths
    assert any(length < 200 for length in lengths)
