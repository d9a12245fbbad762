"""Distillation: the gradient is that of whole logits, features and own words resume to the bit."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from fitting import Killed, equal, one_thread, samples

from burnish.errors import RecipeError
from burnish.learn.distillation import DistillTask, measure_rows
from burnish.learn.feature_matching import PROJECTIONS, Features, matching_features
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.on_policy import OnPolicy, own_words
from burnish.learn.packing import IGNORED, Row, pack, pack_once
from burnish.learn.task import Measures, TokenTask
from burnish.nn.divergence_loss import Cosine, Matching, MeanSquare
from burnish.nn.varlen import register_varlen
from burnish.nn.weights import open_model
from burnish.runtime import Workdir
from burnish.runtime.events import EventLog
from conftest import make_model

END = 2
LOOP = LoopConfig(
    num_steps=6, row_tokens=64, rows_per_step=2, learning_rate=0.01, snapshot_every_steps=2, validate_every_steps=3
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deeper, wider and with a vocabulary that is padded further than the student's."""
    changes = {"num_hidden_layers": 4, "hidden_size": 80, "vocab_size": 328}
    return make_model(tmp_path_factory.mktemp("teacher"), "qwen2", **changes)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def whole_logits(model: Any, row: Row) -> Any:
    given = {"input_ids": torch.tensor([row.ids]), "position_ids": torch.tensor([row.positions])}
    return model(**given, use_cache=False).logits[0][:, :320]


@pytest.mark.parametrize("is_filled", [True, False])
def test_gradients_are_those_of_whole_logits(tiny_model: Path, teacher: Path, is_filled: bool) -> None:
    matching = Matching(temperature=2.0, ce_frac=0.25)
    rows = pack_once(samples(), row_tokens=100, is_filled=is_filled)
    mine, theirs, above = (open_model(folder, precision="fp32") for folder in (tiny_model, tiny_model, teacher))
    measured = DistillTask(above, matching).backward(mine, rows, 1.0)
    total, weight = 0.0, sum(sum(row.weights) for row in rows)
    for row in rows:
        labels = torch.tensor(row.labels)
        chosen = labels != IGNORED
        q, p = whole_logits(theirs, row)[chosen], whole_logits(above, row)[chosen].detach()
        kl = torch.nn.functional.kl_div((q / 2).log_softmax(1), (p / 2).softmax(1), reduction="none").sum(1)
        said = torch.nn.functional.cross_entropy(q, labels[chosen], reduction="none")
        loss = ((0.75 * 4 * kl + 0.25 * said) * torch.tensor(row.weights)[chosen]).sum() / weight
        loss.backward()
        total += float(loss.detach())
    assert measured["loss_nats"] == pytest.approx(total, rel=1e-5)
    for (name, one), (_, other) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=2e-5, rtol=1e-3, msg=name)
    assert all(p.grad is None for p in above.parameters())


def test_cross_entropy_alone_is_the_token_task(tiny_model: Path) -> None:
    rows = pack_once(samples(), row_tokens=100)
    mine, theirs = (open_model(tiny_model, precision="fp32") for _ in range(2))
    found = DistillTask(None, Matching(ce_frac=1.0)).backward(mine, rows, 1.0)
    assert found["loss_nats"] == pytest.approx(TokenTask().backward(theirs, rows, 1.0)["loss_nats"], rel=1e-5)
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)
    with pytest.raises(RecipeError, match="no teacher"):
        DistillTask(None)


def test_rows_are_measured_as_whole_logits_are(tiny_model: Path, teacher: Path) -> None:
    rows = pack_once(samples(), row_tokens=64)
    student, above = open_model(tiny_model, precision="fp32"), open_model(teacher, precision="fp32")
    sums = measure_rows(student, above, rows)
    with torch.no_grad():
        for found, row in zip(sums.tolist(), rows, strict=True):
            labels = torch.tensor(row.labels)
            chosen = labels != IGNORED
            q, p = (whole_logits(model, row)[chosen].log_softmax(1) for model in (student, above))
            picked = labels[chosen][:, None]
            expected = [(p.exp() * (p - q)).sum(), -q.gather(1, picked).sum(), -p.gather(1, picked).sum()]
            same = float((q.argmax(1) == p.argmax(1)).sum())
            assert found == pytest.approx([*map(float, expected), same, float(chosen.sum())], rel=1e-4)
    found_by_task = DistillTask(above).validate(student, rows)
    assert found_by_task["validation_kl_nats"] == pytest.approx(float(sums[:, 0].sum() / sums[:, 4].sum()))


