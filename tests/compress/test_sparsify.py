"""Which weights become zero, against loops written by hand, and what the stage says of it."""

import json
from typing import Any

import pytest
import torch

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.sparsify import (
    MagnitudeWeights,
    Pattern,
    SparsifyConfig,
    TwoFour,
    Unstructured,
    WandaWeights,
    kept,
    sparsify,
    zero_layers,
)
from burnish.errors import RecipeError
from burnish.nn.forward import layers_of
from burnish.nn.weights import open_model
from burnish.runtime import Run

ROWS = [[1, 50, 60, 70, 2, 9, 200, 30], [3, 4, 5, 6, 7, 8, 9, 10]]


@pytest.mark.parametrize("pattern", [Unstructured(0.3), Unstructured(0.75), TwoFour()])
def test_the_best_of_each_row_stay(pattern: Pattern) -> None:
    scores_OI = torch.rand(6, 40, generator=torch.Generator().manual_seed(0))
    found = kept(scores_OI, pattern)
    for row, marks in zip(scores_OI.tolist(), found.tolist(), strict=True):
        if isinstance(pattern, Unstructured):
            best = sorted(range(40), key=lambda i: -row[i])[: 40 - round(40 * pattern.sparsity_frac)]
        else:
            best = [i for low in range(0, 40, 4) for i in sorted(range(low, low + 4), key=lambda i: -row[i])[:2]]
        assert [i for i, mark in enumerate(marks) if mark] == sorted(best)


def test_of_equals_the_first_stay() -> None:
    assert kept(torch.ones(1, 8), TwoFour()).tolist() == [[True, True, False, False] * 2]
    assert kept(torch.ones(1, 4), Unstructured(0.5)).tolist() == [[True, True, False, False]]


def test_wanda_weighs_by_inputs_that_came_through_sparse_layers(tiny_model: Any) -> None:
    dense, sparse = (open_model(tiny_model, precision="fp32") for _ in range(2))
    assert list(zero_layers(sparse, ROWS, WandaWeights(), Unstructured(0.5))) == [0, 1]
    for index in range(2):  # by hand: the layers before are sparse, this one is dense
        probe = open_model(tiny_model, precision="fp32")
        for done in range(index):
            layers_of(probe)[done].load_state_dict(layers_of(sparse)[done].state_dict())
        for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"):
            seen: list[Any] = []
            linear = layers_of(probe)[index].get_submodule(name)
            handle = linear.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0][0]))
            with torch.inference_mode():
                for ids in ROWS:
                    probe(torch.tensor([ids]))
            handle.remove()
            scores_OI = linear.weight.abs() * torch.cat(seen).norm(dim=0)
            weight = layers_of(sparse)[index].get_submodule(name).weight
            expected = torch.where(kept(scores_OI, Unstructured(0.5)), linear.weight, 0.0)
            torch.testing.assert_close(weight, expected, rtol=0, atol=0)
    assert torch.equal(dense.lm_head.weight, sparse.lm_head.weight)


def test_magnitude_reads_no_text(tiny_model: Any) -> None:
    first, second = (open_model(tiny_model, precision="fp32") for _ in range(2))
    list(zero_layers(first, ROWS, MagnitudeWeights(), TwoFour()))
    list(zero_layers(second, [ROWS[1][::-1]], MagnitudeWeights(), TwoFour()))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("pattern", [Unstructured(0.5), TwoFour()])
def test_the_stage_says_that_nothing_is_gained(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, pattern: Pattern
) -> None:
    config = SparsifyConfig(pattern=pattern, calibration=CalibrationConfig(num_rows=4, row_tokens=16))
    sparse = run(sparsify, base, headlines, config=config)
    shares = json.loads((sparse.payload / "sparsity.json").read_text())["sparsity_frac"]
    model = open_model(sparse.payload, precision="fp32")
    assert len(shares) == 14
    for name, share in shares.items():
        assert share == float((model.get_parameter(name) == 0).float().mean()) == 0.5
    assert sparse.measurement("sparsity_frac").value == 0.5
    sizes = [sum(p.stat().st_size for p in each.payload.glob("*.safetensors")) for each in (base, sparse)]
    assert sizes[0] == sizes[1]
    speedup = sparse.measurement("decode_speedup_ratio")
    assert speedup.low is not None
    assert speedup.low <= speedup.value
    assert "no runtime of this project skips zeros" in speedup.how
    assert "a decoding step after 17 to 31 tokens" in sparse.measurement("decode_step_s").how
    assert "as large as before" in (sparse.payload.parent / "card.md").read_text()


def test_wrong_values_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"sparsity_frac is 1\.0"):
        Unstructured(1.0)
    with pytest.raises(RecipeError, match="2:4 needs a multiple of 4"):
        kept(torch.ones(2, 6), TwoFour())
    with pytest.raises(RecipeError, match="leaves none of 8 inputs"):
        kept(torch.ones(2, 8), Unstructured(0.99))
    with pytest.raises(RecipeError, match="held_out_records is 0"):
        SparsifyConfig(held_out_records=0)
