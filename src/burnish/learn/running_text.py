"""Running text: documents as tokens between their ends, and cut into the pieces that a row takes."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from burnish.artifacts import DatasetArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.packing import Sample
from burnish.learn.records import Record, read_records
from burnish.runtime import Workdir

_BATCH_TEXTS = 64  # tokenised together, side by side on the machine's cores
_USUAL_ENDS = ("<|endoftext|>", "<|end_of_text|>")  # GPT-2, Qwen, SmolLM; Llama 3


def records_with_text(data: DatasetArtifact, split: str) -> list[Record]:
    """Read a split's records that have a text.

    Raises:
        BurnishError: there are none.
    """
    records = [record for record in read_records(data, split) if record.text]
    if not records:
        raise BurnishError(f"no record in split {split!r} of {data.label} has a text")
    return records


@dataclass(frozen=True)
class Ends:
    """A tokenizer for running text, with the tokens that stand before and after a document.

    Attributes:
        start: the tokenizer's own first token where it puts one, else the end of the document before.
        end: the end of text.
    """

    tokenizer: Any
    start: int
    end: int

    @staticmethod
    def of(tokenizer: Any, named: str | None) -> "Ends":
        """Find the tokens.

        Raises:
            RecipeError: the tokenizer has no token of that name.
        """
        vocabulary = tokenizer.get_vocab()
        name = named or next((usual for usual in _USUAL_ENDS if usual in vocabulary), tokenizer.eos_token)
        if name not in vocabulary:
            raise RecipeError(
                f"end_of_text is {name!r}, which is no token of the base model; its control tokens are: "
                f"{', '.join(str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)}"
            )
        put_first = tokenizer("")["input_ids"][:1]
        start = tokenizer.bos_token_id if put_first == [tokenizer.bos_token_id] else vocabulary[name]
        tokenizer.split_special_tokens = True  # a document that spells out a control token means its letters
        return Ends(tokenizer, start, vocabulary[name])

    def ids(self, text: str) -> list[int]:
        """Give a text's tokens after the one that stands before it."""
        return [self.start, *self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]

    def cut(self, text: str, max_tokens: int) -> str:
        """Cut a text after so many tokens, and never within a character."""
        found = self.tokenizer(text, add_special_tokens=False, verbose=False, return_offsets_mapping=True)
        spans: list[tuple[int, int]] = found["offset_mapping"]
        last = min(max_tokens, len(spans))
        while 0 < last < len(spans) and spans[last][0] < spans[last - 1][1]:
            last -= 1
        return text[: spans[last - 1][1]] if last else ""

    def documents(self, out: Workdir, split: str, records: Sequence[Record]) -> Iterator[Sequence[int]]:
        """Give each document's tokens between its start and its end."""
        with out.progress(f"tokenising {split}", total=len(records), unit="documents") as bar:
            for low in range(0, len(records), _BATCH_TEXTS):
                texts = [record.text for record in records[low : low + _BATCH_TEXTS]]
                for ids in self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
                    yield [self.start, *ids, self.end]
                bar.advance(len(texts))


class Pieces(Sequence[Sample]):
    """Documents cut into pieces that fit a row; four bytes a token.

    A document's tokens after its first are each learnt once. A piece begins with the token before those it
    teaches: the document's start, or the last token of the piece before, which is read again and not learnt again.

    Args:
        documents: at least two tokens each, the first of which is given.
        row_tokens: at least 2.
    """

    def __init__(self, documents: Iterable[Sequence[int]], *, row_tokens: int) -> None:
        self._ids = array("I")
        self._bounds: list[tuple[int, int]] = []
        self._weights: dict[int, tuple[float, ...]] = {}  # one tuple a length
        self.num_learnt = 0
        for document in documents:
            offset = len(self._ids)
            self._ids.extend(document)
            self.num_learnt += len(document) - 1
            for low in range(0, len(document) - 1, row_tokens - 1):
                self._bounds.append((offset + low, offset + min(low + row_tokens, len(document))))

    def __len__(self) -> int:
        return len(self._bounds)

    def begins(self, index: int) -> bool:
        """Tell whether a piece is the first of its document."""
        return index == 0 or self._bounds[index][0] == self._bounds[index - 1][1]  # a later one repeats a token

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        low, high = self._bounds[index]
        weights = self._weights.setdefault(high - low, (1.0,) * (high - low))
        return Sample(tuple(self._ids[low:high]), weights)
