"""Exported models in their own runtimes: which one a folder is for, the logits it gives, and how it cuts text.

Legend: T tokens, V vocabulary.
"""

import json
import os
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import BurnishError
from burnish.evaluate.logits import Logits, openvino_logits
from burnish.nn.weights import open_tokenizer, quiet_transformers
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np


_LEAST_ROW = 2  # torch.export takes a length of one for a constant
_TOLD_TOKENS = 4096  # of llama.cpp's next-token distribution


@dataclass(frozen=True)
class Runtime:
    """An exported model, opened.

    Attributes:
        name: of the runtime and the arithmetic that it was asked for.
        logits: of every position; or, where some are not a number, log-probabilities of those tokens that it tells.
        tokenize: cuts a text, without tokens of its own before or after.
    """

    name: str
    logits: Logits
    tokenize: Callable[[str], list[int]]


def open_exported(folder: Path, *, max_tokens: int) -> Runtime:
    """Open an exported model in the runtime that its files are for.

    Args:
        max_tokens: of the longest row that will be asked.

    Raises:
        BurnishError: the folder holds none of the known forms.
        MissingExtra: the runtime is not installed.
    """
    if (folder / "openvino_model.xml").exists():
        return Runtime("OpenVINO, float32 arithmetic", openvino_logits(folder, arithmetic="exact"), _tokenizer(folder))
    if (folder / "model.onnx").exists():
        return Runtime("onnxruntime", onnx_logits(folder), _tokenizer(folder))
    if (folder / "model.gguf").exists():
        return llama_cpp(folder / "model.gguf", max_tokens=max_tokens)
    if (folder / "model.pte").exists():
        return Runtime("ExecuTorch", executorch_logits(folder), _tokenizer(folder))
    quantization = _quantization(folder)
    if quantization.get("quant_method") == "compressed-tensors":
        return Runtime("transformers, compressed-tensors", compressed_logits(folder, quantization), _tokenizer(folder))
    raise BurnishError(
        f"{folder} is no export that can be checked; it must hold openvino_model.xml, model.onnx, model.gguf, "
        "model.pte or a config.json with a compressed-tensors quantization_config"
    )


def onnx_logits(folder: Path) -> Logits:
    """Open an ONNX decoder in onnxruntime on the CPU, each row in one step from an empty cache."""
    import numpy as np

    onnxruntime = need("onnxruntime", extra="export")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    past = [each for each in session.get_inputs() if each.name.startswith("past_key_values.")]
    empty = {each.name: np.zeros((1, each.shape[1], 0, each.shape[3]), np.float32) for each in past}

    def logits(ids: Sequence[int]) -> "np.ndarray":
        row = np.array([list(ids)], dtype=np.int64)
        given = {"input_ids": row, "attention_mask": np.ones_like(row), "position_ids": np.arange(row.shape[1])[None]}
        found: np.ndarray = session.run(["logits"], given | empty)[0][0]
        return found

    return logits


def executorch_logits(folder: Path) -> Logits:
    """Open an ExecuTorch program in its own runtime."""
    torch = need("torch", extra="executorch")
    runtime = need("executorch.runtime", extra="executorch").Runtime.get()
    program = runtime.load_program(str(folder / "model.pte"))
    forward = program.load_method("forward")

    def logits(ids: Sequence[int]) -> "np.ndarray":
        if len(ids) < _LEAST_ROW:
            raise BurnishError(f"the program reads rows of at least {_LEAST_ROW} tokens; this one has {len(ids)}")
        found: np.ndarray = forward.execute([torch.tensor([list(ids)])])[0][0].numpy().copy()
        return found

    return logits


def compressed_logits(folder: Path, quantization: dict[str, Any]) -> Logits:
    """Open a compressed-tensors model in transformers, float32."""
    need("compressed_tensors", extra="export")
    transformers = need("transformers", extra="export")
    torch = need("torch", extra="export")
    options = {}
    if not all(group["weights"]["symmetric"] for group in quantization["config_groups"].values()):
        # transformers 5.23 with compressed-tensors 0.20 makes room for unpacked zero points and then meets packed ones
        options["quantization_config"] = transformers.CompressedTensorsConfig(dequantize=True)
    with quiet_transformers():
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, **options
        ).eval()

    def logits(ids: Sequence[int]) -> "np.ndarray":
        with torch.inference_mode(), quiet_transformers():  # unpacks at the first call, and says so
            found: np.ndarray = model(torch.tensor([list(ids)])).logits[0].numpy()
        return found

    return logits


def llama_cpp(path: Path, *, max_tokens: int) -> Runtime:
    """Open a GGUF file in llama.cpp, its cache in float32.

    llama.cpp tells log-probabilities of the next token alone, so that each position is a request; what was read
    before stays in its cache. Of a large vocabulary only the most probable tokens are asked for, since each one told
    is sorted and written out as JSON, at every position.
    """
    import numpy as np

    xllamacpp = need("xllamacpp", extra="export")
    given = xllamacpp.CommonParams()
    given.model.path = str(path)
    given.n_ctx, given.n_parallel, given.n_gpu_layers = max_tokens + 8, 1, 0
    given.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)  # its threads spin, and two on one core stand still
    given.warmup, given.verbosity = False, 0
    given.cache_type_k = given.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    given.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(given)
    vocab_size, plain = _vocabulary(path)
    told_tokens = min(vocab_size, _TOLD_TOKENS)

    def at(ids: Sequence[int]) -> "np.ndarray":
        # a token that ends the text or is part of a letter would be told without its probabilities, so a plain one is
        # drawn; the probabilities are those before the bias
        asked = {"prompt": list(ids), "max_tokens": 1, "logprobs": told_tokens, "logit_bias": {str(plain): 1e6}}
        told = server.handle_completions(asked)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        row = np.full(vocab_size, np.nan, np.float32)
        row[[each["id"] for each in told]] = [each["logprob"] for each in told]
        if len(told) != told_tokens:
            raise BurnishError(
                f"llama.cpp told {len(told)} log-probabilities of {path.name}; {told_tokens} were asked for"
            )
        return row

    def tokenize(text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(  # noqa: S310  # the server's own loopback address
            f"{server.listening_address}/tokenize", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return list(json.load(answer)["tokens"])

    def logits(ids: Sequence[int]) -> "np.ndarray":
        return np.stack([at(ids[: position + 1]) for position in range(len(ids))])

    return Runtime("llama.cpp, float32 cache", logits, tokenize)


def _vocabulary(path: Path) -> tuple[int, int]:
    """Give the size of a GGUF file's vocabulary, and a token of plain letters."""
    field = need("gguf", extra="export").GGUFReader(path).get_field("tokenizer.ggml.tokens")
    texts = field.contents()
    return len(texts), next(number for number, text in enumerate(texts) if text.isascii() and text.isalpha())


def _tokenizer(folder: Path) -> Callable[[str], list[int]]:
    tokenizer = open_tokenizer(folder)
    tokenizer.split_special_tokens = True  # a document that spells out a control token means its letters
    return lambda text: list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _quantization(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8")).get("quantization_config") or {}
