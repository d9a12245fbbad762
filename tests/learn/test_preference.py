"""Preference loss: what plain torch finds pair by pair, whatever rows the pairs lie in."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from burnish.errors import BurnishError, RecipeError
from burnish.learn.packing import Sample
from burnish.learn.preference import (
    Pair,
    PreferenceTask,
    answer_logprobs,
    pack_pairs,
    pack_pairs_once,
    reference_logprobs,
)
from burnish.learn.preference_loss import Hinge, Ipo, PreferenceLoss, Sigmoid
from burnish.nn.lora import fuse_lora
from burnish.nn.weights import device, open_model, quiet_transformers
from burnish.train.methods import Lora, Method, Prefix, Prompt, prepare


def sample(prompt: list[int], answer: list[int]) -> Sample:
    return Sample((*prompt, *answer), (0.0,) * len(prompt) + (1.0,) * len(answer))


def pair(name: str, prompt: list[int], chosen: list[int], rejected: list[int]) -> Pair:
    return Pair(name, sample(prompt, chosen), sample(prompt, rejected))


PAIRS = [
    pair("a", [5, 6, 7, 8], [20, 21, 22], [30, 31]),
    pair("b", [9, 10], [40, 41, 42, 43, 44], [50]),
    pair("c", [11, 12, 13], [60, 61], [62, 63, 64, 65]),
    pair("d", [14], [70], [71, 72]),
]


def moved(model: Any, *, seed: int = 1, by: float = 0.02) -> Any:
    """Copy a model with other weights, so that policy and reference differ."""
    torch.manual_seed(seed)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += by * torch.randn_like(parameter)
    return other


def plain_logprob(model: Any, answer: Sample) -> torch.Tensor:
    """Score an answer alone in its row, by torch's own functions on full logits."""
    ids = torch.tensor([answer.ids], device=device())
    logprobs = torch.log_softmax(model(ids).logits[0, :-1].float(), 1)
    each = logprobs.gather(1, ids[0, 1:, None])[:, 0]
    return (each * torch.tensor(answer.weights[1:], device=device())).sum()


def plain_loss(policy: Any, reference: Any, loss: PreferenceLoss, sft_weight: float) -> torch.Tensor:
    """The published equations, pair by pair."""
    losses = []
    for one in PAIRS:
        with torch.no_grad():
            ref_chosen, ref_rejected = plain_logprob(reference, one.chosen), plain_logprob(reference, one.rejected)
        chosen, rejected = plain_logprob(policy, one.chosen), plain_logprob(policy, one.rejected)
        margin = (chosen - ref_chosen) - (rejected - ref_rejected)
        match loss:
            case Sigmoid(beta=beta, label_smoothing_frac=wrong):
                right = torch.sigmoid(beta * margin)
                found = -(1 - wrong) * right.log() - wrong * (1 - right).log()
            case Ipo(tau=tau):
                found = (margin - 0.5 / tau).square()
            case Hinge(beta=beta):
                found = (1 - beta * margin).clamp_min(0)
        losses.append(found - sft_weight * chosen / sum(one.chosen.weights))
    return torch.stack(losses).mean()


def with_references(model: Any, pairs: list[Pair]) -> list[Pair]:
    with torch.no_grad():
        return [
            replace(p, reference=(float(plain_logprob(model, p.chosen)), float(plain_logprob(model, p.rejected))))
            for p in pairs
        ]


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("row_tokens", [18, 1000])
@pytest.mark.parametrize(
    ("loss", "sft_weight"),
    [(Sigmoid(0.1), 0.0), (Sigmoid(0.5, 0.1), 0.3), (Ipo(0.2), 0.0), (Hinge(0.1), 0.0), (Hinge(2.0), 1.0)],
)
def test_loss_and_gradients_are_those_of_plain_torch(
    tiny_model: Path, loss: PreferenceLoss, sft_weight: float, row_tokens: int
) -> None:
    reference = open_model(tiny_model, precision="fp32")
    policy = moved(reference).requires_grad_(True)
    plain = plain_loss(policy, reference, loss, sft_weight)
    plain.backward()
    wanted = gradients(policy)
    policy.zero_grad(set_to_none=True)
    rows = pack_pairs_once(with_references(reference, PAIRS), row_tokens=row_tokens)
    assert len(rows) == (1 if row_tokens == 1000 else 3)
    measured = PreferenceTask(loss, sft_weight).backward(policy, rows, 4.0)
    assert measured["loss_nats"] == pytest.approx(float(plain.detach()), rel=1e-5)
    found = gradients(policy)
    assert found.keys() == wanted.keys()
    largest = max(float(g.abs().max()) for g in wanted.values())
    for name, gradient in found.items():
        torch.testing.assert_close(gradient / 4, wanted[name], rtol=1e-3, atol=1e-4 * largest)


