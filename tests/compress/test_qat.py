"""Quantisation-aware training: what is trained is what is written, nearer to the float model than rounding, resumable."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import seal_then_kill
from teaching_texts import text_data

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.bits import Bits, ByKind, Uniform
from burnish.compress.clip import MseClip, NoClip
from burnish.compress.fake_quant import LoraQat, fake_quantize
from burnish.compress.grids import Fp8Grid, Grid, IntGrid, place
from burnish.compress.pair import open_reader
from burnish.compress.placed import read_placed
from burnish.compress.qat import QatConfig, put_on_grids, qat, write_trained
from burnish.compress.quantize import QuantizeConfig, bits_of, quantize
from burnish.errors import RecipeError
from burnish.learn.distillation import DistillTask
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Sample, pack_once
from burnish.nn.compiled import compile_layers
from burnish.nn.divergence_loss import Matching
from burnish.nn.weights import open_model
from burnish.runtime import Run
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import make_model

W4 = Uniform(IntGrid(4, 32))
CONFIG = QatConfig(
    bits=W4,
    loop=LoopConfig(
        num_steps=8, row_tokens=128, rows_per_step=2, learning_rate=1e-3, snapshot_every_steps=3, validate_every_steps=4
    ),
    precision="fp32",
    teacher_precision="fp32",
)
IDS = torch.tensor([[5, 17, 90, 33, 41, 250, 9]])
GRIDS = [IntGrid(4, 32), IntGrid(3, 32, is_symmetric=False), IntGrid(8), IntGrid(2, 8), Fp8Grid()]


@pytest.fixture
def documents(run: Run) -> DatasetArtifact:
    return text_data(run)


@pytest.fixture
def floats(run: Run, tmp_path: Path) -> ModelArtifact:
    folder = make_model(tmp_path / "floats", "qwen2", initializer_range=0.15)
    return run(take_base, config=BaseConfig(LocalModel(folder)))


def linear(weight: Any) -> Any:
    module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    module.weight = torch.nn.Parameter(weight.clone())
    return module


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("learns_range", [True, False])
@pytest.mark.parametrize("lora", [None, LoraQat(4)])
def test_the_forward_pass_is_what_will_be_placed(grid: Grid, learns_range: bool, lora: LoraQat | None) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(6, 64), torch.randn(5, 64)
    module = linear(weight)
    start = place(weight, grid, clip=0.9)
    watched = fake_quantize("w", (module,), start, learns_range=learns_range, lora=lora)
    torch.testing.assert_close(module.weight, start.dequantize(), atol=0, rtol=0)
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=0.02)
    for _ in range(5):
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
    assert not torch.equal(module.weight, start.dequantize())
    placed = watched.placed()
    assert torch.equal(module.weight, placed.dequantize())
    assert placed.grid == grid
    assert torch.equal(placed.scale_OG, start.scale_OG) is not learns_range
    assert placed.scale_OG.dtype == start.scale_OG.dtype
    assert torch.equal(watched.latent, weight) is (lora is not None)


def test_gradients_are_straight_through_and_lsqs() -> None:
    grid = IntGrid(4, 8)
    weight = torch.tensor([[0.5, -1.2, 3.3, 0.2, 9.0, -20.0, 2.0, 0.0]])
    start = place(weight, grid)
    start = type(start)(grid, start.values_OI, torch.tensor([[1.0]], dtype=torch.float16))
    module = linear(weight)
    fake_quantize("w", (module,), start, learns_range=True, lora=None)
    module.weight.sum().backward()
    inside = (weight.round() >= -8) & (weight.round() <= 7)
    assert torch.equal(module.latent_OI.grad, inside.float())
    # LSQ, equation 3: the bound outside of the range, round(w / s) - w / s inside
    expected = torch.where(inside, weight.round() - weight, weight.round().clamp(-8, 7)).sum()
    torch.testing.assert_close(module.fake.change_OG.grad, expected.reshape(1, 1))


def test_inputs_are_rounded_a_token() -> None:
    torch.manual_seed(0)
    module, x = linear(torch.randn(3, 16)), torch.randn(2, 4, 16).requires_grad_()
    fake_quantize("w", (module,), place(module.weight.detach(), IntGrid(8)), input_bits=4)
    scale = x.detach().abs().amax(-1, keepdim=True) / 7
    near = (x.detach() / scale).round() * scale
    torch.testing.assert_close(module(x), near @ module.weight.T)
    assert (near - x).abs().max() > 0.01
    module(x).sum().backward()
    torch.testing.assert_close(x.grad, module.weight.detach().sum(0).expand_as(x))


@pytest.mark.parametrize(
    "bits",
    [
        W4,
        ByKind(IntGrid(8), IntGrid(4, 32), None),
        Uniform(IntGrid(4, 32), IntGrid(4, 32)),
        ByKind(None, Fp8Grid(), None),
    ],
)
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_the_written_model_says_what_the_trained_one_says(tmp_path: Path, bits: Bits, architecture: str) -> None:
    is_tied = architecture == "llama"
    folder = make_model(tmp_path / "floats", architecture, tie_word_embeddings=is_tied)
    model = open_model(folder, precision="fp32")
    watched, fixed = put_on_grids(model, replace(CONFIG, bits=bits))
    trains = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trains, lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
    (tmp_path / "written").mkdir()
    placed = fixed | {each.name: each.placed() for each in watched}
    write_trained(model, folder, tmp_path / "written", placed)
    assert bits_of(tmp_path / "written")  # numbers lie on their grids
    again = open_model(tmp_path / "written", precision="fp32")
    float_model = open_model(folder, precision="fp32")
    with torch.no_grad():
        mine, theirs, before = (each(input_ids=IDS).logits for each in (model, again, float_model))
    torch.testing.assert_close(theirs, mine, atol=1e-5, rtol=1e-5)
    assert (mine - before).abs().max() > 1e-2
    has_head = bits.head is not None
    assert ("model.embed_tokens.weight" in placed) is has_head
    assert ("lm_head.weight" in placed) is (has_head and not is_tied)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"range_rate": 0.0},
        {"lora": LoraQat(4)},
        {"bits": ByKind(IntGrid(8), IntGrid(3, 32), None), "activation_bits": 8},
        {"bits": Uniform(IntGrid(4, 32), IntGrid(4, 32)), "clip": NoClip()},
    ],
)
def test_training_takes_back_what_rounding_lost(
    run: Run, floats: ModelArtifact, documents: DatasetArtifact, changes: dict[str, Any]
) -> None:
    config = replace(CONFIG, **changes)
    made = run(qat, floats, floats, documents, config=config)
    after, start = made.measurement("validation_kl_nats"), made.measurement("start_validation_kl_nats")
    assert after.value < 0.9 * start.value
    rounded = run(quantize, floats, config=QuantizeConfig(bits=config.bits))
    assert read_placed(rounded.payload).keys() == read_placed(made.payload).keys()
    assert made.measurement("num_bits_mean").value == rounded.measurement("num_bits_mean").value
    for name, placed in read_placed(made.payload).items():
        assert placed.grid == read_placed(rounded.payload)[name].grid


def test_it_goes_on_from_what_quantize_made(run: Run, floats: ModelArtifact, documents: DatasetArtifact) -> None:
    rounded = run(quantize, floats, config=QuantizeConfig(bits=W4))
    still = replace(CONFIG, range_rate=0.0, loop=replace(CONFIG.loop, num_steps=1, learning_rate=1e-12))
    same = run(qat, rounded, floats, documents, config=still)
    assert same.measurement("validation_kl_nats").value == pytest.approx(
        same.measurement("start_validation_kl_nats").value, rel=1e-4
    )
    for name, placed in read_placed(same.payload).items():
        assert torch.equal(placed.values_OI, read_placed(rounded.payload)[name].values_OI)
        assert torch.equal(placed.scale_OG, read_placed(rounded.payload)[name].scale_OG)
    better = run(qat, rounded, floats, documents, config=CONFIG)
    assert better.measurement("validation_kl_nats").value < same.measurement("validation_kl_nats").value
    with pytest.raises(RecipeError, match="give the same bits"):
        run(qat, rounded, floats, documents, config=replace(CONFIG, bits=Uniform(IntGrid(4, 16))))


def test_a_killed_run_is_the_same_in_the_end(
    run: Run, floats: ModelArtifact, documents: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> ModelArtifact:
        return run(qat, floats, floats, documents, config=CONFIG)

    digest = seal_then_kill(run, monkeypatch, DistillTask, make, 6)
    assert make().manifest.payload_digest == digest


def test_what_cannot_be_trained_is_refused(run: Run, floats: ModelArtifact, documents: DatasetArtifact) -> None:
    for wrong, named in (
        ({"activation_bits": 9}, "activation_bits"),
        ({"range_rate": -1.0}, "range_rate"),
        ({"precision": "fp16"}, "fp16"),
        ({"clip": MseClip(is_weighted=True)}, "calibration"),
    ):
        with pytest.raises(RecipeError, match=named):
            replace(CONFIG, **wrong)
    with pytest.raises(RecipeError, match="rank is 0"):
        LoraQat(0)
    with pytest.raises(RecipeError, match="no matrix a grid to train on"):
        run(qat, floats, floats, documents, config=replace(CONFIG, bits=ByKind(None, None, IntGrid(8))))


@pytest.mark.parametrize(
    "changes",
    [
        {"activation_bits": 8},
        {"lora": LoraQat(4)},
        {"bits": ByKind(IntGrid(3, 32, is_symmetric=False), Fp8Grid(), None)},
    ],
)
def test_compiled_layers_share_whole_programs(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Three layers, one program with gradients and one without; a call that breaks a program shows as more of them."""
    from torch._dynamo.utils import counters

    folder = make_model(tmp_path / "floats", "qwen2", num_hidden_layers=3)
    results = []
    for is_compiled in (False, True):
        torch._dynamo.reset()
        counters.clear()
        torch.manual_seed(0)
        model = open_model(folder, precision="fp32")
        put_on_grids(model, replace(CONFIG, **changes))
        if is_compiled:
            for layer in model.model.layers:
                layer.compile(dynamic=False, backend="aot_eager")
        with torch.inference_mode():
            model(input_ids=IDS, use_cache=False)
        model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
        results.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 2
    assert results[0].keys() == results[1].keys()
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, atol=1e-4, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch 2.11 warns of itself
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_packed_and_compiled_steps_in_16_bits_are_those_in_32(tmp_path: Path) -> None:
    results = [one_step(tmp_path, precision, is_compiled=precision == "bf16") for precision in ("fp32", "bf16")]
    check_alike(*results)


