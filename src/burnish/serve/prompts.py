"""Prompts: text and messages to token ids, and token ids back to text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from burnish.errors import ArtifactError, RecipeError
from burnish.serve.template import ChatTemplate

_INCOMPLETE = "\ufffd"  # what a decoder gives for bytes that are no character, or not yet one


class Prompts:
    """Turn prompts into the model's tokens, the same as transformers does with the same files.

    Raises:
        ArtifactError: the tokenizer or the template cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        try:
            # The library raises bare Exception on a malformed file.
            self._tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        except Exception as error:
            raise ArtifactError(
                f"{folder / 'tokenizer.json'} cannot be read ({error}); export the model again"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = ChatTemplate.read(folder)

    @property
    def has_chat(self) -> bool:
        """Tell whether the model has a chat template."""
        return self._template is not None

    def chat(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """Give the tokens of a conversation, up to where the assistant answers.

        Raises:
            RecipeError: the model has no chat template, or its template refuses the messages.
        """
        if self._template is None:
            raise RecipeError("this model has no chat template; use /v1/completions")
        # The template writes special tokens itself; the tokenizer must not add them again.
        return self._encode(self._template.render(messages), add_special_tokens=False)

    def plain(self, text: str) -> tuple[int, ...]:
        """Give the tokens of running text, with the special ones that the tokenizer puts around it."""
        return self._encode(text, add_special_tokens=True)

    def decode(self, tokens: Sequence[int]) -> str:
        """Give the text of tokens, special ones left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def spell(self, token: int) -> str:
        """Give one token as text, special or not; half a character is U+FFFD."""
        text: str = self._tokenizer.decode([token], skip_special_tokens=False)
        return text

    def detokenizer(self) -> "Detokenizer":
        """Begin to decode one completion."""
        return Detokenizer(self)

    def _encode(self, text: str, *, add_special_tokens: bool) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)


class Detokenizer:
    """Decode a completion as it grows; the pieces together are the text of all tokens.

    A piece never ends inside a character: tokens whose bytes are not yet one are held back. Each piece is
    decoded behind the one before it, because what a token reads as can depend on its left neighbour.
    """

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._before: list[int] = []  # the tokens of the last piece
        self._before_text = ""
        self._held: list[int] = []

    def add(self, tokens: Sequence[int]) -> str:
        """Take tokens, give the text that is now whole."""
        self._held.extend(tokens)
        text = self._prompts.decode(self._before + self._held)
        if text.endswith(_INCOMPLETE):
            return ""
        return self._give(text)

    def flush(self) -> str:
        """Give what is held back, whole or not: the completion has ended."""
        return self._give(self._prompts.decode(self._before + self._held)) if self._held else ""

    def _give(self, text: str) -> str:
        piece = text[len(self._before_text) :]
        self._before, self._held = self._held, []
        self._before_text = self._prompts.decode(self._before)
        return piece