def test_what_is_watched_is_counted_by_pairs(tiny_model: Path) -> None:
    reference = open_model(tiny_model, precision="fp32")
    policy = moved(reference)
    given = with_references(reference, PAIRS)
    with torch.no_grad():
        scores = [(float(plain_logprob(policy, p.chosen)), float(plain_logprob(policy, p.rejected))) for p in PAIRS]
    margins = [
        (chosen - p.reference[0]) - (rejected - p.reference[1])
        for (chosen, rejected), p in zip(scores, given, strict=True)
        if p.reference
    ]
    assert 0 < sum(margin > 0 for margin in margins) < 4
    rows = pack_pairs_once(given, row_tokens=18, is_filled=True)
    assert {len(row.row.ids) for row in rows} == {18}
    assert sum(PreferenceTask().num_tokens(row) for row in rows) == sum(p.num_tokens for p in PAIRS)
    seen = PreferenceTask(Sigmoid(0.3)).validate(policy, rows)
    assert seen["validation_preference_accuracy_frac"] == sum(margin > 0 for margin in margins) / 4
    assert seen["validation_reward_margin_nats"] == pytest.approx(0.3 * sum(margins) / 4, abs=1e-5)
    a_token = [chosen / sum(p.chosen.weights) for (chosen, _), p in zip(scores, PAIRS, strict=True)]
    assert seen["validation_chosen_logprob_nats_per_token"] == pytest.approx(sum(a_token) / 4, rel=1e-5)
    a_token = [rejected / sum(p.rejected.weights) for (_, rejected), p in zip(scores, PAIRS, strict=True)]
    assert seen["validation_rejected_logprob_nats_per_token"] == pytest.approx(sum(a_token) / 4, rel=1e-5)


def test_a_new_adapter_starts_at_log_2_exactly(tiny_model: Path) -> None:
    model, _ = prepare(open_model(tiny_model, precision="fp32"), Lora(rank=4), tiny_model)
    seen = PreferenceTask().backward(model.train(), pack_pairs_once(PAIRS, row_tokens=1000), 1.0)
    assert seen["loss_nats"] == math.log(2)
    assert seen["reward_margin_nats"] == 0
    assert any(gradient.abs().max() > 0 for gradient in gradients(model).values())


@pytest.mark.parametrize("is_fused", [False, True])
@pytest.mark.parametrize("method", [Lora(rank=4), Lora(rank=4, dropout=0.5), Prefix(4), Prompt(4)])
def test_the_reference_is_the_base_without_its_adapter(tiny_model: Path, method: Method, is_fused: bool) -> None:
    (row,) = pack_pairs_once(PAIRS, row_tokens=1000)
    wanted = answer_logprobs(open_model(tiny_model, precision="fp32"), row).detach()
    model, _ = prepare(open_model(tiny_model, precision="fp32"), method, tiny_model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in trained:
                parameter += 0.1
    if is_fused:
        fuse_lora(model)
    model.train()
    found = reference_logprobs(model, row)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    assert (answer_logprobs(model, row) - wanted).abs().max() > 0.1
    assert model.training
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained


def test_a_model_without_adapter_needs_references(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    with pytest.raises(BurnishError, match="no reference log-probabilities"):
        PreferenceTask().backward(model, pack_pairs_once(PAIRS, row_tokens=1000), 1.0)


def test_pairs_of_a_row_do_not_see_each_other(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    (together,) = pack_pairs_once(PAIRS, row_tokens=1000)
    alone = [answer_logprobs(model, pack_pairs_once([one], row_tokens=1000)[0]) for one in PAIRS]
    torch.testing.assert_close(answer_logprobs(model, together), torch.cat(alone), rtol=1e-5, atol=1e-5)


def test_every_pair_is_used_once_an_epoch_and_never_split() -> None:
    stream = pack_pairs(PAIRS, row_tokens=16, seed=0)
    seen: list[tuple[int, ...]] = []
    while len(seen) < 2 * len(PAIRS):
        row = next(stream)
        starts = [index for index, position in enumerate(row.row.positions) if position == 0]
        assert len(starts) == 2 * row.num_pairs
        answers = [row.row.ids[a:b] for a, b in zip(starts, [*starts[1:], len(row.row.ids)], strict=True)]
        seen += [(*answers[n], *answers[n + 1]) for n in range(0, len(answers), 2)]
    whole = sorted((*p.chosen.ids, *p.rejected.ids) for p in PAIRS)
    assert sorted(seen[: len(PAIRS)]) == whole
    assert sorted(seen[len(PAIRS) : 2 * len(PAIRS)]) == whole
    with pytest.raises(RecipeError, match="row_tokens is 4"):
        next(pack_pairs(PAIRS, row_tokens=4, seed=0))


def test_training_raises_the_share_of_pairs_in_order(tiny_model: Path) -> None:
    with quiet_transformers():
        model = peft.get_peft_model(
            open_model(tiny_model, precision="fp32"), peft.LoraConfig(r=4, target_modules="all-linear")
        )
    rows = pack_pairs_once(PAIRS, row_tokens=1000)
    task = PreferenceTask()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    before = task.validate(model, rows)["validation_preference_accuracy_frac"]
    for _ in range(10):
        task.backward(model, rows, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    assert before == 0  # no margin yet, and a tie is no order
    assert task.validate(model, rows)["validation_preference_accuracy_frac"] == 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Sigmoid(0), "beta is 0"),
        (lambda: Sigmoid(label_smoothing_frac=0.5), "label_smoothing_frac is 0.5"),
        (lambda: Ipo(-1), "tau is -1"),
        (lambda: Hinge(0), "beta is 0"),
        (lambda: PreferenceTask(sft_weight=-1), "sft_weight is -1"),
    ],
)
def test_numbers_outside_their_range_are_refused(make: Any, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        make()
