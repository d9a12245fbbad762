"""Less memory for the same numbers: what is recomputed or offloaded changes no bit, and less is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fitting import Fitting, equal, one_thread, samples

from burnish.errors import BurnishError, RecipeError
from burnish.learn.memory import Memory
from burnish.learn.packing import pack
from burnish.learn.task import TokenTask
from burnish.nn.weights import device, open_model
from burnish.train.methods import Full, Lora, Method, Prefix, Prompt, prepare
from burnish.train.tuning import TuneConfig
from conftest import make_model

LORA = Lora(rank=4, alpha=8, dropout=0.2)


@pytest.fixture(scope="module")
def four_layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("four-layers"), num_hidden_layers=4)


def measured(folder: Path, method: Method, memory: Memory) -> tuple[float, dict[str, Any], int]:
    """Take one backward pass; give the loss, the gradients, and the bytes that the forward pass kept for it."""
    torch.manual_seed(0)
    model, _ = prepare(open_model(folder, precision="fp32"), method, folder)
    model.train()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack_one(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    row = next(pack(samples(), row_tokens=64, seed=0))
    hooks = torch.autograd.graph.saved_tensors_hooks(pack_one, lambda tensor: tensor)
    with one_thread(), hooks, memory.saving(model):
        loss = TokenTask().backward(model, [row], 1.0)["loss_nats"]
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss, gradients, sum(kept.values())


@pytest.mark.parametrize("method", [Full(), LORA, Prompt(4)])
@pytest.mark.parametrize("memory", [Memory(1), Memory(2), Memory(0, is_offloaded=True), Memory(1, is_offloaded=True)])
def test_loss_and_gradients_are_the_same_to_the_bit(four_layers: Path, method: Method, memory: Memory) -> None:
    loss, gradients, _ = measured(four_layers, method, Memory())
    saved_loss, saved_gradients, _ = measured(four_layers, method, memory)
    assert saved_loss == loss
    assert gradients
    assert equal(saved_gradients, gradients)


@pytest.mark.parametrize("method", [Full(), LORA])
def test_the_more_is_recomputed_the_less_is_kept(four_layers: Path, method: Method) -> None:
    none, every_2nd, every = (measured(four_layers, method, Memory(n))[2] for n in (0, 2, 1))
    assert every < 0.35 * none
    assert every < every_2nd < none
    assert every_2nd - every == pytest.approx((none - every) / 2, rel=0.1)  # two of the four layers


def test_it_ends_with_the_training(four_layers: Path) -> None:
    model = open_model(four_layers, precision="fp32")
    before = [layer.forward for layer in model.model.layers]
    with Memory(2).saving(model):
        assert [layer.forward != kept for layer, kept in zip(model.model.layers, before, strict=True)] == [
            True,
            False,
        ] * 2
    assert [layer.forward for layer in model.model.layers] == before


def test_whole_runs_end_with_the_same_weights(tmp_path: Path, tiny_model: Path) -> None:
    loop = Fitting(tmp_path, tiny_model).loop
    _, weights = Fitting(tmp_path / "plain", tiny_model).go()
    for name, memory in (("recomputed", Memory(1)), ("offloaded", Memory(2, is_offloaded=True))):
        fitting = Fitting(tmp_path / name, tiny_model, loop=replace(loop, memory=memory))
        assert equal(fitting.go()[1], weights)


def test_prefix_is_refused() -> None:
    loop = replace(TuneConfig().loop, memory=Memory(1))
    with pytest.raises(RecipeError, match=r"set loop\.memory\.recompute_every to 0, or use method lora"):
        TuneConfig(method=Prefix(), loop=loop)
    with pytest.raises(RecipeError, match="recompute_every is -1"):
        Memory(-1)


def test_a_model_without_decoder_layers_is_refused(tmp_path: Path) -> None:
    import transformers

    config = transformers.GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=8)
    model = transformers.GPT2LMHeadModel(config)
    with pytest.raises(BurnishError, match="gpt2 keeps no list `layers`"), Memory(1).saving(model):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="offloading moves what a GPU keeps")
def test_offloading_leaves_less_on_the_gpu(four_layers: Path) -> None:
    assert device() == "cuda"
    peaks = []
    for memory in (Memory(), Memory(is_offloaded=True)):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        measured(four_layers, Full(), memory)
        peaks.append(torch.cuda.max_memory_allocated() - start)
    assert peaks[1] < peaks[0]
