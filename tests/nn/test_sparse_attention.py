"""Attention with a window: what it computes is what a dense mask computes, and what it costs grows with the length."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.nn.attention import (
    CONFIG_KEY,
    Attention,
    FullAttention,
    LocalGlobal,
    SlidingWindow,
    Sparse,
    attention_of,
    describe_attention,
    shape_of,
)
from burnish.nn.blocked_attention import blocked_attention, make_blocks
from burnish.nn.chat import LabelTask
from burnish.nn.decoder import Decoder
from burnish.nn.forward import logits_at
from burnish.nn.sparse_attention import flex_mask
from burnish.nn.weights import device, open_model, save_model
from burnish.runtime import Run
from burnish.runtime.recipes import fill
from burnish.train.base import BaseConfig, LocalModel, take_base
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.merge import MergeConfig, merge
from burnish.train.methods import Full, Lora, Prefix
from burnish.train.tuning import TuneConfig
from conftest import make_model

FAMILIES = ("llama", "qwen2", "qwen3", "mistral")
KINDS: tuple[Sparse, ...] = (SlidingWindow(5), LocalGlobal(5, 3))
CONFIG = FinetuneConfig(
    task=LabelTask("Which?", ("serious", "sarcastic")),
    method=Lora(rank=4, alpha=8),
    loop=LoopConfig(num_steps=2, row_tokens=512, learning_rate=0.02),
    precision="fp32",
    attention=LocalGlobal(8, 2),
)


def dense_mask(positions: list[int], window: int, num_global: int) -> torch.Tensor:
    """Say pair by pair what is seen, (T, T): the definition."""
    position = torch.tensor(positions)
    document, order = (position == 0).cumsum(0), torch.arange(len(positions))
    is_same = document[:, None] == document[None]
    is_near = position[:, None] - position[None] < window
    return is_same & (order[None] <= order[:, None]) & (is_near | (position[None] < num_global))


def first_of(positions: list[int]) -> torch.Tensor:
    return torch.arange(len(positions)) - torch.tensor(positions)


def packed(lengths: list[int]) -> list[int]:
    return [position for length in lengths for position in range(length)]


def by_dense_mask(tensors: list[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    query, key, value = tensors
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.one_of(st.integers(1, 9), st.integers(60, 200)), min_size=1, max_size=6),
    window=st.one_of(st.integers(1, 12), st.integers(60, 260)),
    num_global=st.integers(0, 70),
    heads=st.sampled_from([(1, 1), (4, 2), (3, 1)]),
)
def test_blocks_equal_a_dense_mask_forward_and_backward(
    lengths: list[int], window: int, num_global: int, heads: tuple[int, int]
) -> None:
    positions = packed(lengths)
    torch.manual_seed(len(positions))
    tensors = [torch.randn(1, heads[i], len(positions), 16, requires_grad=True) for i in (0, 1, 1)]
    upstream = torch.randn(1, heads[0], len(positions), 16)
    blocks = make_blocks(first_of(positions)[None], window, num_global, heads[0] // heads[1], torch.float32)
    found = blocked_attention(tensors[0], tensors[1], tensors[2], blocks, None)
    gradients = torch.autograd.grad(found, tensors, upstream)
    expected = by_dense_mask(tensors, dense_mask(positions, window, num_global))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, tensors, upstream), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.one_of(st.integers(1, 9), st.integers(100, 400)), min_size=1, max_size=6),
    window=st.one_of(st.integers(1, 12), st.integers(100, 600)),
    num_global=st.one_of(st.integers(0, 8), st.integers(120, 300)),
)
def test_the_block_mask_holds_every_pair_that_is_seen_and_no_other(
    lengths: list[int], window: int, num_global: int
) -> None:
    positions = packed(lengths)
    mask = flex_mask(first_of(positions)[None], window, num_global)
    expected = dense_mask(positions, window, num_global)
    places = torch.arange(len(positions))
    sees = mask.mask_mod(torch.tensor(0), torch.tensor(0), places[:, None], places[None])
    assert torch.equal(sees, expected)
    tiles = mask.to_dense()[0, 0].bool()
    covered = tiles.repeat_interleave(128, 0).repeat_interleave(128, 1)[: len(positions), : len(positions)]
    assert not (expected & ~covered).any()


def test_tiles_that_nothing_sees_are_left_out() -> None:
    assert flex_mask(first_of(packed([4096]))[None], 128, 4).to_dense().sum() == 32 + 31 + 30
    assert flex_mask(first_of(packed([4096]))[None], 128, 0).to_dense().sum() == 32 + 31
    assert flex_mask(first_of(packed([128] * 32))[None], 1024, 4).to_dense().sum() == 32


def test_flex_attention_equals_a_dense_mask() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    positions = packed([150, 1, 90])
    tensors = [torch.randn(1, heads, len(positions), 16) for heads in (4, 2, 2)]
    mask = flex_mask(first_of(positions)[None], 40, 4)
    with pytest.warns(UserWarning, match="without torch.compile"):
        found = flex_attention(*tensors, block_mask=mask, enable_gqa=True)
    torch.testing.assert_close(found, by_dense_mask(tensors, dense_mask(positions, 40, 4)), atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch 2.11 warns of itself
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_flex_attention_has_the_gradients_of_a_dense_mask(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    model = open_model(folder, precision="fp32", sees=LocalGlobal(40, 4))
    for positions in (packed([150, 1, 90]), packed([300])):
        torch.testing.assert_close(
            *gradients_and_oracle(model, folder, positions, LocalGlobal(40, 4)), atol=2e-3, rtol=2e-3
        )


def gradients_and_oracle(model: Any, folder: Path, positions: list[int], attention: Sparse) -> tuple[Any, Any]:
    """Give logits and gradients of the model, and those of transformers' own attention under a dense mask."""
    torch.manual_seed(1)
    ids = torch.randint(3, 320, (len(positions),)).tolist()
    oracle = plain_model(folder)
    mask = (
        torch.zeros(len(positions), len(positions))
        .masked_fill(~dense_mask(positions, *shape_of(attention)), torch.finfo(torch.float32).min)[None, None]
        .to(device())
    )
    mask = {"full_attention": mask} if oracle.config.model_type.startswith("qwen") else mask
    place = {"input_ids": torch.tensor([ids]).to(device()), "position_ids": torch.tensor([positions]).to(device())}
    expected = oracle(**place, attention_mask=mask, use_cache=False).logits[0]
    found = logits_at(model, ids, positions, torch.ones(len(ids), dtype=torch.bool))
    results = []
    for network, logits in ((model, found), (oracle, expected)):
        network.zero_grad()
        logits.float().log_softmax(-1)[:, 7].mean().backward()
        results.append([logits, *(parameter.grad for parameter in network.parameters())])
    return results[0], results[1]