def test_steps_in_16_bits_are_those_in_32(tmp_path: Path) -> None:
    check_alike(*(one_step(tmp_path, precision, is_compiled=False) for precision in ("fp32", "bf16")))


def one_step(root: Path, precision: str, *, is_compiled: bool) -> tuple[dict[str, float], dict[str, Any]]:
    """Make the gradient of a step of two packed rows; give what was measured, and the gradients of the matrices."""
    folder = make_model(root / precision, "qwen2", num_hidden_layers=3, initializer_range=0.15)
    model, teacher = open_reader(folder, precision), open_reader(folder, precision).requires_grad_(False)
    put_on_grids(model, CONFIG)
    if is_compiled:
        compile_layers(model)
        compile_layers(teacher)
    generator = random.Random(0)
    texts = [tuple(generator.randrange(320) for _ in range(length)) for length in (50, 70, 30, 90, 100)]
    samples = [Sample(ids, (1.0,) * len(ids)) for ids in texts]
    rows = pack_once(samples, row_tokens=256, is_filled=True)
    assert len(rows) == 2
    task = DistillTask(teacher, Matching(temperature=1.0))
    measured = task.backward(model.train(), rows, 1.0) | task.validate(model, rows)
    gradients = {name: p.grad.float().flatten() for name, p in model.named_parameters() if p.grad is not None}
    return measured, {name: gradient for name, gradient in gradients.items() if name.endswith("latent_OI")}


def check_alike(one: tuple[dict[str, float], dict[str, Any]], other: tuple[dict[str, float], dict[str, Any]]) -> None:
    assert one[0].keys() == other[0].keys()
    for name, value in one[0].items():
        assert other[0][name] == pytest.approx(value, rel=0.1), name
    assert one[1].keys() == other[1].keys()
    assert len(one[1]) == 3 * 7
    for name, gradient in one[1].items():
        assert torch.nn.functional.cosine_similarity(gradient, other[1][name], dim=0) > 0.85, name  # 0.94 on a CPU
