"""Vocabulary: keep the tokens that a domain uses, and with them a smaller embedding and output head.

In a small model with a large vocabulary the head is a quarter of all bytes, and all of it is read for every token.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.compress.bpe import TOKENIZER, Bpe
from burnish.compress.held_out import HeldOut
from burnish.compress.pruning.layout import check_whole
from burnish.compress.sizes import size_evidence
from burnish.compress.token_ids import as_ids, ids_in_configs, ids_of_chat, renumbered
from burnish.errors import BurnishError, RecipeError
from burnish.learn.running_text import Ends, records_with_text
from burnish.measure.bootstrap import bootstrap
from burnish.nn.frozen import num_weights
from burnish.nn.weights import copy_tokenizer, open_model, open_tokenizer, quiet_transformers, save_model
from burnish.runtime import Workdir, need

_MULTIPLE_OF = 64  # rows of a head: what 16-bit and 8-bit matrix products on GPUs run fastest with


@dataclass(frozen=True)
class UsedTokens:
    """Keep what the text uses, brought up to a multiple of 64 by the tokenizer's own most frequent merges.

    Attributes:
        min_count: a token stays if the text has it at least so often.
    """

    min_count: int = 1

    def __post_init__(self) -> None:
        if self.min_count < 1:
            raise RecipeError(f"min_count is {self.min_count}; it must be at least 1")


@dataclass(frozen=True)
class NumTokens:
    """Keep so many: the text's most frequent ones, then the tokenizer's own most frequent merges."""

    num_tokens: int = 16_384

    def __post_init__(self) -> None:
        if self.num_tokens < 1:
            raise RecipeError(f"num_tokens is {self.num_tokens}; it must be at least 1")


Keep = UsedTokens | NumTokens


@dataclass(frozen=True)
class VocabularyConfig:
    """Say which tokens stay; those of bytes, control tokens and the chat template's words always do.

    Attributes:
        split: of the dataset, whose text is counted.
        held_out_split: documents whose growth in tokens is measured.
        held_out_records: how many of them.
    """

    keep: Keep = field(default_factory=UsedTokens)
    split: str = "train"
    held_out_split: str = "validation"
    held_out_records: int = 100

    def __post_init__(self) -> None:
        if self.held_out_records < 1:
            raise RecipeError(f"held_out_records is {self.held_out_records}; it must be at least 1")


def trim_vocabulary(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: VocabularyConfig
) -> Draft[ModelArtifact]:
    """Drop the tokens that a domain does not use; text made of kept tokens keeps its encoding and its logits.

    Raises:
        RecipeError: fewer tokens are asked for than must stay, or no fewer than there are.
        BurnishError: the tokenizer is not byte-level BPE, or the model's numbers lie on a quantisation grid.
    """
    check_whole(model.payload)
    bpe = Bpe.of(model.payload)
    opened = open_model(model.payload, precision="fp32")
    must = bpe.must_keep() | ids_in_configs(model.payload, bpe) | ids_of_chat(open_tokenizer(model.payload))
    counts = _counts(out, model.payload, data, config.split)
    kept = choose(bpe, counts, must, config.keep, opened.config.vocab_size)
    new_ids = {old: new for new, old in enumerate(kept)}
    before = HeldOut.of(out, model.payload, data, split=config.held_out_split, at_most=config.held_out_records)
    losses = before.losses(opened)
    sizes = (opened.config.vocab_size, num_weights(opened))
    _cut(opened, kept, new_ids)
    save_model(opened, out.payload)
    _write_tokenizer(out, model.payload, bpe, new_ids)
    after = HeldOut.of(out, out.payload, data, split=config.held_out_split, at_most=config.held_out_records)
    evidence = (
        *_evidence(out, opened, sizes, before, after),
        before.bits_per_byte("bits_per_byte_before", losses),
        after.bits_per_byte("bits_per_byte", after.losses(opened)),
    )
    summary = f"{model.digest[:12]} with {len(kept):,} of {sizes[0]:,} tokens; {len(counts):,} different ones are in the text."
    return Draft(ModelArtifact, evidence, summary)


def choose(bpe: Bpe, counts: Mapping[int, int], must: set[int], keep: Keep, vocab_size: int) -> list[int]:
    """Choose the tokens that stay, by their old ids in order; closed under parts.

    Raises:
        RecipeError: fewer tokens are asked for than must stay, or no fewer than there are.
    """
    kept = bpe.with_parts(must)
    used = sorted(counts, key=lambda token: (-counts[token], token))
    match keep:
        case UsedTokens(min_count=min_count):
            kept |= bpe.with_parts(token for token in used if counts[token] >= min_count)
            size = -(-len(kept) // _MULTIPLE_OF) * _MULTIPLE_OF
        case NumTokens(num_tokens=size):
            if size < len(kept):
                raise RecipeError(f"num_tokens is {size:,}; {len(kept):,} must stay: bytes, control tokens, chat words")
            for token in used:
                new = bpe.with_parts([token], kept)
                if len(kept) + len(new) <= size:
                    kept |= new
        case _:
            assert_never(keep)
    for token in sorted(bpe.ids.values()):
        if len(kept) < size and bpe.parts.get(token, frozenset()) <= kept:
            kept.add(token)
    if len(kept) >= vocab_size:
        raise RecipeError(
            f"{len(kept):,} tokens would stay, and the model has {vocab_size:,}; ask for fewer with num_tokens or a "
            "higher min_count"
        )
    return sorted(kept)


def _counts(out: Workdir, folder: Path, data: DatasetArtifact, split: str) -> Counter[int]:
    """Count the tokens of a split's text."""
    counts: Counter[int] = Counter()
    for document in Ends.of(open_tokenizer(folder), None).documents(out, split, records_with_text(data, split)):
        counts.update(document)
    return counts