def plain_model(folder: Path) -> Any:
    """Open a model with eager attention to everything, as if its folder said nothing."""
    return open_model(folder, precision="fp32", attention="eager", sees=FullAttention())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", KINDS)
def test_a_packed_row_of_any_family_equals_a_dense_mask(tmp_path: Path, family: str, attention: Sparse) -> None:
    folder = make_model(tmp_path / "model", family)
    model = open_model(folder, precision="fp32", sees=attention)
    for lengths in ([3], [80, 1, 2, 70], [1, 1, 30]):
        found, expected = gradients_and_oracle(model, folder, packed(lengths), attention)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", KINDS)
def test_padding_and_the_cache_change_nothing(tmp_path: Path, family: str, attention: Sparse) -> None:
    """Greedy continuations of texts of unequal length, padded on the left, are those of whole passes one by one."""
    model = open_model(make_model(tmp_path / "model", family), precision="fp32", sees=attention)
    texts = [[5, 9, 7, 20, 31, 44, 8, 250, 17, 18, 19], [40, 41, 42]]
    longest = max(map(len, texts))
    ids = torch.tensor([[2] * (longest - len(text)) + text for text in texts], device=device())
    mask = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts], device=device())
    with torch.inference_mode():
        out = model.generate(
            ids, attention_mask=mask, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=2
        )
        for text, row in zip(texts, out.tolist(), strict=True):
            grown = list(text)
            for _ in range(8):
                chosen = torch.ones(len(grown), dtype=torch.bool)
                grown.append(int(logits_at(model, grown, range(len(grown)), chosen)[-1].argmax()))
            assert row[longest:] == grown[len(text) :]


@pytest.mark.parametrize("attention", [*KINDS, FullAttention()])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_is_opened_with_the_attention_it_was_saved_with(
    tmp_path: Path, family: str, attention: Attention
) -> None:
    ids = list(range(10, 50))
    chosen = torch.ones(40, dtype=torch.bool)
    model = open_model(make_model(tmp_path / "model", family), precision="fp32", sees=attention)
    save_model(model, tmp_path / "saved")
    again = open_model(tmp_path / "saved", precision="fp32")
    assert attention_of(tmp_path / "saved") == attention
    expected = logits_at(model, ids, range(40), chosen)
    assert torch.equal(logits_at(again, ids, range(40), chosen), expected)
    full = logits_at(plain_model(tmp_path / "saved"), ids, range(40), chosen)
    assert ((full - expected).abs().max() < 1e-4) == isinstance(attention, FullAttention)


