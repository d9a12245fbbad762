"""Chat examples: a record and its label as the token ids that the model's own template makes of them."""

from dataclasses import dataclass
from typing import Any

from burnish.errors import BurnishError, RecipeError


@dataclass(frozen=True)
class LabelTask:
    """Ask for one of a few labels: the record's text is the user's turn, the label the assistant's.

    Attributes:
        instruction: the system turn; empty leaves the template's own default.
        labels: the allowed answers, word for word.
    """

    instruction: str = ""
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise RecipeError(f"labels are {list(self.labels)}; give at least two different ones")

    def messages(self, text: str) -> list[dict[str, str]]:
        """Give the turns before the answer."""
        system = [{"role": "system", "content": self.instruction}] if self.instruction else []
        return [*system, {"role": "user", "content": text}]


@dataclass(frozen=True)
class Example:
    """One conversation as token ids.

    Attributes:
        ids: prompt, then the answer with its end-of-turn token where an answer was given.
        text_start, text_end: the tokens that cover the user's text, half open.
        answer_start: where the answer begins; `len(ids)` for a prompt alone.
    """

    ids: tuple[int, ...]
    text_start: int
    text_end: int
    answer_start: int


class ChatFormat:
    """Make examples with one tokenizer and its chat template.

    Args:
        tokenizer: a Hugging Face fast tokenizer with a chat template.

    Raises:
        BurnishError: it has no chat template.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise BurnishError("the base model's tokenizer has no chat template; use an instruct model, or add one")
        self._tokenizer = tokenizer

    def prompt(self, messages: list[dict[str, str]]) -> Example:
        """Render turns up to where the assistant answers.

        Raises:
            BurnishError: the template does not hold the last user's text as it is, so its tokens cannot be found.
        """
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        content = messages[-1]["content"].strip()
        start = text.rfind(content)
        if start < 0:
            raise BurnishError(f"the chat template changes the text {content[:40]!r}; it cannot be scored by itself")
        inside = [
            index
            for index, (low, high) in enumerate(encoded["offset_mapping"])
            if low < start + len(content) and high > start
        ]
        ids = tuple(encoded["input_ids"])
        return Example(ids, inside[0], inside[-1] + 1, len(ids))

    def answered(self, messages: list[dict[str, str]], answer: str) -> Example:
        """Render turns with the assistant's answer, ending with the token that ends the turn.

        Raises:
            BurnishError: the answered conversation does not begin with the prompt's tokens, so that the model
                would be trained on other tokens than it is asked with.
        """
        prompt = self.prompt(messages)
        full = self._tokenizer.apply_chat_template(
            [*messages, {"role": "assistant", "content": answer}], tokenize=False
        )
        ids = tuple(self._tokenizer(full, add_special_tokens=False)["input_ids"])
        if ids[: len(prompt.ids)] != prompt.ids:
            raise BurnishError(
                "the chat template renders an answered conversation unlike its prompt; check the template"
            )
        end = len(ids)
        while end > len(prompt.ids) and ids[end - 1] != self.end_of_turn:
            end -= 1
        ids = ids[:end] if end > len(prompt.ids) else ids
        return Example(ids, prompt.text_start, prompt.text_end, len(prompt.ids))

    def plain(self, text: str, *, max_tokens: int) -> tuple[int, ...]:
        """Give the first `max_tokens` tokens of running text."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"][:max_tokens])

    def num_bytes(self, ids: tuple[int, ...]) -> int:
        """Count the UTF-8 bytes that tokens stand for."""
        return len(self._tokenizer.decode(list(ids), skip_special_tokens=False).encode())

    def text(self, ids: tuple[int, ...]) -> str:
        """Decode tokens, special ones left out."""
        decoded: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return decoded

    @property
    def end_of_turn(self) -> int:
        """Give the token that ends a turn."""
        return int(self._tokenizer.eos_token_id)