def _cut(model: Any, kept: Sequence[int], new_ids: Mapping[int, int]) -> None:
    """Keep the rows of embedding and head, and renumber what the configs name."""
    torch = need("torch", extra="compress")
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = torch.tensor(kept, device=embedding.weight.device)
    is_tied = head.weight is embedding.weight
    embedding.weight = torch.nn.Parameter(embedding.weight.detach()[rows].clone())
    head.weight = embedding.weight if is_tied else torch.nn.Parameter(head.weight.detach()[rows].clone())
    embedding.num_embeddings = head.out_features = model.config.vocab_size = len(kept)
    embedding.padding_idx = None
    for config in (model.config, model.generation_config):
        for key, value in config.to_dict().items():
            if ids := as_ids(key, value):
                new = [new_ids[number] for number in ids]
                setattr(config, key, new if isinstance(value, list) else new[0])


def _write_tokenizer(out: Workdir, source: Path, bpe: Bpe, new_ids: Mapping[int, int]) -> None:
    """Write the tokenizer's files and the generation config with new ids; all else in them stays.

    Raises:
        BurnishError: the file does not open as it was meant.
    """
    copy_tokenizer(source, out.payload)
    (out / TOKENIZER).write_text(json.dumps(bpe.trimmed(new_ids), ensure_ascii=False, indent=2), encoding="utf-8")
    for name in ("tokenizer_config.json", "generation_config.json"):
        path = out / name
        if (source / name).exists():
            values = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(
                json.dumps(renumbered(values, new_ids), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
            )
    expected = {token: new_ids[old] for token, old in bpe.ids.items() if old in new_ids}
    with quiet_transformers():
        found = open_tokenizer(out.payload).get_vocab()
    if found != expected:
        raise BurnishError(
            "the trimmed tokenizer opens with other tokens than were written; its file is not understood"
        )


def _evidence(
    out: Workdir, model: Any, sizes: tuple[int, int], before: HeldOut, after: HeldOut
) -> tuple[Measurement, ...]:
    counts = list(zip(before.tokens, after.tokens, strict=True))

    def growth(chosen: Sequence[int]) -> float:
        return sum(counts[index][1] for index in chosen) / sum(counts[index][0] for index in chosen)

    everything = range(len(counts))
    low, high = bootstrap(growth, len(counts), seed=0) if len(counts) > 1 else (None, None)
    now = num_weights(model)
    how = f"held-out tokens after over before, {sum(before.tokens):,} tokens; bootstrap over documents, 1,000 draws, seed 0"
    return (
        Measurement("vocabulary_tokens_before", sizes[0], "tokens", 1),
        Measurement("vocabulary_tokens", model.config.vocab_size, "tokens", 1),
        Measurement("removed_frac", 1 - now / sizes[1], "1", 1, how="of all parameters"),
        Measurement("saved_bytes", 4 * (sizes[1] - now), "bytes", 1, how="of embedding and head in float32"),
        Measurement("token_growth_ratio", growth(everything), "1", len(counts), low, high, how),
        *size_evidence(now, out.payload),
    )
