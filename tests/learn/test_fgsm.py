"""FGSM: the move by hand, each example by itself, nothing without a move, and a model that withstands an attack."""

import math
from functools import partial
from pathlib import Path

import pytest
import torch

from burnish.errors import RecipeError
from burnish.learn.fgsm import Fgsm, Form, attack, backward, move
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import IGNORED, Row, Sample, pack, pack_once
from burnish.learn.task import TokenTask, mean_attacked_loss, mean_loss
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.forward import logits_at
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Workdir
from burnish.runtime.events import EventLog
from burnish.runtime.workdir import fresh
from conftest import HEADLINES

FORMS: tuple[Form, ...] = ("length", "sign")
TASK = LabelTask("Which?", ("serious", "sarcastic"))


class Linear(torch.nn.Module):  # type: ignore[misc]  # torch is not typed here
    """A model whose gradients a reader can work out: the logits of a token are its embedding times a matrix."""

    base_model_prefix = "body"

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(3, 2)
        self.head = torch.nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, -1.0]]))
            self.head.weight.copy_(torch.tensor([[1.0, 0.5], [-1.0, 2.0]]))

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    def loss(self, ids: list[int], labels: list[int]) -> torch.Tensor:
        logits = self.head(self.embedding(torch.tensor([ids])))[0]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="sum")


