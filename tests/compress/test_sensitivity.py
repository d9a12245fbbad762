"""Scores against their definitions, one unit at a time, with torch's own gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.compress.pruning.cut import best
from burnish.compress.sensitivity import (
    Criterion,
    Fisher,
    GradientNorm,
    Magnitude,
    MeanActivation,
    Taylor,
    Wanda,
    row_loss,
    score_units,
)
from burnish.nn.forward import layers_of
from burnish.nn.weights import open_model

ROWS = [[1, 50, 60, 70, 2, 9, 200, 30], [3, 4, 5, 6, 7, 8], [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]]
CRITERIA = (Fisher(), GradientNorm(), Taylor(), MeanActivation(), Wanda(), Magnitude())


@pytest.fixture
def model(tiny_model: Path) -> Any:
    return open_model(tiny_model, precision="fp32")


def parts_of(layer: Any, unit: int, *, is_ffn: bool) -> list[tuple[Any, tuple[Any, ...]]]:
    """Give each weight of a unit of the tiny model, and where in it the unit lies; what reads it comes last."""
    ffn, attention = layer.mlp, layer.self_attn
    if is_ffn:
        row = slice(unit, unit + 1)
        return [
            (ffn.gate_proj.weight, (row,)),
            (ffn.up_proj.weight, (row,)),
            (ffn.down_proj.weight, (slice(None), row)),
        ]
    queries, keys = slice(unit * 32, unit * 32 + 32), slice(unit * 16, unit * 16 + 16)  # two heads of 16 a group
    return [
        (attention.q_proj.weight, (queries,)),
        (attention.k_proj.weight, (keys,)),
        (attention.v_proj.weight, (keys,)),
        (attention.o_proj.weight, (slice(None), queries)),
    ]


def score_of(criterion: Criterion, parts: list[tuple[Any, tuple[Any, ...]]], read: Any) -> Any:
    """Score one unit on one row; gradients are there."""
    columns = parts[-1][1][1]
    reader_OS = parts[-1][0][:, columns]
    match criterion:
        case Fisher():
            return (read.grad * read)[..., columns].sum() ** 2
        case MeanActivation():
            return read[..., columns].abs().sum()
        case Wanda():
            added = read[0, :, columns][:, None, :] * reader_OS  # (T, O, S)
            return added.square().sum()
        case GradientNorm():
            return sum((weight.grad[where] ** 2).sum() for weight, where in parts)
        case Taylor():
            return sum((weight * weight.grad)[where].abs().sum() for weight, where in parts)
        case Magnitude():
            return sum((weight[where] ** 2).sum() for weight, where in parts) / len(ROWS)


@pytest.mark.parametrize("is_ffn", [True, False])
@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda each: type(each).__name__)
def test_scores_are_what_their_definitions_say(model: Any, criterion: Criterion, is_ffn: bool) -> None:
    layer = layers_of(model)[1]
    reader = layer.mlp.down_proj if is_ffn else layer.self_attn.o_proj
    num_units = 96 if is_ffn else 2
    found = score_units(model, ROWS, criterion)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    read: list[Any] = []

    def keep(_: Any, given: tuple[Any, ...]) -> None:
        given[0].retain_grad()
        read.append(given[0])

    reader.register_forward_pre_hook(keep)
    expected = torch.zeros(num_units)
    for ids in ROWS:
        model.zero_grad()
        row_loss(model, ids).backward()
        for unit in range(num_units):
            expected[unit] += score_of(criterion, parts_of(layer, unit, is_ffn=is_ffn), read[-1]).detach()
    torch.testing.assert_close((found.ffn_F if is_ffn else found.kv_K)[1], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("criterion", [c for c in CRITERIA if c not in (GradientNorm(), Magnitude())], ids=str)
def test_units_that_give_nothing_score_nothing(model: Any, criterion: Criterion) -> None:
    with torch.no_grad():
        for layer in layers_of(model):
            layer.mlp.up_proj.weight[7] = 0
            layer.mlp.down_proj.weight[:, 7] = 0
    scores = score_units(model, ROWS, criterion)
    assert all(float(each[7]) == 0 for each in scores.ffn_F)
    assert all(7 not in best(each, 95) for each in scores.ffn_F)