class DiesAt(DistillTask):
    """Be killed in the n-th backward pass."""

    left = 0

    def backward(self, model: Any, batch: Sequence[Row], scale: float) -> Measures:
        measured = super().backward(model, batch, scale)
        self.left -= 1
        if self.left == 0:
            raise Killed
        return measured


def distilled(
    root: Path, student: Path, teacher: Path, features: Features | None, own: OnPolicy | None, dies_at: int = 0
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Distil in a folder; again resumes."""
    root.mkdir(exist_ok=True)
    out = Workdir(root / "work", "distill", EventLog(root / "events.jsonl", ()))
    out.payload.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model, above = open_model(student, precision="fp32"), open_model(teacher, precision="fp32")
    items, held_out = pack(samples(), row_tokens=64, seed=0), pack_once(samples()[:3], row_tokens=64)
    with matching_features(model, above, features) if features else nullcontext() as matcher:
        early = (matcher, features.num_steps) if matcher is not None and features is not None else None
        task = DiesAt(above, Matching(), early, None if own is None else (own, END))
        task.left = dies_at
        fitted = fit(model, items, held_out, task, LOOP, out)
    assert not hasattr(model, PROJECTIONS)
    return fitted.log, {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("dies_at", [2, 5])
@pytest.mark.parametrize("own", [None, OnPolicy(0.5, prompt_tokens=4)])
def test_a_killed_distillation_resumes_to_the_bit(
    tmp_path: Path, tiny_model: Path, teacher: Path, own: OnPolicy | None, dies_at: int
) -> None:
    features = Features(num_steps=3, loss=Cosine())
    log, weights = distilled(tmp_path / "whole", tiny_model, teacher, features, own)
    with pytest.raises(Killed):
        distilled(tmp_path / "killed", tiny_model, teacher, features, own, dies_at=dies_at)
    again, resumed = distilled(tmp_path / "killed", tiny_model, teacher, features, own)
    assert equal(weights, resumed)
    assert again == log
    assert [next(iter(set(row) & {"feature_loss", "loss_nats"})) for row in log if "lr" in row] == (
        ["feature_loss"] * 3 + ["loss_nats"] * 3
    )


def test_the_student_comes_nearer_to_its_teacher(tmp_path: Path, tiny_model: Path, teacher: Path) -> None:
    log, _ = distilled(tmp_path / "run", tiny_model, teacher, None, None)
    seen = [row["validation_kl_nats"] for row in log if "validation_kl_nats" in row]
    model, above = open_model(tiny_model, precision="fp32"), open_model(teacher, precision="fp32")
    start = DistillTask(above).validate(model, pack_once(samples()[:3], row_tokens=64))["validation_kl_nats"]
    assert seen[-1] < 0.9 * start


def test_features_come_nearer_through_a_projection(tmp_path: Path, tiny_model: Path, teacher: Path) -> None:
    log, _ = distilled(tmp_path / "run", tiny_model, teacher, Features(num_steps=6), None)
    losses = [row["feature_loss"] for row in log if "feature_loss" in row]
    assert losses[-1] < 0.97 * losses[0]


def test_no_hidden_state_is_kept_once_the_feature_steps_are_over(tiny_model: Path, teacher: Path) -> None:
    rows = pack_once(samples(), row_tokens=64)
    mine, above = open_model(tiny_model, precision="fp32"), open_model(teacher, precision="fp32")
    with matching_features(mine, above, Features(num_steps=1)) as matcher:
        task = DistillTask(above, Matching(), (matcher, 1))
        assert "feature_loss" in task.backward(mine, rows, 1.0)
        task.validate(mine, rows)
        assert (matcher.mine, matcher.theirs) == ({}, {})
        assert "loss_nats" in task.backward(mine, rows, 1.0)
        assert (matcher.mine, matcher.theirs) == ({}, {})


def test_layers_are_mapped_by_their_share_of_the_depth() -> None:
    assert Features().mapped(4, 12) == [(0, 2), (1, 5), (2, 8), (3, 11)]
    assert Features().mapped(2, 2) == [(0, 0), (1, 1)]
    assert Features(layers=((1, 3),)).mapped(2, 4) == [(1, 3)]
    with pytest.raises(RecipeError, match="counted from 0"):
        Features(layers=((2, 3),)).mapped(2, 4)


def test_the_matched_outputs_are_the_layers_own(tiny_model: Path, teacher: Path) -> None:
    row = pack_once(samples()[:1], row_tokens=64)[0]
    mine, above = open_model(tiny_model, precision="fp32"), open_model(teacher, precision="fp32")
    given = {"input_ids": torch.tensor([row.ids]), "position_ids": torch.tensor([row.positions])}
    with torch.no_grad():
        states = above(**given, output_hidden_states=True, use_cache=False).hidden_states
        with matching_features(mine, above, Features(layers=((0, 2),))) as matcher:
            above(**given, use_cache=False)
            assert not matcher.theirs  # nobody asked
            matcher.is_watching = True
            above(**given, use_cache=False)
            torch.testing.assert_close(matcher.theirs[2], states[3])
    assert all(layer._compiled_call_impl is None for layer in (*mine.model.layers, *above.model.layers))
    assert isinstance(matcher.loss, MeanSquare)


def test_own_words_keep_the_beginning_and_teach_the_rest(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32").train()
    rows = pack_once(samples(), row_tokens=100, is_filled=True)
    torch.manual_seed(0)
    new = own_words(OnPolicy(1.0, prompt_tokens=5), END, model, None, rows)
    assert model.training
    for row, old in zip(new, rows, strict=True):
        assert len(row.ids) == len(old.ids) == 100
        starts = [at for at, position in enumerate(old.positions[: old.num_tokens]) if position == 0]
        news = [at for at, position in enumerate(row.positions[: row.num_tokens]) if position == 0]
        for at, before in zip(news, starts, strict=True):
            assert row.ids[at : at + 5] == old.ids[before : before + 5]
            assert row.labels[at : at + 4] == [IGNORED] * 4
            assert row.labels[at + 4] == row.ids[at + 5]


def test_own_words_end_with_the_text_and_are_one_text_at_a_times(tiny_model: Path) -> None:
    """Several at once, padded on the left, are what each would be alone; the likeliest word at a temperature near 0."""
    register_varlen()
    model = open_model(tiny_model, precision="fp32")
    model.set_attn_implementation("burnish_varlen")  # what a model has while it trains on a GPU
    config = OnPolicy(1.0, prompt_tokens=4, temperature=1e-4)
    together = pack_once(samples()[:4], row_tokens=200)
    alone = pack_once(samples()[:4], row_tokens=1)
    assert (len(together), len(alone)) == (1, 4)
    never = -1
    expected = [token for row in own_words(config, never, model, None, alone) for token in row.ids]
    assert own_words(config, never, model, None, together)[0].ids == expected
    assert model.config._attn_implementation == "burnish_varlen"
    first = expected[4]
    (ended,) = own_words(config, first, model, None, alone[:1])
    assert ended.ids[: ended.num_tokens] == [*alone[0].ids[:4], first]
    assert len(ended.ids) == len(alone[0].ids)  # no filler before; the shape stays all the same
    assert ended.num_filler == len(alone[0].ids) - 5


def test_own_words_are_the_models_own_whatever_its_generation_config_says(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    config, rows = OnPolicy(1.0, prompt_tokens=4), pack_once(samples(), row_tokens=64)

    def written() -> list[list[int]]:
        torch.manual_seed(0)
        return [row.ids for row in own_words(config, END, model, None, rows)]

    expected = written()
    model.generation_config.update(
        repetition_penalty=5.0, min_new_tokens=30, suppress_tokens=list(range(300)), eos_token_id=list(range(320))
    )
    before = model.generation_config
    assert written() == expected
    assert model.generation_config is before


def test_the_tokens_that_are_counted_are_those_of_the_rows_that_were_written(tiny_model: Path) -> None:
    model, above = (open_model(tiny_model, precision="fp32") for _ in range(2))
    rows = pack_once(samples(), row_tokens=64, is_filled=True)
    own = OnPolicy(1.0, prompt_tokens=5, temperature=1e-4)
    end = own_words(own, -1, model, None, rows)[0].ids[5]
    written = [row.num_tokens for row in own_words(own, end, model, None, rows)]
    assert written != [row.num_tokens for row in rows]
    task = DistillTask(above, Matching(), None, (own, end))
    task.backward(model, rows, 1.0)
    assert [task.num_tokens(row) for row in rows] == written
    plain = DistillTask(above)
    plain.backward(model, rows, 1.0)
    assert [plain.num_tokens(row) for row in rows] == [row.num_tokens for row in rows]
