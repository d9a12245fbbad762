"""Quantisation on the grid, and the OpenVINO graph against transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from burnish.artifacts import ModelArtifact
from burnish.compress.export.openvino_ir import build_model, save_model
from burnish.compress.grid import Quantized, quantize_rows
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.errors import BurnishError, RecipeError
from burnish.evaluate.logits import openvino_logits
from burnish.nn.decoder import Decoder
from burnish.nn.weights import open_model
from burnish.runtime import Run
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import make_model

IDS = [1, 50, 60, 70, 2, 9, 200]


@given(hnp.arrays(np.float32, (3, 8), elements=st.floats(-100, 100, width=32)))
def test_rounding_is_within_half_a_step(weight: np.ndarray) -> None:
    quantized = quantize_rows(weight)
    step = quantized.scale_O1.astype(np.float32)
    assert quantized.values_OI.dtype == np.int8
    # half a step, and what float16 takes off the largest value of a row
    assert (np.abs(quantized.dequantize() - weight) <= 0.5 * step + 1e-3 * np.abs(weight) + 1e-6).all()


def test_quantizing_again_changes_nothing() -> None:
    weight = np.random.default_rng(0).normal(size=(16, 32)).astype(np.float32)
    once = quantize_rows(weight)
    again = quantize_rows(once.dequantize())
    np.testing.assert_allclose(again.dequantize(), once.dequantize(), rtol=1e-3)


@pytest.mark.parametrize("weight", [np.full((2, 2), np.nan), np.ones(3)])
def test_what_is_no_finite_matrix_is_refused(weight: np.ndarray) -> None:
    with pytest.raises(BurnishError, match="finite matrix"):
        quantize_rows(weight)


def exported(folder: Path, source: Path, *, on_grid: bool) -> tuple[Any, dict[str, Any]]:
    """Export a model; give its transformers twin holding the very same (dequantised) weights."""
    model = open_model(source, precision="fp32")
    config = json.loads((source / "config.json").read_text())
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    if config.get("tie_word_embeddings"):
        weights.pop("lm_head.weight", None)
    formed: dict[str, Any] = {
        name: quantize_rows(value) if on_grid and value.ndim == 2 else value for name, value in weights.items()
    }
    folder.mkdir()
    save_model(formed, config, folder)
    plain = {n: torch.tensor(v.dequantize() if isinstance(v, Quantized) else v) for n, v in formed.items()}
    model.load_state_dict(plain, strict=False)
    return model, config


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": False, "num_key_value_heads": 4}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 32}),
        ("mistral", {"sliding_window": None}),
    ],
)
@pytest.mark.parametrize("on_grid", [False, True])
def test_the_graph_gives_the_logits_of_transformers(
    tmp_path: Path, architecture: str, changes: dict[str, Any], on_grid: bool
) -> None:
    source = make_model(tmp_path / "source", architecture, **changes)
    twin, _ = exported(tmp_path / "ir", source, on_grid=on_grid)
    with torch.inference_mode():
        expected = twin(torch.tensor([IDS])).logits[0].numpy()
    found = openvino_logits(tmp_path / "ir", precision="f32")(IDS)
    np.testing.assert_allclose(found, expected, atol=2e-3 * float(np.abs(expected).max()))


def test_the_state_carries_on_where_a_prompt_ended(tmp_path: Path, tiny_model: Path) -> None:
    """Decoding token by token through the cache gives what one pass gives."""
    import openvino

    exported(tmp_path / "ir", tiny_model, on_grid=False)
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(tmp_path / "ir/openvino_model.xml"),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"},
    )
    request = compiled.create_infer_request()
    whole = openvino_logits(tmp_path / "ir", precision="f32")(IDS)
    for position, token in enumerate(IDS):
        out = request.infer(
            {
                "input_ids": np.array([[token]]),
                "attention_mask": np.ones((1, position + 1), dtype=np.int64),
                "position_ids": np.array([[position]]),
                "beam_idx": np.zeros(1, dtype=np.int32),
            }
        )
        np.testing.assert_allclose(out["logits"][0, 0], whole[position], atol=1e-3)


def test_the_stage_puts_every_matrix_on_the_grid(run: Run, base: ModelArtifact) -> None:
    import openvino

    compressed = run(quantize, base, config=QuantizeConfig())
    kinds: dict[str, int] = {}
    for op in openvino.Core().read_model(compressed.payload / "openvino_model.xml").get_ordered_ops():
        if op.get_type_name() == "Constant" and len(op.shape) == 2 and min(op.shape) > 1:
            kinds[op.get_element_type().get_type_name()] = kinds.get(op.get_element_type().get_type_name(), 0) + 1
    assert kinds == {"i8": 15}  # 7 linears in each of 2 layers, and the tied embedding
    assert compressed.measurement("num_bits_mean").value < 8.6
    weights = {a: next(a.payload.glob(f)).stat().st_size for a, f in ((compressed, "*.bin"), (base, "*.safetensors"))}
    assert weights[compressed] < weights[base] / 3


def test_keep_float_keeps_and_a_pattern_without_a_match_is_refused(run: Run, base: ModelArtifact) -> None:
    kept = run(quantize, base, config=QuantizeConfig(keep_float=("*.down_proj.weight",)))
    assert kept.measurement("num_bits_mean").value > 10
    with pytest.raises(RecipeError, match="matches no weight"):
        run(quantize, base, config=QuantizeConfig(keep_float=("nothing.*",)))


def test_an_unknown_weight_or_a_missing_one_is_refused(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    config = json.loads((tiny_model / "config.json").read_text())
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    with pytest.raises(BurnishError, match=r"no place for: model\.layers\.0\.extra\.weight"):
        build_model({**weights, "model.layers.0.extra.weight": np.ones((2, 2), np.float32)}, config)
    del weights["model.norm.weight"]
    with pytest.raises(BurnishError, match=r"hold no model\.norm\.weight"):
        build_model(weights, config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "deepseek_v3"}, "'deepseek_v3'; this export knows llama"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "type 'yarn'"),
        ({"model_type": "mistral", "sliding_window": 4096}, "sliding-window"),
    ],
)
def test_what_the_graph_would_lose_is_refused(tiny_model: Path, changes: dict[str, Any], words: str) -> None:
    config = json.loads((tiny_model / "config.json").read_text()) | changes
    with pytest.raises(BurnishError, match=words):
        Decoder.from_config(config)


def test_an_adapter_cannot_be_quantised(run: Run, tmp_path: Path) -> None:
    source = make_model(tmp_path / "m")
    model = run(take_base, config=BaseConfig(LocalModel(source)))
    for file in model.payload.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(BurnishError, match="holds no safetensors"):
        run(quantize, model, config=QuantizeConfig())