def by_hand(model: Linear, ids: list[int], labels: list[int], config: Fgsm) -> tuple[list[float], float]:
    """Work out one example's move and its loss after it in plain Python."""
    table, head = model.embedding.weight.tolist(), model.head.weight.tolist()

    def shares(x: list[float]) -> list[float]:
        powers = [math.exp(row[0] * x[0] + row[1] * x[1]) for row in head]
        return [power / sum(powers) for power in powers]

    gradient: list[float] = []
    for token, label in zip(ids, labels, strict=True):
        wrong = [p - (label == n) for n, p in enumerate(shares(table[token]))]
        gradient += [wrong[0] * head[0][d] + wrong[1] * head[1][d] for d in (0, 1)]
    reach = config.epsilon_frac * math.hypot(*(number for token in ids for number in table[token]))
    if config.form == "length":
        shift = [reach * g / math.hypot(*gradient) for g in gradient]
    else:
        shift = [math.copysign(reach / math.sqrt(len(gradient)), g) for g in gradient]
    moved = [[table[token][d] + shift[2 * t + d] for d in (0, 1)] for t, token in enumerate(ids)]
    return shift, -sum(math.log(shares(x)[label]) for x, label in zip(moved, labels, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("frozen", [False, True])
def test_the_move_and_the_losses_are_those_worked_out_by_hand(form: Form, frozen: bool) -> None:
    model, config = Linear(), Fgsm(0.1, form, weight=0.25)
    model.embedding.requires_grad_(not frozen)
    ids, labels = [0, 1], [1, 0]
    shift, loss_after = by_hand(model, ids, labels, config)
    seen: list[torch.Tensor] = []
    model.head.register_forward_hook(lambda _, given, __: seen.append(given[0].detach()[0]))
    clean, adversarial = backward(model, [0, 1], lambda: model.loss(ids, labels), config)
    assert (seen[1] - seen[0]).flatten().tolist() == pytest.approx(shift, rel=1e-5)
    assert torch.linalg.vector_norm(seen[1] - seen[0]) == pytest.approx(0.1 * math.sqrt(29), rel=1e-5)
    assert clean == pytest.approx(model.loss(ids, labels).item())
    assert adversarial == pytest.approx(loss_after, rel=1e-5)
    assert adversarial > clean
    assert attack(model, [0, 1], lambda: model.loss(ids, labels), config) == pytest.approx(loss_after, rel=1e-5)


def test_the_gradient_is_the_weighted_sum_of_both_passes() -> None:
    ids, labels, config = [0, 1], [1, 0], Fgsm(0.1, weight=0.25)
    model = Linear()
    model.embedding.requires_grad_(False)
    backward(model, [0, 1], lambda: model.loss(ids, labels), config)
    found = model.head.weight.grad

    plain = Linear()
    shift = torch.tensor(by_hand(plain, ids, labels, config)[0]).view(1, 2, 2)
    embedded = plain.embedding(torch.tensor([ids])).detach()
    losses = [
        torch.nn.functional.cross_entropy(plain.head(x)[0], torch.tensor(labels), reduction="sum")
        for x in (embedded, embedded + shift)
    ]
    (0.75 * losses[0] + 0.25 * losses[1]).backward()
    torch.testing.assert_close(found, plain.head.weight.grad)
    assert not model.embedding._forward_hooks


@pytest.mark.parametrize("form", FORMS)
def test_an_example_without_a_gradient_stays(form: Form) -> None:
    embedded, gradient = torch.ones(5, 3), torch.tensor([0.0, 0, 1, 1e-30, 2]).repeat(3, 1).T
    shift = move(embedded, gradient, [0, 1, 0, 1, 2], Fgsm(0.5, form))
    assert shift[:2].abs().max() == 0
    assert shift[2:].norm() == pytest.approx(0.5 * 3)
    tiny = move(embedded, gradient * 1e-12, [0, 1, 0, 1, 2], Fgsm(0.5, form))
    torch.testing.assert_close(tiny, shift)


def samples_of(chat: ChatFormat) -> list[Sample]:
    examples = [chat.answered(TASK.messages(text), label) for text, label in HEADLINES]
    return [
        Sample(e.ids, (*[0.0] * e.answer_start, *[1.0] * (len(e.ids) - e.answer_start)))  # the answer alone counts
        for e in examples
    ]


def loss_of(model: torch.nn.Module, row: Row) -> torch.Tensor:
    labels = torch.tensor(row.labels)
    chosen = labels != IGNORED
    logits = logits_at(model, row.ids, row.positions, chosen)
    return torch.nn.functional.cross_entropy(logits.float(), labels[chosen], reduction="sum")


@pytest.mark.parametrize("form", FORMS)
def test_a_packed_example_is_moved_as_it_is_alone(tiny_model: Path, form: Form) -> None:
    model = open_model(tiny_model, precision="fp32")
    samples = samples_of(ChatFormat(open_tokenizer(tiny_model)))
    (packed,) = pack_once(samples, row_tokens=4096)
    config = Fgsm(0.1, form)
    together = attack(model, packed.positions, lambda: loss_of(model, packed), config)
    rows = [pack_once([sample], row_tokens=4096)[0] for sample in samples]
    alone = [attack(model, row.positions, partial(loss_of, model, row), config) for row in rows]
    assert together == pytest.approx(sum(alone), rel=1e-4)
    assert together > loss_of(model, packed).item() * 1.01


def trained(
    folder: Path, tiny_model: Path, adversarial: Fgsm | None, *, num_steps: int = 6, dropout: float = 0.0
) -> torch.nn.Module:
    model = open_model(tiny_model, precision="fp32")
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = dropout
    samples = samples_of(ChatFormat(open_tokenizer(tiny_model)))
    torch.manual_seed(0)
    config = LoopConfig(num_steps=num_steps, row_tokens=256, learning_rate=3e-3)
    fit(model, pack(samples, row_tokens=256, seed=0), [], TokenTask(adversarial), config, workdir(folder))
    return model


def workdir(folder: Path) -> Workdir:
    folder.mkdir(parents=True)
    return fresh(folder / "stage", "test", EventLog(folder / "events.jsonl"))


def test_no_move_at_equal_weight_trains_to_the_same_bits(tmp_path: Path, tiny_model: Path) -> None:
    """Halves add up to the whole, exactly, where a step has one row; both passes draw the same dropout."""
    plain, without, control, moved = (
        trained(tmp_path / name, tiny_model, fgsm, dropout=dropout).state_dict()
        for name, fgsm, dropout in (
            ("plain", None, 0.0),
            ("without", None, 0.3),
            ("control", Fgsm(0.0, weight=0.5), 0.3),
            ("moved", Fgsm(0.1, weight=0.5), 0.3),
        )
    )
    assert all(torch.equal(without[name], control[name]) for name in without)
    assert not any(torch.equal(without[name], moved[name]) for name in without)
    assert not any(torch.equal(without[name], plain[name]) for name in without)


def test_training_under_attack_withstands_the_attack(tmp_path: Path, tiny_model: Path) -> None:
    rows = pack_once(samples_of(ChatFormat(open_tokenizer(tiny_model))), row_tokens=256)
    fgsm = Fgsm(0.1)
    plain, hardened = (
        trained(tmp_path / name, tiny_model, how, num_steps=40) for name, how in (("a", None), ("b", fgsm))
    )
    assert mean_attacked_loss(plain, rows, fgsm) > mean_loss(plain, rows)
    assert mean_attacked_loss(hardened, rows, fgsm) < 0.7 * mean_attacked_loss(plain, rows, fgsm)


def test_the_log_holds_both_losses_and_accumulated_rows_weigh_tokens_alike(tiny_model: Path) -> None:
    found = []
    for row_tokens in (4096, 128):
        model = open_model(tiny_model, precision="fp32")
        rows = pack_once(samples_of(ChatFormat(open_tokenizer(tiny_model))), row_tokens=row_tokens)
        measured = TokenTask(Fgsm(0.05)).backward(model, rows, 1.0)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append(measured | {"grad_norm": float(torch.nn.utils.get_total_norm(gradients))})
    whole, parts = found
    assert parts == pytest.approx(whole, rel=1e-3)
    assert whole["adversarial_loss_nats"] > whole["loss_nats"]


@pytest.mark.parametrize(("epsilon_frac", "weight"), [(-0.1, 0.5), (1.5, 0.5), (0.1, 0.0), (0.1, 1.0)])
def test_what_makes_no_sense_is_refused(epsilon_frac: float, weight: float) -> None:
    with pytest.raises(RecipeError, match="above 0 and below 1"):
        Fgsm(epsilon_frac, weight=weight)
