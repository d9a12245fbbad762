"""The OpenVINO graph against transformers, and what its engine keeps in memory."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from burnish.compress.export.openvino_ir import build_model, save_openvino
from burnish.compress.export.source import Source
from burnish.compress.grids import Fp8Grid, Grid, IntGrid, Placed, place
from burnish.compress.weights import config_of, read_weights, write_weights
from burnish.errors import BurnishError
from burnish.evaluate.logits import model_logits, openvino_logits
from burnish.measure.divergence import log_softmax
from burnish.nn.decoder import Decoder
from burnish.nn.weights import open_model
from burnish.serve.engine.openvino import OpenvinoEngine
from burnish.serve.engine.protocol import Request, Sampling
from burnish.serve.engine.settings import EngineSettings
from burnish.serve.folder import ServableFolder
from conftest import make_model

IDS = [1, 50, 60, 70, 2, 9, 200]
GRIDS = (
    IntGrid(8), IntGrid(8, is_symmetric=False), IntGrid(8, 32), IntGrid(8, 32, is_symmetric=False), IntGrid(6, 16),
    IntGrid(4), IntGrid(4, 32), IntGrid(4, 32, is_symmetric=False), IntGrid(3, 32), IntGrid(2, 32, is_symmetric=False),
)  # fmt: skip


def exported(folder: Path, source: Path, grid: Grid | None) -> Path:
    """Export a model, its matrices on a grid; give the folder of the model that holds the very same numbers."""
    twin = folder / "twin"
    twin.mkdir(parents=True)
    placed = {} if grid is None else {n: place(w, grid) for n, w in read_weights(source) if w.ndim == 2}
    write_weights(source, twin, placed)
    save_openvino(Source.read(twin), folder)
    return twin


def assert_same_logits(folder: Path, twin: Path) -> None:
    expected = model_logits(twin)(IDS)
    found = openvino_logits(folder, arithmetic="exact")(IDS)
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(np.abs(expected).max()))


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
@pytest.mark.parametrize("grid", [None, IntGrid(8), IntGrid(4, 32, is_symmetric=False)])
def test_the_graph_gives_the_logits_of_transformers(
    tmp_path: Path, architecture: str, changes: dict[str, Any], grid: Grid | None
) -> None:
    source = make_model(tmp_path / "source", architecture, **changes)
    assert_same_logits(tmp_path / "ir", exported(tmp_path / "ir", source, grid))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_every_grid_is_exported_number_for_number(tmp_path: Path, tiny_model: Path, grid: IntGrid) -> None:
    assert_same_logits(tmp_path / "ir", exported(tmp_path / "ir", tiny_model, grid))


@pytest.mark.parametrize(
    ("grid", "kind"),
    [
        (None, "f32"),
        (IntGrid(8), "i8"),
        (IntGrid(8, 32, is_symmetric=False), "u8"),
        (IntGrid(4, 32), "i4"),
        (IntGrid(4, 32, is_symmetric=False), "u4"),
    ],
)
def test_the_engine_keeps_the_bits_in_memory(tmp_path: Path, grid: Grid | None, kind: str) -> None:
    """Not the file alone: the compiled model's matrices are of that type, and its products read them so."""
    import openvino

    source = make_model(tmp_path / "m", hidden_size=128, intermediate_size=256)
    weights = {n: place(w, grid) if grid and w.ndim == 2 else w.numpy() for n, w in read_weights(source)}
    compiled = openvino.Core().compile_model(build_model(weights, config_of(source)), "CPU")
    matrices: Counter[str] = Counter()
    products = 0
    for op in compiled.get_runtime_model().get_ordered_ops():
        info = {key: str(getattr(value, "value", value)) for key, value in op.get_rt_info().items()}
        is_constant = info["layerType"] in ("Const", "Constant")
        if is_constant and np.prod(op.get_output_shape(0)) >= 4096:
            matrices[info["outputPrecisions"]] += 1
        products += info["layerType"] == "FullyConnected"
    assert set(matrices) == {kind}
    assert products == 15  # 7 linears in each of 2 layers, and the head


def test_fp8_has_no_place_and_says_so(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(BurnishError, match="no place for fp8"):
        exported(tmp_path / "ir", tiny_model, Fp8Grid())


def test_a_norm_on_a_grid_is_refused(tiny_model: Path) -> None:
    weights: dict[str, Any] = {name: weight.numpy() for name, weight in read_weights(tiny_model)}
    weights["model.norm.weight"] = Placed(IntGrid(8), torch.ones(1, 64).to(torch.int8), torch.ones(1, 1).half())
    with pytest.raises(BurnishError, match="norms and biases stay in float"):
        build_model(weights, config_of(tiny_model))


def test_the_state_carries_on_where_a_prompt_ended(tmp_path: Path, tiny_model: Path) -> None:
    """Decoding token by token through the cache gives what one pass gives."""
    import openvino

    exported(tmp_path / "ir", tiny_model, None)
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(tmp_path / "ir/openvino_model.xml"),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"},
    )
    request = compiled.create_infer_request()
    whole = openvino_logits(tmp_path / "ir", arithmetic="exact")(IDS)
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


def served_logprobs(folder: Path, settings: EngineSettings) -> tuple[float, ...]:
    """Give what the engine makes of the tokens after the first."""
    engine = OpenvinoEngine(ServableFolder.read(folder), settings)
    engine.add(Request(1, tuple(IDS), Sampling(0, echo=True, logprobs=True)))
    found = [logprob for _ in range(3) for delta in engine.step() for logprob in delta.logprobs]
    engine.close()
    return tuple(value for value in found if value is not None)


def test_the_engine_rounds_activations_where_it_may(tmp_path: Path) -> None:
    twin = exported(tmp_path, make_model(tmp_path / "source", "llama"), IntGrid(8))
    shutil.copytree(twin, tmp_path, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    exact, kept, rounded = (
        served_logprobs(tmp_path, EngineSettings(num_threads=1, **changes))  # type: ignore[arg-type]
        for changes in ({"precision": "f32"}, {"activations": "float"}, {})
    )
    logprobs = log_softmax(model_logits(twin)(IDS))
    assert exact == pytest.approx([logprobs[i, token] for i, token in enumerate(IDS[1:])], abs=1e-4)
    assert kept == pytest.approx(exact, abs=0.3)
    if "avx512_vnni" in Path("/proc/cpuinfo").read_text(encoding="ascii"):  # else there is nothing to round for
        assert kept != rounded
    save_openvino(Source.read(twin), tmp_path, rounds_activations=False)
    assert served_logprobs(tmp_path, EngineSettings(num_threads=1)) == kept  # the file says so itself
