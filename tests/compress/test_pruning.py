"""Cuts against masks, the refit against torch's own least squares, and the plan."""

from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.compress.pruning.cut import best, cut_layers
from burnish.compress.pruning.depth import BlockInfluence, GreedyLoss, block_influence, layers_to_keep, loss_without
from burnish.compress.pruning.layout import Shape, check_prunable, columns_of_groups
from burnish.compress.pruning.narrow import narrow
from burnish.compress.pruning.plan import allowed_groups, next_shape, steps_to, target_of
from burnish.compress.pruning.refit import LeastSquares, output_error, refit
from burnish.compress.sensitivity import Fisher, Scores, score_units
from burnish.errors import BurnishError, RecipeError
from burnish.nn.forward import layers_of
from burnish.nn.frozen import num_weights
from burnish.nn.weights import open_model, save_model
from conftest import make_model

ROWS = [[1, 50, 60, 70, 2, 9, 200, 30], [3, 4, 5, 6, 7, 8, 9, 10], [90, 91, 92, 93, 94, 95, 96, 97]]
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("llama", {}),
    ("llama", {"tie_word_embeddings": False, "num_attention_heads": 8, "num_key_value_heads": 8}),
    ("qwen2", {}),
    ("qwen3", {"head_dim": 32}),
    ("mistral", {"sliding_window": None}),
]


@pytest.fixture
def model(tiny_model: Path) -> Any:
    return open_model(tiny_model, precision="fp32")


def logits(model: Any, ids: list[int] = ROWS[0]) -> Any:
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0]


def zero_units(model: Any, channels: list[int], groups: list[int]) -> None:
    """Make units give nothing: the columns that read them are zero."""
    with torch.no_grad():
        for layer in layers_of(model):
            layer.mlp.down_proj.weight[:, channels] = 0
            layer.self_attn.o_proj.weight[:, columns_of_groups(model.config, torch.tensor(groups))] = 0


def without(model: Any, channels: list[int], groups: list[int]) -> Scores:
    """Scores that let these units go, and no others."""
    ffn, kv = torch.ones(model.config.intermediate_size), torch.ones(model.config.num_key_value_heads)
    ffn[channels], kv[groups] = 0, 0
    return Scores([ffn] * len(layers_of(model)), [kv] * len(layers_of(model)))


@pytest.mark.parametrize(("architecture", "changes"), FAMILIES)
def test_the_cut_model_is_the_masked_model_and_opens_anew(
    tmp_path: Path, architecture: str, changes: dict[str, Any]
) -> None:
    model = open_model(make_model(tmp_path / "whole", architecture, **changes), precision="fp32")
    before, shape = num_weights(model), Shape.of(model.config)
    channels, groups = [0, *range(5, 60, 2), 95, 1, 2, 3], [0] if shape.kv_groups == 2 else [0, 2, 3, 5]
    zero_units(model, channels, groups)
    expected = logits(model)
    wanted = Shape(96 - len(channels), shape.kv_groups - len(groups), 2)
    narrow(model, without(model, channels, groups), wanted, ROWS, None)
    torch.testing.assert_close(logits(model), expected)
    save_model(model, tmp_path / "cut")
    again = open_model(tmp_path / "cut", precision="fp32")
    torch.testing.assert_close(logits(again), expected)
    assert Shape.of(again.config) == wanted
    assert num_weights(again) < before
    assert again.generate(torch.tensor([ROWS[0]]), max_new_tokens=3, do_sample=False, pad_token_id=0).shape == (1, 11)


