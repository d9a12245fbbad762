"""GGUF: the very numbers in ggml's blocks, and real llama.cpp beside transformers."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from exporting import IDS, distance, on_grid
from tokenizers import Regex, pre_tokenizers

from burnish.artifacts import ModelArtifact
from burnish.compress.export.gguf import save_gguf
from burnish.compress.export.gguf_tokens import read_tokens
from burnish.compress.export.source import Source, Written
from burnish.compress.export.write import ExportConfig, Gguf, export
from burnish.compress.grids import Fp8Grid, Grid, IntGrid, Placed
from burnish.errors import ArtifactError, BurnishError
from burnish.evaluate.runtimes import llama_cpp
from burnish.runtime import Run
from conftest import make_model

ARCHITECTURES: list[tuple[str, dict[str, Any]]] = [
    ("llama", {}),
    ("llama", {"tie_word_embeddings": False, "num_key_value_heads": 4, "rope_theta": 5e5}),
    ("qwen2", {}),
    ("qwen3", {"head_dim": 32}),
    ("mistral", {"sliding_window": None}),
]
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXTS = (
    "In 1999 the committee's 12 members voted 7:5; THEY'VE since changed it.\n\n  def f(x):\n\treturn x**2\n",
    "央行宣布下调存款准备金率0.25个百分点，市场反应积极。",
    "naïve café — 😀 №5  <|im_end|> trailing   ",
)


def saved(folder: Path, float_type: Any = "f32") -> tuple[Path, Written]:
    """Export a folder beside itself."""
    out = folder.with_name(f"{folder.name}-gguf")
    out.mkdir()
    written = save_gguf(Source.read(folder), out, float_type=float_type, pre_tokenizer=None)
    return out / "model.gguf", written


def read_back(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read all tensors with gguf's own reader, dequantised, and their types."""
    tensors = gguf.GGUFReader(path).tensors
    return (
        {each.name: gguf.dequantize(each.data, each.tensor_type) for each in tensors},
        {each.name: each.tensor_type.name for each in tensors},
    )


def heads_undone(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """Put the rows of q or k back into the order of transformers."""
    return rows.reshape(num_heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


@pytest.mark.parametrize(
    ("architecture", "grid", "kind"),
    [
        ("llama", IntGrid(4, 32), "Q4_0"),
        ("qwen3", IntGrid(3, 32, is_symmetric=False), "Q4_0"),
        ("llama", IntGrid(8, 32), "Q8_0"),
        ("llama", IntGrid(8), "Q8_0"),
        ("qwen2", IntGrid(5, 32, is_symmetric=False), "Q8_0"),
    ],
)
def test_the_file_holds_the_very_numbers(tmp_path: Path, architecture: str, grid: Grid, kind: str) -> None:
    folder = on_grid(tmp_path / "m", grid, architecture)
    path, written = saved(folder)
    source = Source.read(folder)
    numbers, kinds = read_back(path)
    names = {
        "token_embd": ("model.embed_tokens", 0),
        "blk.1.attn_q": ("model.layers.1.self_attn.q_proj", 4),
        "blk.1.attn_k": ("model.layers.1.self_attn.k_proj", 2),
        "blk.0.attn_v": ("model.layers.0.self_attn.v_proj", 0),
        "blk.0.ffn_down": ("model.layers.0.mlp.down_proj", 0),
    }
    for name, (ours, num_heads) in names.items():
        weight = source.weight(f"{ours}.weight")
        assert isinstance(weight, Placed)
        found = numbers[f"{name}.weight"]
        if num_heads and architecture == "llama":
            found = heads_undone(found, num_heads)
        np.testing.assert_array_equal(found, weight.dequantize().numpy(), err_msg=name)
        assert kinds[f"{name}.weight"] == kind
    assert kinds["output_norm.weight"] == "F32"
    assert len(numbers) == len(source.files)
    assert not written.rounding
    assert (written.repeated_bytes > 0) == (grid == IntGrid(8))


def test_a_zero_point_becomes_an_offset_rounded_to_half(tmp_path: Path) -> None:
    folder = on_grid(tmp_path / "m", IntGrid(4, 32, is_symmetric=False))
    path, written = saved(folder)
    numbers, kinds = read_back(path)
    weight = Source.read(folder).weight("model.layers.0.mlp.up_proj.weight")
    assert isinstance(weight, Placed)
    assert kinds["blk.0.ffn_up.weight"] == "Q4_1"
    most = (weight.zero_OG.float() * weight.scale_OG.float()).repeat_interleave(32, dim=1).numpy()
    error = np.abs(numbers["blk.0.ffn_up.weight"] - weight.dequantize().numpy())
    assert error.max() > 0
    assert (error <= most * 2**-11 + 1e-7).all()
    assert 0 < max(written.rounding.values()) < 1e-3


@pytest.mark.parametrize(("architecture", "changes"), ARCHITECTURES)
def test_llama_cpp_gives_the_logits_of_transformers(tmp_path: Path, architecture: str, changes: dict[str, Any]) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'burnish[export]'")
    folder = on_grid(tmp_path / "m", None, architecture, **changes)
    assert distance(folder, llama_cpp(saved(folder)[0], max_tokens=len(IDS)).logits) < 1e-5


@pytest.mark.parametrize("grid", [IntGrid(4, 32), IntGrid(8)])
def test_quantised_blocks_run_in_llama_cpp(tmp_path: Path, grid: Grid) -> None:
    """Its products round activations to 8 bits, so that logits move, though not the weights."""
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'burnish[export]'")
    folder = on_grid(tmp_path / "m", grid)
    assert 1e-4 < distance(folder, llama_cpp(saved(folder)[0], max_tokens=len(IDS)).logits) < 0.1


@pytest.mark.parametrize(
    ("cut", "name"),
    [
        (pre_tokenizers.ByteLevel(add_prefix_space=False), "gpt-2"),
        (
            pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            ),
            "smollm",
        ),
        (
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(QWEN), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            ),
            "qwen2",
        ),
        (
            pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            ),
            "llama-bpe",
        ),
    ],
)
def test_llama_cpp_cuts_text_as_the_tokenizer_does(tmp_path: Path, cut: Any, name: str) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'burnish[export]'")
    from tokenizers import Tokenizer, decoders, models, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 4, trainer)
    folder = make_model(tmp_path / "m", vocab_size=420)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>").save_pretrained(folder)
    assert read_tokens(folder, vocab_size=420, pre=None).pre == name
    engine = llama_cpp(saved(folder)[0], max_tokens=8)
    from transformers import AutoTokenizer

    ours = AutoTokenizer.from_pretrained(folder)
    ours.split_special_tokens = True
    for text in TEXTS:
        assert engine.tokenize(text) == ours(text, add_special_tokens=False)["input_ids"]


