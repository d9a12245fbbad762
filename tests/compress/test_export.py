"""The export stage: every target from one model, its evidence, and on a real model all four in their runtimes."""

import json
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.bits import Uniform
from burnish.compress.export.write import (
    CompressedTensors,
    Executorch,
    ExportConfig,
    Gguf,
    Onnx,
    Openvino,
    export,
    targets,
)
from burnish.compress.grids import Grid, IntGrid
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.errors import BurnishError
from burnish.evaluate.exported import ExportParityConfig, check_export
from burnish.runtime import Run
from burnish.runtime.events import Event, Warned
from burnish.train.base import BaseConfig, take_base
from conftest import sealed_records

FILES = {
    "openvino": {"openvino_model.xml", "openvino_model.bin", "config.json", "tokenizer.json", "tokenizer_config.json"},
    "gguf": {"model.gguf"},
    "onnx": {"model.onnx", "model.onnx.data", "config.json", "genai_config.json", "tokenizer.json"},
    "compressed-tensors": {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"},
}
RUNTIMES = {"gguf": "xllamacpp", "onnx": "onnxruntime", "compressed-tensors": "compressed_tensors"}


def on_grid(run: Run, base: ModelArtifact, grid: Grid) -> ModelArtifact:
    """Quantise all matrices, the head too."""
    return run(quantize, base, config=QuantizeConfig(Uniform(grid, head=grid)))


def test_targets_go_by_the_names_of_the_command_line() -> None:
    assert targets() == {
        "openvino": Openvino,
        "gguf": Gguf,
        "onnx": Onnx,
        "compressed-tensors": CompressedTensors,
        "executorch": Executorch,
    }


@pytest.mark.parametrize("name", FILES)
def test_every_target_agrees_with_the_model_it_was_made_from(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, name: str
) -> None:
    if name in RUNTIMES:
        pytest.importorskip(RUNTIMES[name], reason="it is not installed: pip install 'burnish[export]'")
    model = on_grid(run, base, IntGrid(4, 32))
    exported = run(export, model, config=ExportConfig(targets()[name]()))
    assert {path.name for path in exported.payload.iterdir()} >= FILES[name] | {"export.json"}
    assert not list(exported.payload.glob("grids.*"))
    kept = exported.measurement("num_fell_back")
    assert exported.measurement("num_on_grid").value == 15 - kept.value
    assert kept.value == (name == "compressed-tensors")
    found = run(check_export, model, exported, headlines, config=ExportParityConfig(num_prompts=2, max_tokens=8))
    # llama.cpp rounds activations to 8 bits, and the packed model's embedding lies in float16
    limit = {"gguf": 0.2, "compressed-tensors": 5e-3}.get(name, 1e-5)
    assert found.measurement("logit_difference_max").value < limit
    assert found.measurement("tokens_equal_frac").value == 1
    whole = sum(path.stat().st_size for path in base.payload.glob("*.safetensors"))
    assert name != "gguf" or exported.measurement("size_bytes").value < whole / 5


def test_each_weight_says_which_form_it_has_taken(run: Run, base: ModelArtifact) -> None:
    exported = run(export, on_grid(run, base, IntGrid(4, 32)), config=ExportConfig(Gguf()))
    body = json.loads((exported.payload / "export.json").read_text())
    assert body["target"] == {"kind": "gguf", "float_type": "f32", "pre_tokenizer": None}
    assert body["forms"]["model.layers.0.mlp.up_proj.weight"] == "Q4_0"
    assert body["forms"]["model.norm.weight"] == "F32"


def test_what_an_engine_would_refuse_is_warned_of(run: Run, base: ModelArtifact, events: list[Event]) -> None:
    config = QuantizeConfig(Uniform(IntGrid(4, 32)), keep_float=("*.q_proj.weight",))
    run(export, run(quantize, base, config=config), config=ExportConfig(CompressedTensors()))
    assert any("vLLM does not" in event.message for event in events if isinstance(event, Warned))


def test_the_same_model_gives_the_same_bytes(run: Run, base: ModelArtifact) -> None:
    model = on_grid(run, base, IntGrid(8))
    for name in FILES:
        kind = targets()[name]
        first = run(export, model, config=ExportConfig(kind()))
        files = first.manifest.files
        run.store.set_aside(first.digest)
        assert run(export, model, config=ExportConfig(kind())).manifest.files == files, kind.__name__


def test_executorch_writes_float_models_alone(run: Run, base: ModelArtifact) -> None:
    with pytest.raises(BurnishError, match="15 weights lie on grids"):
        run(export, on_grid(run, base, IntGrid(8)), config=ExportConfig(Executorch()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torchao and torch.export, which executorch imports and calls
def test_executorch_agrees(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    pytest.importorskip("executorch", reason="ExecuTorch is not installed: pip install 'burnish[executorch]'")
    exported = run(export, base, config=ExportConfig(Executorch()))
    found = run(check_export, base, exported, headlines, config=ExportParityConfig(num_prompts=3, max_tokens=12))
    assert found.measurement("logit_difference_max").value < 1e-5


@pytest.mark.slow
def test_a_real_model_agrees_in_every_runtime(run: Run) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'burnish[export]'")
    texts = (
        "The capital of France is Paris, on the Seine.",
        "央行宣布下调存款准备金率，市场反应积极。",
        "f(x) = 1999 * x",
    )
    data = sealed_records(run, {"test": [{"id": str(i), "text": text, "label": ""} for i, text in enumerate(texts)]})
    base = run(take_base, config=BaseConfig())
    quantised = on_grid(run, base, IntGrid(4, 32))
    cases: list[tuple[ModelArtifact, Any, float]] = [
        (base, Gguf(), 1e-3),
        (quantised, Gguf(), 0.3),  # llama.cpp rounds activations to 8 bits
        (quantised, Openvino(), 1e-3),
        (quantised, Onnx(), 1e-3),
        (quantised, CompressedTensors("f32"), 1e-6),
        (quantised, CompressedTensors(), 5e-3),  # the embedding in float16
    ]
    for model, target, limit in cases:
        exported = run(export, model, config=ExportConfig(target))
        found = run(check_export, model, exported, data, config=ExportParityConfig(max_tokens=8))
        assert found.measurement("logit_difference_max").value < limit, target
        assert found.measurement("tokens_equal_frac").value == 1, target
        assert model is base or exported.measurement("size_frac").value < 0.35, target