@pytest.mark.parametrize(("architecture", "changes"), FAMILIES)
def test_a_layer_that_gives_back_its_input_goes_unnoticed(
    tmp_path: Path, architecture: str, changes: dict[str, Any]
) -> None:
    model = open_model(make_model(tmp_path / "whole", architecture, **changes, num_hidden_layers=3), precision="fp32")
    with torch.no_grad():
        for linear in (layers_of(model)[1].mlp.down_proj, layers_of(model)[1].self_attn.o_proj):
            linear.weight.zero_()
    expected = logits(model)
    influence = block_influence(model, ROWS)
    assert influence[1] == pytest.approx(0, abs=1e-6)
    assert layers_to_keep(model, ROWS, BlockInfluence(), 1) == [0, 2]
    cut_layers(model, [0, 2])
    torch.testing.assert_close(logits(model), expected)
    save_model(model, tmp_path / "cut")
    again = open_model(tmp_path / "cut", precision="fp32")
    torch.testing.assert_close(logits(again), expected)
    assert again.config.num_hidden_layers == 2
    assert again.generate(torch.tensor([ROWS[0]]), max_new_tokens=3, do_sample=False, pad_token_id=0).shape == (1, 11)


def test_greedy_drops_what_costs_least_each_time(tmp_path: Path) -> None:
    model = open_model(make_model(tmp_path / "m", num_hidden_layers=4), precision="fp32")
    alone = [loss_without(model, ROWS, [index]) for index in range(4)]
    first = min(range(4), key=alone.__getitem__)
    pairs = {index: loss_without(model, ROWS, [first, index]) for index in range(4) if index != first}
    kept = layers_to_keep(model, ROWS, GreedyLoss(), 2)
    assert kept == sorted(set(range(4)) - {first, min(pairs, key=pairs.__getitem__)})
    cut = open_model(tmp_path / "m", precision="fp32")
    cut_layers(cut, kept)
    assert loss_without(cut, ROWS, []) == pytest.approx(min(pairs.values()), rel=1e-5)


def test_of_equals_the_first_stay() -> None:
    assert best(torch.tensor([1.0, 3.0, 1.0, 1.0]), 2).tolist() == [0, 1]


def test_the_refit_is_least_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    input_TI = torch.randn(200, 12, generator=generator, dtype=torch.float64)
    input_TI = input_TI @ torch.randn(12, 12, generator=generator, dtype=torch.float64)  # columns hang together
    weight_OI = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    kept = torch.tensor([0, 2, 3, 7, 11])
    gram_II = input_TI.T @ input_TI
    exact = torch.linalg.lstsq(input_TI[:, kept], input_TI @ weight_OI.T).solution.T
    torch.testing.assert_close(refit(weight_OI, gram_II, kept, 1e-12), exact, rtol=1e-6, atol=1e-6)
    far = refit(weight_OI, gram_II, kept, 1e12)
    torch.testing.assert_close(far, weight_OI[:, kept], rtol=1e-6, atol=1e-6)
    errors = [output_error(weight_OI, refit(weight_OI, gram_II, kept, ridge), gram_II, kept) for ridge in (1e-9, 1e-2, 1, 1e3)]  # fmt: skip
    assert errors == sorted(errors)
    assert errors[-1] < output_error(weight_OI, weight_OI[:, kept], gram_II, kept)
    naive_error = float((input_TI @ weight_OI.T - input_TI[:, kept] @ exact.T).square().sum())
    assert output_error(weight_OI, exact, gram_II, kept) == pytest.approx(naive_error, rel=1e-6)


def test_refitting_brings_the_output_closer(tiny_model: Path) -> None:
    whole = open_model(tiny_model, precision="fp32")
    rows = [torch.randint(3, 320, (64,), generator=torch.Generator().manual_seed(i)).tolist() for i in range(6)]
    scores = score_units(whole, rows, Fisher())
    far = {}
    for reconstruction in (None, LeastSquares()):
        model = open_model(tiny_model, precision="fp32")
        refitted = narrow(model, scores, Shape(64, 1, 2), rows, reconstruction)
        assert (refitted is None) == (reconstruction is None)
        if refitted is not None:
            assert refitted.error < refitted.plain
        far[reconstruction] = sum(float((logits(model, ids) - logits(whole, ids)).square().sum()) for ids in rows)
    assert far[LeastSquares()] < far[None]


