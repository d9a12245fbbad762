"""Chat examples: a record and its label as the token ids that the model's own template makes of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jinja2.exceptions import TemplateError

from burnish.errors import BurnishError, RecipeError

Learn = Literal["every_answer", "last_answer"]
Message = dict[str, str]  # role and content


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
        text = self._render(messages, asks=True)
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
        ids = self._encode(self._render([*messages, {"role": "assistant", "content": answer}]))
        if ids[: len(prompt.ids)] != prompt.ids:
            raise BurnishError(
                "the chat template renders an answered conversation unlike its prompt; check the template"
            )
        ids = ids[: self._end(ids, len(prompt.ids))]
        return Example(ids, prompt.text_start, prompt.text_end, len(prompt.ids))

    def conversation(
        self, messages: Sequence[Message], *, learn: Learn = "every_answer"
    ) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Render a conversation that ends with an answer, and weigh its tokens: 1 where they are learnt, else 0.

        Learnt are the answers, each with the token that ends its turn. Where the template marks answers
        (`{% generation %}`), they are what it marks; else what follows the tokens that the model would be asked with.

        Args:
            learn: the last answer alone is asked for as the server asks, so it suits templates that render an
                answer otherwise once the talk goes on, or leave its thoughts out. Where the template does not begin an
                answered conversation with its prompt, the answer's own tokens follow the prompt's; thoughts that the
                prompt opens and the answer has not are closed empty.

        Returns:
            ids, weights: equally long, up to the end of the last answer.

        Raises:
            BurnishError: every answer is to be learnt, and the template renders one otherwise than it asks for it.
        """
        if learn == "last_answer":
            return self._last_answer(messages)
        return self._marked(messages) if self._marks_answers else self._after_prompts(messages)

    def control_token(self, messages: Sequence[Message]) -> str | None:
        """Find a control token spelt out in a turn, which would end or begin turns where none ends or begins."""
        words = [str(token) for token in self._control_tokens.values()]
        return next((word for word in words for message in messages if word in message["content"]), None)

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

    @cached_property
    def _control_tokens(self) -> dict[int, Any]:
        return {int(index): token for index, token in self._tokenizer.added_tokens_decoder.items() if token.special}

    @property
    def _marks_answers(self) -> bool:
        return re.search(r"\{%-?\s*generation\s*-?%\}", self._tokenizer.chat_template) is not None

    def _render(self, messages: Sequence[Message], *, asks: bool = False) -> str:
        """Render turns as text; `asks` adds what stands before an answer."""
        try:
            text: str = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=asks)
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise BurnishError(f"the chat template refuses turns of {roles} ({error}); leave such turns out") from error
        return text

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _end(self, ids: Sequence[int], start: int) -> int:
        """Give the place after the last token from `start` that ends a turn, after the last control token without one."""
        for ending in ({self.end_of_turn}, self._control_tokens.keys()):
            for end in range(len(ids), start, -1):
                if ids[end - 1] in ending:
                    return end
        return len(ids)

    def _after_prompts(self, messages: Sequence[Message]) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Weigh what follows each prompt; prompts and answered turns must be beginnings of the whole."""
        ids = self._encode(self._render(messages))
        weights, end = [0.0] * len(ids), 0
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            asked = self._encode(self._render(messages[:index], asks=True))
            answered = self._encode(self._render(messages[: index + 1]))
            start, end = len(asked), self._end(answered, len(asked))
            if len(answered) <= start or ids[:start] != asked or ids[:end] != answered[:end]:
                raise BurnishError(
                    f"the chat template renders the answer in turn {index + 1} of {len(messages)} otherwise than it asks "
                    "for it, so the model would learn other tokens than it will give; set learn: last_answer, or mark "
                    "answers with {% generation %} in the template"
                )
            weights[start:end] = [1.0] * (end - start)
        return ids[:end], tuple(weights[:end])

    def _marked(self, messages: Sequence[Message]) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Weigh what the template marks, and the token that ends the turn where it stands right behind."""
        rendered = self._tokenizer.apply_chat_template(
            list(messages),
            return_dict=True,
            return_assistant_tokens_mask=True,
            tokenizer_kwargs={"return_offsets_mapping": True},
        )
        ids, mask, spans = tuple(rendered["input_ids"]), list(rendered["assistant_masks"]), rendered["offset_mapping"]
        for place in range(1, len(ids)):
            # transformers marks the first token of the last character alone, where bytes are tokens
            is_rest = spans[place][0] < spans[place - 1][1]
            is_end = ids[place - 1] != self.end_of_turn == ids[place]
            if mask[place - 1] and (is_rest or is_end):
                mask[place] = 1
        if 1 not in mask:
            raise BurnishError("the chat template marks no answer with {% generation %}; check the template")
        end = len(mask) - mask[::-1].index(1)
        return ids[:end], tuple(map(float, mask[:end]))

    def _last_answer(self, messages: Sequence[Message]) -> tuple[tuple[int, ...], tuple[float, ...]]:
        *before, answer = messages
        prompt = self._render(before, asks=True)
        asked = self._encode(prompt)
        ids = self._encode(self._render(messages))
        if len(ids) <= len(asked) or ids[: len(asked)] != asked:
            ids = (*asked, *self._encode(_continued(prompt, answer["content"])), self.end_of_turn)
        end = self._end(ids, len(asked))
        return ids[:end], (0.0,) * len(asked) + (1.0,) * (end - len(asked))


def _continued(prompt: str, answer: str) -> str:
    """Give an answer as it goes on from its prompt: thoughts that this opens are the answer's own, or none."""
    if not prompt.rstrip().endswith("<think>"):
        return answer
    return answer.split("<think>", 1)[-1].lstrip() if "</think>" in answer else f"\n</think>\n\n{answer}"
