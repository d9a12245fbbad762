"""ONNX: real onnxruntime beside transformers, with and without grids, in one pass and token by token."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import IDS, distance, on_grid

from burnish.compress.export.onnx import save_onnx
from burnish.compress.export.onnx_genai import genai_config
from burnish.compress.export.source import Source, Written
from burnish.compress.grids import Fp8Grid, Grid, IntGrid
from burnish.errors import BurnishError
from burnish.evaluate.logits import greedy, model_logits
from burnish.evaluate.runtimes import onnx_logits


def saved(folder: Path, *, has_int8_activations: bool = False) -> tuple[Path, Written]:
    """Export a folder beside itself."""
    out = folder.with_name(f"{folder.name}-onnx")
    out.mkdir()
    return out, save_onnx(Source.read(folder), out, has_int8_activations=has_int8_activations)


@pytest.mark.parametrize(
    ("architecture", "changes", "grid"),
    [
        ("llama", {}, None),
        ("llama", {"tie_word_embeddings": False, "num_key_value_heads": 4}, IntGrid(4, 32)),
        ("llama", {}, IntGrid(8)),
        ("mistral", {"sliding_window": None}, IntGrid(4, 32)),
        ("qwen2", {}, IntGrid(4, 32, is_symmetric=False)),
        ("qwen2", {"tie_word_embeddings": False}, IntGrid(3, 16, is_symmetric=False)),
        ("qwen3", {"head_dim": 32}, IntGrid(8, 32, is_symmetric=False)),
        ("qwen3", {"head_dim": 32}, {"mlp": IntGrid(4), "attn": IntGrid(8, 16)}),
    ],
)
def test_onnxruntime_gives_the_logits_of_transformers(
    tmp_path: Path, architecture: str, changes: dict[str, Any], grid: Any
) -> None:
    folder = on_grid(tmp_path / "m", grid, architecture, **changes)
    out, written = saved(folder)
    assert distance(folder, onnx_logits(out)) < 1e-5
    on_grid_names = {name for name, form in written.forms.items() if form != "float32"}
    assert on_grid_names == set(Source.read(folder).placed)
    assert set(written.forms) == set(Source.read(folder).files)


def test_the_cache_and_the_mask_carry_on(tmp_path: Path) -> None:
    """A row padded on the left and decoded token by token gives what one pass gives."""
    import onnxruntime

    folder = on_grid(tmp_path / "m", IntGrid(4, 32))
    session = onnxruntime.InferenceSession(str(saved(folder)[0] / "model.onnx"), providers=["CPUExecutionProvider"])
    whole = model_logits(folder)
    rows, short = [IDS, [0, 0, *IDS[:-2]]], 2
    past: dict[str, Any] = {
        each.name: np.zeros((2, 2, 0, 16), np.float32) for each in session.get_inputs() if "past" in each.name
    }
    names = [each.name for each in session.get_outputs()]
    for step, token in enumerate(zip(*rows, strict=True)):
        mask = np.ones((2, step + 1), np.int64)
        mask[1, :short] = 0
        place = np.array([[step], [max(step - short, 0)]])
        given = {"input_ids": np.array(token)[:, None], "attention_mask": mask, "position_ids": place, **past}
        found = dict(zip(names, session.run(names, given), strict=True))
        past = {name.replace("present", "past_key_values"): one for name, one in found.items() if "present" in name}
        last = found["logits"][:, 0]
    for row, ids in ((0, IDS), (1, IDS[:-2])):
        expected = whole(ids)[-1]
        np.testing.assert_allclose(last[row], expected, atol=1e-4 * float(np.abs(expected).max()))


def test_int8_activations_are_asked_for_and_move_the_logits(tmp_path: Path) -> None:
    folder = on_grid(tmp_path / "m", IntGrid(4, 32))
    out, _ = saved(folder, has_int8_activations=True)
    assert 1e-3 < distance(folder, onnx_logits(out)) < 0.2


def test_a_row_scale_is_repeated_and_counted(tmp_path: Path) -> None:
    _, written = saved(on_grid(tmp_path / "m", {"down_proj": IntGrid(8)}))
    assert written.forms["model.layers.0.mlp.down_proj.weight"] == "int8 in blocks of 32"
    assert written.repeated_bytes == 2 * 64 * (96 // 32 - 1) * 4


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_onnxruntime_genai_runs_it(tmp_path: Path, architecture: str) -> None:
    genai = pytest.importorskip("onnxruntime_genai", reason="not installed: pip install 'burnish[export]'")
    folder = on_grid(tmp_path / "m", IntGrid(8), architecture)
    out, _ = saved(folder)
    (out / "genai_config.json").write_text(json.dumps(genai_config(Source.read(folder))))
    parameters = genai.GeneratorParams(model := genai.Model(str(out)))
    parameters.set_search_options(max_length=len(IDS) + 6, do_sample=False)
    generator = genai.Generator(model, parameters)
    generator.append_tokens(IDS)
    while not generator.is_done():
        generator.generate_next_token()
    expected = greedy(model_logits(folder), IDS, max_tokens=6, stop=2)
    assert list(generator.get_sequence(0))[len(IDS) :][: len(expected)] == expected


@pytest.mark.parametrize(
    ("grid", "changes", "words"),
    [
        (Fp8Grid(), {}, "export compressed-tensors, which holds fp8"),
        (IntGrid(4, 8), {}, "has blocks of 16, 32, 64"),
        (IntGrid(8), {"intermediate_size": 72}, "72 inputs on int8"),
    ],
)
def test_a_grid_without_a_place_is_refused(tmp_path: Path, grid: Grid, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BurnishError, match=words):
        saved(on_grid(tmp_path / "m", grid, **changes))


def test_an_unknown_weight_or_a_missing_one_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = on_grid(tmp_path / "m", None)
    tensors = load_file(folder / "model.safetensors")
    extra = tensors | {"model.layers.0.extra.weight": tensors["model.norm.weight"].clone()}
    save_file(extra, folder / "model.safetensors")
    with pytest.raises(BurnishError, match=r"no place for model\.layers\.0\.extra\.weight"):
        save_onnx(Source.read(folder), tmp_path, has_int8_activations=False)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BurnishError, match=r"hold no model\.layers\.1\.mlp\.up_proj\.weight"):
        save_onnx(Source.read(folder), tmp_path, has_int8_activations=False)