def test_what_cannot_be_cut_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    check_prunable(tiny_model)
    other = make_model(tmp_path / "m")
    (other / "grids.json").write_text("{}")
    with pytest.raises(BurnishError, match="quantise last"):
        check_prunable(other)
    with pytest.raises(BurnishError, match="merge an adapter"):
        check_prunable(tmp_path)
    config = (other / "config.json").read_text().replace('"llama"', '"deepseek_v3"')
    (other / "config.json").write_text(config)
    (other / "grids.json").unlink()
    with pytest.raises(BurnishError, match="deepseek_v3"):
        check_prunable(other)
    with pytest.raises(RecipeError, match="ridge_frac is 0"):
        LeastSquares(0)


def planned(model: Any, **changes: Any) -> Shape:
    asked = {"ffn_frac": 0.0, "kv_groups_frac": 0.0, "num_kv_groups": None, "num_layers_dropped": 0, "multiple_of": 32}
    return target_of(model.config, **{**asked, **changes})


def test_targets_are_rounded_and_impossible_ones_refused(tmp_path: Path, model: Any) -> None:
    assert planned(model, ffn_frac=0.4) == Shape(64, 2, 2)
    assert planned(model, ffn_frac=0.9) == Shape(32, 2, 2)  # something is always left
    assert planned(model, kv_groups_frac=0.9, num_layers_dropped=1) == Shape(96, 1, 1)
    for changes, words in (
        ({"num_layers_dropped": 2}, "drop at most 1"),
        ({"ffn_frac": 0.1}, "nothing would go: 96 FFN channels"),
        ({"num_kv_groups": 3}, "can have 1, 2"),
        ({"ffn_frac": 0.5, "multiple_of": 128}, "multiple_of is 128; a layer has 96"),
    ):
        with pytest.raises(RecipeError, match=words):
            planned(model, **changes)
    many = open_model(make_model(tmp_path / "m", num_attention_heads=8, num_key_value_heads=8), precision="fp32")
    assert allowed_groups(many.config) == [1, 2, 4, 8]  # of width 64, which transformers wants in multiples of heads


def test_steps_are_small_and_end_at_the_target(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", "qwen3", intermediate_size=640, num_hidden_layers=4)
    model = open_model(folder, precision="fp32")
    target = Shape(320, 1, 2)
    steps = steps_to(model.config, target, 0.1, 32)
    assert steps_to(model.config, target, None, 32) == [target]
    assert [step.ffn_channels for step in steps] == [576, 512, 448, 384, 320]
    assert steps[-1] == target
    assert all(step.kv_groups >= 1 and 2 <= step.layers <= 4 for step in steps)
    steady = steps_to(model.config, Shape(640, 1, 4), 0.05, 32)
    assert steady == [Shape(640, 1, 4)]  # nothing else is touched, and a group goes whole


def test_a_step_that_costs_too_much_is_halved(tmp_path: Path) -> None:
    model = open_model(make_model(tmp_path / "m", "qwen3", intermediate_size=640), precision="fp32")
    plan = [Shape(512, 2, 2), Shape(256, 1, 2)]
    assert next_shape(model.config, plan, [], 32) == plan[0]
    assert next_shape(model.config, plan, [(plan[0], True)], 32) == plan[1]
    assert next_shape(model.config, plan, [(plan[0], True), (plan[1], True)], 32) is None
    tried = [(plan[0], True), (plan[1], False)]
    half = next_shape(model.config, plan, tried, 32)
    assert half == Shape(384, 2, 2)
    assert next_shape(model.config, plan, [*tried, (half, True)], 32) is None
    assert next_shape(model.config, plan, [*tried, (half, False)], 32) == Shape(448, 2, 2)
    shapes, last = [(plan[0], False)], plan[0]
    while (last := next_shape(model.config, plan, shapes, 32)) is not None:  # type: ignore[assignment]
        shapes.append((last, False))
    assert [shape.ffn_channels for shape, _ in shapes] == [512, 576, 608]
