"""The stage that puts a model's matrices on grids."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.allocate import Allocated
from burnish.compress.bits import ByKind, Uniform
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.clip import MseClip, NoClip, PercentileClip
from burnish.compress.export.source import Source
from burnish.compress.gptq import Gptq
from burnish.compress.grids import Fp8Grid, IntGrid, place
from burnish.compress.placed import read_placed
from burnish.compress.quantize import QuantizeConfig, bits_of, quantize
from burnish.compress.rounding import Nearest, Rounding
from burnish.compress.weights import read_weights, refuse_unfit
from burnish.errors import ArtifactError, BurnishError, RecipeError
from burnish.evaluate.logits import model_logits
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Run
from burnish.runtime.events import Event, Warned
from burnish.runtime.recipes import fill, given
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import HEADLINES, make_model, sealed_records

IDS = [1, 50, 60, 70, 2, 9, 200]
INT4 = Uniform(IntGrid(4, 32))
LITTLE = CalibrationConfig(num_rows=6, row_tokens=32)


@pytest.fixture
def texts(run: Run) -> DatasetArtifact:
    rows = [{"id": f"h{i}", "text": HEADLINES[i % 6][0] + f" {i}", "label": ""} for i in range(24)]
    return sealed_records(run, {"train": rows})


def base_of(run: Run, folder: Path, architecture: str = "llama", **changes: Any) -> ModelArtifact:
    return run(take_base, config=BaseConfig(LocalModel(make_model(folder, architecture, **changes))))


def logit_error(model: ModelArtifact, base: ModelArtifact) -> float:
    expected = model_logits(base.payload)(IDS)
    return float(np.linalg.norm(model_logits(model.payload)(IDS) - expected) / np.linalg.norm(expected))


def test_by_default_every_matrix_has_eight_bits_a_row(run: Run, base: ModelArtifact) -> None:
    made = run(quantize, base, config=QuantizeConfig())
    placed = read_placed(made.payload)
    weights = load_file(base.payload / "model.safetensors")
    assert {name for name, weight in weights.items() if weight.ndim == 2} == set(placed)
    for name, found in placed.items():
        expected = place(weights[name], IntGrid(8))
        assert found.grid == IntGrid(8)
        assert torch.equal(found.values_OI, expected.values_OI)
        assert torch.equal(found.scale_OG, expected.scale_OG)
    assert 8 < made.measurement("num_bits_mean").value < 8.6
    assert made.measurement("size_bytes").value < base.measurement("size_bytes").value / 3
    assert made.measurement("relative_error_max").value < 0.01
    assert logit_error(made, base) < 0.1
    assert open_tokenizer(made.payload)("a man")["input_ids"] == open_tokenizer(base.payload)("a man")["input_ids"]


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [("llama", {}), ("qwen2", {"tie_word_embeddings": False}), ("qwen3", {"head_dim": 32}), ("mistral", {})],
)
def test_each_tensor_has_the_bits_that_were_asked_for(
    run: Run, tmp_path: Path, architecture: str, changes: dict[str, Any]
) -> None:
    """Read back from what was written, tensor by tensor: nothing is silently float, and nothing silently rounded."""
    base = base_of(run, tmp_path / "m", architecture, **changes)
    bits = ByKind(attention=IntGrid(8, 32), ffn=IntGrid(4, 32, is_symmetric=False), head=IntGrid(8))
    made = run(quantize, base, config=QuantizeConfig(bits=bits))
    wanted = {"self_attn": 8 + 16 / 32, "mlp": 4 + (16 + 4) / 32, "embed_tokens": 8.25, "lm_head": 8.25}
    found = bits_of(made.payload)
    before = load_file(base.payload / "model.safetensors")
    assert set(found) == set(before)
    for name, weight in load_file(made.payload / "model.safetensors").items():
        kind = next((each for each in wanted if f".{each}." in f".{name}"), "")
        assert found[name] == (wanted[kind] if weight.ndim == 2 else 32.0), name
        assert torch.equal(weight, before[name]) == (weight.ndim == 1), name
        if kind == "mlp":
            assert all(len(row.unique()) <= 16 for row in weight.unflatten(1, (-1, 32)).flatten(0, 1))
    assert json.loads((made.payload / "bits.json").read_text()) == found
    for kind, name in (("attention", "self_attn"), ("ffn", "mlp"), ("head", "embed_tokens")):
        assert made.measurement(f"num_bits_{kind}_mean").value == pytest.approx(wanted[name])


def test_a_tied_head_is_one_matrix_even_where_it_was_stored_twice(run: Run, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}, folder / "model.safetensors")
    made = run(quantize, run(take_base, config=BaseConfig(LocalModel(folder))), config=QuantizeConfig())
    assert "lm_head.weight" not in bits_of(made.payload)
    tied = load_file(made.payload / "model.safetensors")["model.embed_tokens.weight"]
    assert not torch.equal(tied, weights["model.embed_tokens.weight"])


def test_weights_in_another_layout_beside_the_model_are_not_read(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    weights = dict(read_weights(folder))
    save_file({"tok_embeddings.weight": torch.zeros(4, 4)}, folder / "consolidated.safetensors")
    assert set(dict(read_weights(folder))) == set(weights) == set(Source.read(folder).files)


def test_gptq_and_clipping_come_closer_than_plain_rounding(
    run: Run, base: ModelArtifact, texts: DatasetArtifact
) -> None:
    """On the calibration text itself, the logits' distance from the float model's."""
    ways: dict[str, Rounding] = {
        "plain": Nearest(),
        "mse": Nearest(MseClip()),
        "weighted": Nearest(MseClip(is_weighted=True)),
        "percentile": Nearest(PercentileClip(0.97)),
        "paper": Gptq(has_act_order=False, clip=NoClip()),
        "gptq": Gptq(),
    }
    config = CalibrationConfig(num_rows=20, row_tokens=32)
    made = {
        name: run(quantize, base, texts, config=QuantizeConfig(INT4, rounding=way, calibration=config))
        for name, way in ways.items()
    }
    ids = open_tokenizer(base.payload)(HEADLINES[0][0])["input_ids"]
    expected = model_logits(base.payload)(ids)
    errors = {name: float(np.linalg.norm(model_logits(each.payload)(ids) - expected)) for name, each in made.items()}
    assert errors["gptq"] < 0.9 * errors["plain"], errors
    assert errors["paper"] < 0.9 * errors["plain"], errors
    assert errors["mse"] < errors["plain"], errors
    assert len(set(errors.values())) == len(ways)
    for each in made.values():
        assert set(bits_of(each.payload).values()) == {4.5, 8.25, 32.0}


@pytest.mark.parametrize("rounding", [Gptq(), Nearest(MseClip(is_weighted=True))])
def test_text_that_is_needed_must_be_given(run: Run, base: ModelArtifact, rounding: Gptq | Nearest) -> None:
    with pytest.raises(RecipeError, match="reads calibration text, and 0 datasets were given"):
        run(quantize, base, config=QuantizeConfig(INT4, rounding=rounding))
    with pytest.raises(RecipeError, match="allocated bits"):
        run(quantize, base, config=QuantizeConfig(Allocated()))


def test_bits_are_allotted_by_measured_divergence(run: Run, base: ModelArtifact, texts: DatasetArtifact) -> None:
    config = QuantizeConfig(Allocated(max_bits_mean=5.5, num_tokens=96), Gptq(), calibration=LITTLE)
    made = run(quantize, base, texts, config=config)
    report = json.loads((made.payload / "allocation.json").read_text())
    assert len(report["units"]) == 4
    assert all(len(unit["kl_nats"]) == 3 for unit in report["units"])
    assert made.measurement("num_bits_allocated_mean").value <= 5.5
    assert made.measurement("kl_allocated_nats").value > 0
    chosen = {name: unit["chosen"] for unit in report["units"] for name in unit["weights"]}
    placed = read_placed(made.payload)
    assert {name: str(placed[name].grid) for name in chosen} == chosen
    assert len(set(chosen.values())) > 1
    counts = Counter(bits_of(made.payload).values())
    assert counts[8.25] == 1  # the tied embedding, which is no part of the exchange
    assert set(counts) <= {3.5, 4.5, 8.5, 8.25, 32.0}


def test_allocated_bits_with_no_layer_to_choose_for_are_refused(
    run: Run, base: ModelArtifact, texts: DatasetArtifact
) -> None:
    config = QuantizeConfig(Allocated(num_tokens=96), keep_float=("model.layers.*",), calibration=LITTLE)
    with pytest.raises(RecipeError, match=r"keep_float is model\.layers\.\*, .* no layer .* give fewer patterns"):
        run(quantize, base, texts, config=config)


def test_the_same_call_gives_the_same_bytes(run: Run, base: ModelArtifact, texts: DatasetArtifact) -> None:
    """The contract suite makes the default call twice; this is the call that measures."""
    config = QuantizeConfig(Allocated(num_tokens=96), Gptq(), calibration=LITTLE)
    first = run(quantize, base, texts, config=config)
    files = first.manifest.files
    run.store.set_aside(first.digest)
    assert run(quantize, base, texts, config=config).manifest.files == files


def test_an_input_that_was_never_active_falls_back_and_says_so(
    run: Run, tmp_path: Path, texts: DatasetArtifact, events: list[Event]
) -> None:
    folder = make_model(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"].zero_()  # so that down_proj is given zeros alone
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    base = run(take_base, config=BaseConfig(LocalModel(folder)))
    made = run(quantize, base, texts, config=QuantizeConfig(INT4, Gptq(), calibration=LITTLE))
    warned = [
        event.message for event in events if isinstance(event, Warned) and "rounded to the nearest" in event.message
    ]
    assert len(warned) == 1
    assert warned[0].startswith("model.layers.1.mlp.down_proj.weight")
    name = "model.layers.1.mlp.down_proj.weight"
    assert torch.equal(read_placed(made.payload)[name].values_OI, place(weights[name], IntGrid(4, 32)).values_OI)


def test_fp8_is_written_and_read_back(run: Run, base: ModelArtifact) -> None:
    made = run(quantize, base, config=QuantizeConfig(Uniform(Fp8Grid())))
    assert read_placed(made.payload)["model.layers.0.mlp.up_proj.weight"].values_OI.dtype == torch.float8_e4m3fn
    assert logit_error(made, base) < 0.5


def test_keep_float_keeps_and_what_is_kept_is_told(run: Run, base: ModelArtifact, events: list[Event]) -> None:
    kept = run(quantize, base, config=QuantizeConfig(keep_float=("*.down_proj.weight",)))
    assert kept.measurement("num_bits_mean").value > 10
    assert bits_of(kept.payload)["model.layers.1.mlp.down_proj.weight"] == 32
    assert not [event for event in events if isinstance(event, Warned)]
    run(quantize, base, config=QuantizeConfig(Uniform(IntGrid(4, 32), head=None)))
    assert [event for event in events if isinstance(event, Warned) and "stay in float32" in event.message]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (QuantizeConfig(keep_float=("nothing.*",)), "matches no weight"),
        (QuantizeConfig(keep_float=("*",)), "leaves no matrix"),
        (QuantizeConfig(ByKind(head=None), keep_float=("*_proj.weight",)), "leave no matrix"),
        (
            QuantizeConfig(Uniform(IntGrid(4, 64))),
            r"down_proj.weight: group_size 64 does not divide 96 inputs; 32 does",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    run: Run, base: ModelArtifact, config: QuantizeConfig, words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        run(quantize, base, config=config)


@pytest.mark.parametrize("num_tokens", [100, 40_000])
def test_trials_that_read_no_whole_row_or_more_than_there_is_are_refused(num_tokens: int) -> None:
    with pytest.raises(RecipeError, match=rf"num_tokens is {num_tokens}; .* from 512 .* to 32768"):
        QuantizeConfig(Allocated(num_tokens=num_tokens))


@pytest.mark.parametrize("rounding", [Nearest(), Gptq()])
def test_a_weight_that_is_not_finite_is_named(
    run: Run, tmp_path: Path, texts: DatasetArtifact, rounding: Nearest | Gptq
) -> None:
    folder = make_model(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.self_attn.o_proj.weight"][3, 3] = torch.inf
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    base = run(take_base, config=BaseConfig(LocalModel(folder)))
    with pytest.raises(BurnishError, match=r"layers\.1\.self_attn\.o_proj\.weight: .* must be a finite matrix"):
        run(quantize, base, texts, config=QuantizeConfig(rounding=rounding, calibration=LITTLE))


def test_a_quantised_model_is_not_quantised_again(run: Run, base: ModelArtifact) -> None:
    once = run(quantize, base, config=QuantizeConfig())
    with pytest.raises(BurnishError, match="quantised already"):
        run(quantize, once, config=QuantizeConfig(INT4))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantised already \(as gptq\)"),
        ({"model_type": "deepseek_v3"}, "'deepseek_v3'; quantisation knows llama"),
    ],
)
def test_what_cannot_be_quantised_as_a_whole_is_refused(
    tiny_model: Path, tmp_path: Path, change: Any, words: str
) -> None:
    config = json.loads((tiny_model / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BurnishError, match=words):
        refuse_unfit(tmp_path)


def test_an_adapter_cannot_be_quantised(run: Run, tmp_path: Path) -> None:
    model = base_of(run, tmp_path / "m")
    for file in model.payload.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(BurnishError, match="holds no safetensors"):
        run(quantize, model, config=QuantizeConfig())


def test_numbers_that_left_their_grid_are_found(run: Run, base: ModelArtifact, tmp_path: Path) -> None:
    made = run(quantize, base, config=QuantizeConfig())
    shutil.copytree(made.payload, tmp_path / "changed")
    file = tmp_path / "changed/model.safetensors"
    weights = load_file(file)
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] += 1e-4
    save_file(weights, file)
    with pytest.raises(ArtifactError, match="does not lie on its grid"):
        bits_of(tmp_path / "changed")


def test_a_recipe_names_every_choice() -> None:
    values = {
        "bits": {
            "kind": "allocated",
            "candidates": [{"kind": "int_grid", "num_bits": 4, "group_size": 32}, {"kind": "fp8_grid"}],
            "max_bits_mean": 6.0,
        },
        "rounding": {"kind": "gptq", "damping_frac": 0.02, "clip": {"kind": "mse_clip", "num_steps": 10}},
        "calibration": {"num_rows": 20},
    }
    config = fill(QuantizeConfig, values)
    assert config.bits == Allocated((IntGrid(4, 32), Fp8Grid()), 6.0)
    assert config.rounding == Gptq(damping_frac=0.02, clip=MseClip(num_steps=10))
    assert fill(QuantizeConfig, given(config)) == config
