"""Weights and tokenizers in the Hugging Face layout: open, save, read from GGUF; safetensors only."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.nn.attention import CONFIG_KEY, Attention, FullAttention, as_dict, attention_of, config_changes
from burnish.nn.sparse_attention import register_sparse
from burnish.runtime import need

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
CONFIG_FILES = ("config.json", "generation_config.json")


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers and PEFT from drawing their own progress bars and advice over ours."""
    logging = need("transformers", extra="train").utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def open_model(folder: Path, *, precision: str, attention: str | None = None, sees: Attention | None = None) -> Any:
    """Open a causal language model for inference, on the GPU where there is one.

    Args:
        folder: Hugging Face layout with safetensors.
        precision: "fp32", "bf16" or "fp16", of the weights in memory.
        attention: name of an implementation that transformers knows, of what `sees` says; None leaves it the choice.
        sees: what tokens attend to; None takes what the folder says, which is all earlier tokens where it says nothing.

    Raises:
        RecipeError: the architecture does not suit `sees`.
    """
    transformers = need("transformers", extra="train")
    sees = sees or attention_of(folder)
    options = {} if sees is None else config_changes(folder, sees)
    if attention is None and sees is not None and not isinstance(sees, FullAttention):
        attention = register_sparse(sees)
    if attention is not None:
        options["attn_implementation"] = attention
    with quiet_transformers():
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch_dtype(precision), use_safetensors=True, local_files_only=True, **options
        )
    if sees is not None:
        setattr(model.config, CONFIG_KEY, as_dict(sees))
    return model.to(device()).eval()


def open_tuned(base: Path, tuned: Path, *, precision: str) -> Any:
    """Open what training made, for inference: a model of its own, or the base with the adapter beside it."""
    if not (tuned / "adapter_config.json").exists():
        return open_model(tuned, precision=precision)
    peft = need("peft", extra="train")
    model = open_model(base, precision=precision, sees=attention_of(tuned))
    with quiet_transformers():
        return peft.PeftModel.from_pretrained(model, tuned).to(device()).eval()


def open_tokenizer(folder: Path) -> Any:
    """Open a tokenizer with its chat template."""
    transformers = need("transformers", extra="train")
    with quiet_transformers():
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def save_model(model: Any, folder: Path) -> None:
    """Write config and safetensors."""
    with quiet_transformers():
        model.save_pretrained(folder, safe_serialization=True)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer's and the generation config's files byte for byte, so that no hand-over can change them."""
    for name in (*TOKENIZER_FILES, "generation_config.json"):
        if (source / name).exists():
            (target / name).write_bytes((source / name).read_bytes())


def read_gguf(path: Path) -> tuple[Any, Any]:
    """Read a GGUF file: its weights dequantised to float32, and its tokenizer.

    Returns:
        model, tokenizer: as transformers classes, no longer marked as quantised.

    Raises:
        BurnishError: transformers knows no such architecture in GGUF, or the file is damaged.
    """
    transformers = need("transformers", extra="train")
    need("gguf", extra="train")
    torch = need("torch", extra="train")
    folder, name = str(path.parent), path.name
    try:
        with quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
            read = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    except (ValueError, KeyError, OSError) as error:
        raise BurnishError(f"{path} cannot be read as GGUF ({error}); give a safetensors folder instead") from error
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are plain numbers now, and save_pretrained must see that
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    return model, tokenizer


def device() -> str:
    """Give the device that models live on: "cuda" where there is one, else "cpu"."""
    return "cuda" if need("torch", extra="train").cuda.is_available() else "cpu"


def torch_dtype(precision: str) -> Any:
    """Give torch's dtype of a precision."""
    torch = need("torch", extra="train")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