def test_the_tokenizer_travels_along(run: Run, base: ModelArtifact) -> None:
    exported = run(export, base, config=ExportConfig(Gguf()))
    reader = gguf.GGUFReader(exported.payload / "model.gguf")

    def field(name: str) -> Any:
        return reader.get_field(name).contents()

    tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    assert len(tokens) == 320
    assert (tokens[1], kinds[1], kinds[40]) == ("<|im_start|>", 3, 1)
    assert field("tokenizer.ggml.eos_token_id") == 2
    assert field("tokenizer.ggml.add_bos_token") is False
    assert "im_start" in field("tokenizer.chat_template")
    assert field("llama.attention.head_count_kv") == 2
    assert json.loads((exported.payload / "export.json").read_text())["target"]["kind"] == "gguf"


@pytest.mark.parametrize(
    ("grid", "changes", "words"),
    [
        (Fp8Grid(), {}, "has no 8-bit floats"),
        (IntGrid(8, 32, is_symmetric=False), {}, "take is_symmetric true"),
        (IntGrid(4, 16), {}, "take group_size 32"),
        (IntGrid(8), {"intermediate_size": 88}, "88 inputs on int8"),
    ],
)
def test_a_grid_without_a_place_is_refused(tmp_path: Path, grid: Grid, changes: dict[str, Any], words: str) -> None:
    folder = on_grid(tmp_path / "m", grid, **changes)
    with pytest.raises(BurnishError, match=words):
        saved(folder)


def test_a_number_too_large_for_half_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_model(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][3, 5] = 7e4
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BurnishError, match="take float_type f32"):
        save_gguf(Source.read(folder), tmp_path, float_type="f16", pre_tokenizer=None)
    assert read_back(saved(folder)[0])[0]["blk.0.ffn_up.weight"][3, 5] == 7e4


def test_floats_may_be_halved(tmp_path: Path) -> None:
    path, written = saved(make_model(tmp_path / "m"), "f16")
    kinds = read_back(path)[1]
    assert (kinds["blk.0.ffn_up.weight"], kinds["blk.0.ffn_norm.weight"]) == ("F16", "F32")
    assert 1e-5 < max(written.rounding.values()) < 2**-11


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda body: body["model"].update(byte_fallback=True),
            "with byte fallback; the GGUF export knows byte-level BPE",
        ),
        (lambda body: body.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer, such as 'qwen2'"),
        (lambda body: body["model"]["vocab"].update(extra=9000), "the tokenizer's last token is 9000"),
    ],
)
def test_a_tokenizer_without_a_place_is_refused(tiny_model: Path, tmp_path: Path, change: Any, words: str) -> None:
    body = json.loads((tiny_model / "tokenizer.json").read_text())
    change(body)
    (tmp_path / "tokenizer.json").write_text(json.dumps(body))
    with pytest.raises(BurnishError, match=words):
        read_tokens(tmp_path, vocab_size=320, pre=None)


def test_a_model_changed_after_it_was_quantised_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = on_grid(tmp_path / "m", IntGrid(4, 32))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] += 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=r"up_proj\.weight does not lie on its grid"):
        Source.read(folder).weight("model.layers.0.mlp.up_proj.weight")


def test_what_no_export_knows_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="give a merged model, not an adapter"):
        Source.read(tmp_path)
    for path in tiny_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text()) | {"model_type": "deepseek_v3"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BurnishError, match="'deepseek_v3'; this export knows llama"):
        Source.read(tmp_path)
