"""compressed-tensors: the package's own packing beside ours, and transformers opening the result."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from exporting import distance, on_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.compress.export import compressed_tensors as written_by
from burnish.compress.export.source import Source, Written
from burnish.compress.grids import Fp8Grid, Grid, IntGrid
from burnish.errors import BurnishError
from burnish.evaluate.runtimes import compressed_logits

pytest.importorskip("compressed_tensors", reason="not installed: pip install 'burnish[export]'")


def saved(folder: Path, float_type: Any = "f32", *, has_int8_activations: bool = False) -> tuple[Path, Written]:
    """Export a folder beside itself."""
    out = folder.with_name(f"{folder.name}-packed")
    out.mkdir(exist_ok=True)
    return out, written_by.save_compressed_tensors(
        Source.read(folder), out, float_type=float_type, has_int8_activations=has_int8_activations
    )


def config_of(out: Path) -> dict[str, Any]:
    """Read what engines read."""
    found: dict[str, Any] = json.loads((out / "config.json").read_text())["quantization_config"]
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 3), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_bits_are_packed_as_the_package_packs_them(num_bits: int, rows: int, columns: int, seed: int) -> None:
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    random = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 1 << num_bits, (rows, columns), generator=random)
    theirs = pack_to_int32((values - (1 << (num_bits - 1))).to(torch.int8), num_bits)
    assert torch.equal(written_by._packed(values, num_bits), theirs)


@pytest.mark.parametrize(
    ("architecture", "changes", "grid", "how"),
    [
        ("llama", {}, IntGrid(4, 32), "pack-quantized"),
        ("llama", {}, IntGrid(4, 32, is_symmetric=False), "pack-quantized"),
        ("qwen2", {"tie_word_embeddings": False}, IntGrid(8), "pack-quantized"),
        ("qwen3", {"head_dim": 32}, IntGrid(3), "pack-quantized"),
        ("qwen3", {"head_dim": 32}, Fp8Grid(), "float-quantized"),
        ("llama", {}, {"attn": IntGrid(8), "mlp": IntGrid(4, 32)}, "pack-quantized"),
        ("qwen2", {}, {"attn": Fp8Grid(), "gate": IntGrid(4, 32), "up": IntGrid(4, 32)}, "mixed-precision"),
    ],
)
def test_transformers_opens_the_very_numbers(
    tmp_path: Path, architecture: str, changes: dict[str, Any], grid: Any, how: str
) -> None:
    folder = on_grid(tmp_path / "m", grid, architecture, **changes)
    out, written = saved(folder)
    assert distance(folder, compressed_logits(out, config_of(out))) == 0
    assert config_of(out)["format"] == how
    has_head = {name for name in Source.read(folder).placed if "embed" in name or "lm_head" in name}
    assert set(written.float_kept) == has_head
    assert not written.rounding
    assert not written.warnings


@pytest.mark.parametrize(("grid", "how"), [(IntGrid(8), "int-quantized"), (Fp8Grid(), "float-quantized")])
def test_activations_of_8_bits_where_weights_have_8(tmp_path: Path, grid: Grid, how: str) -> None:
    folder = on_grid(tmp_path / "m", grid)
    out, _ = saved(folder, has_int8_activations=True)
    assert config_of(out)["format"] == how
    assert config_of(out)["config_groups"]["group_0"]["input_activations"]["dynamic"] is True
    assert 1e-3 < distance(folder, compressed_logits(out, config_of(out))) < 0.2


def test_float16_holds_scales_exactly_and_rounds_the_embedding(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = on_grid(tmp_path / "m", IntGrid(4, 32))
    out, written = saved(folder, "f16")
    placed = Source.read(folder).placed["model.layers.0.mlp.up_proj.weight"]
    stored = load_file(out / "model.safetensors")
    assert torch.equal(stored["model.layers.0.mlp.up_proj.weight_scale"], placed.scale_OG)
    assert stored["model.embed_tokens.weight"].dtype == torch.float16
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
    assert set(written.rounding) == {"model.embed_tokens.weight"}
    assert 1e-5 < distance(folder, compressed_logits(out, config_of(out))) < 1e-2


def test_layers_that_engines_fuse_are_warned_of(tmp_path: Path) -> None:
    folder = on_grid(tmp_path / "m", {"q_proj": IntGrid(8), "k_proj": IntGrid(4, 32), "mlp": IntGrid(4, 32)})
    out, written = saved(folder)
    assert len(written.warnings) == 1
    assert "model.layers.0.self_attn.{q_proj,k_proj,v_proj}" in written.warnings[0]
    assert "model.layers.0.self_attn.v_proj" in config_of(out)["ignore"]
    mixed = on_grid(tmp_path / "n", {"attn": IntGrid(8), "mlp": IntGrid(4, 32, is_symmetric=False)})
    assert "only where all layers lie on one grid" in saved(mixed)[1].warnings[0]


def test_a_model_on_no_grid_is_refused(tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Grid]]] = [("none", {}), ("head", {"embed_tokens": IntGrid(8)})]
    for name, grid in cases:
        with pytest.raises(BurnishError, match="has no linear layer on a grid"):
            saved(on_grid(tmp_path / name, grid))


def test_a_number_too_large_for_half_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = on_grid(tmp_path / "m", {"mlp": IntGrid(8)})
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = 7e4
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BurnishError, match="holds 70000, which float16"):
        saved(folder, "f16")