@pytest.mark.parametrize("family", FAMILIES[1:])
def test_transformers_alone_opens_a_window_that_the_architecture_has(tmp_path: Path, family: str) -> None:
    import transformers

    model = open_model(make_model(tmp_path / "model", family), precision="fp32", sees=SlidingWindow(5))
    save_model(model, tmp_path / "saved")
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved", attn_implementation="eager")
    ids = torch.arange(10, 50)[None]
    torch.testing.assert_close(plain(ids).logits, model(ids.to(device())).logits.cpu(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", [Lora(rank=4, alpha=8), Full()])
def test_a_recipe_tunes_with_it_and_what_is_made_of_it_keeps_it(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, method: Lora | Full
) -> None:
    tuned = run(finetune, base, headlines, config=replace(CONFIG, method=method))
    full = run(finetune, base, headlines, config=replace(CONFIG, method=method, attention=None))
    loss, full_loss = (each.measurement("validation_loss_nats").value for each in (tuned, full))
    assert loss != pytest.approx(full_loss, rel=1e-4)
    assert "the last 8 tokens and the first 2" in (tuned.payload.parent / "card.md").read_text()
    assert attention_of(tuned.payload) == LocalGlobal(8, 2)
    assert attention_of(full.payload) is None
    whole = run(merge, base, tuned, config=MergeConfig()) if isinstance(method, Lora) else tuned
    assert json.loads((whole.payload / "config.json").read_text())[CONFIG_KEY]["window_tokens"] == 8
    with pytest.raises(BurnishError, match="attention with a window is not exported"):
        Decoder.from_config(json.loads((whole.payload / "config.json").read_text()))


def test_a_second_tuning_keeps_the_attention_of_the_first(
    run: Run, headlines: DatasetArtifact, tmp_path: Path, tiny_model: Path
) -> None:
    save_model(open_model(tiny_model, precision="fp32", sees=LocalGlobal(8, 2)), tmp_path / "marked")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / "marked" / name).write_bytes((tiny_model / name).read_bytes())
    marked = run(take_base, config=BaseConfig(LocalModel(tmp_path / "marked")))
    kept = run(finetune, marked, headlines, config=replace(CONFIG, attention=None))
    undone = run(finetune, marked, headlines, config=replace(CONFIG, attention=FullAttention()))
    assert attention_of(kept.payload) == LocalGlobal(8, 2)
    assert attention_of(undone.payload) == FullAttention()


def test_recipes_name_it_and_wrong_values_are_refused() -> None:
    assert fill(TuneConfig, {"attention": "local_global"}).attention == LocalGlobal(256, 4)
    sliding = fill(TuneConfig, {"attention": {"kind": "sliding_window", "window_tokens": 16}})
    assert sliding.attention == SlidingWindow(16)
    assert TuneConfig().attention is None
    with pytest.raises(RecipeError, match="window_tokens is 0"):
        SlidingWindow(0)
    with pytest.raises(RecipeError, match="num_global_tokens is 0"):
        LocalGlobal(16, 0)
    with pytest.raises(RecipeError, match="method prefix"):
        TuneConfig(method=Prefix(), attention=LocalGlobal())
    assert "last 1,024 tokens" in describe_attention(SlidingWindow())


def test_an_architecture_with_a_mixture_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "gemma3_text", "layer_types": ["sliding_attention", "full_attention"]})
    )
    with pytest.raises(RecipeError, match="gemma3_text models have attention of other kinds"):
        open_model(tmp_path, precision="fp32", sees=SlidingWindow())


def test_a_kind_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({CONFIG_KEY: {"kind": "dilated"}}))
    with pytest.raises(BurnishError, match="asks for attention 'dilated'"):
        attention_of(tmp_path)


def test_a_mask_made_elsewhere_is_refused(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32", sees=LocalGlobal(8, 2))
    mask = torch.zeros(1, 1, 4, 4, device=device())
    with pytest.raises(BurnishError, match="a mask made elsewhere"):
        model(torch.tensor([[5, 6, 7, 8]], device=device()), attention_mask=mask)


def test_the_work_grows_with_the_length_and_not_with_its_square() -> None:
    """Counted, not timed: pairs that the blocks compute, at four lengths."""

    def num_pairs(length: int) -> int:
        return int(make_blocks(first_of(packed([length]))[None], 256, 4, 1, torch.float32).mask.numel())

    counts = [num_pairs(length) for length in (2048, 4096, 8192, 16384)]
    assert [later / earlier for earlier, later in pairwise(counts)] == [2.0, 2.0, 2.0]
    assert counts[-1] < 16384 * 2 * 256
