"""Formats: the shapes in which people keep conversations and pairs of answers, read into one.

| format | keys of a record |
|---|---|
| openai | `messages`: a list of {role, content} |
| sharegpt | `conversations`: a list of {from, value}; `system` |
| alpaca | `instruction`, `input`, `output`; `system`, `history`: a list of [question, answer] |
| completion | `prompt` and `completion`, texts or lists of messages |
| preference | `chosen` and `rejected`, texts or lists of messages, after `prompt`, `messages`, `conversations` or |
|            | `instruction`; or lists that begin with the prompt (TRL, UltraFeedback); or OpenAI's `input`, |
|            | `preferred_output`, `non_preferred_output` |
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, assert_never

from burnish.learn.examples import Turn

Shape = Literal["openai", "sharegpt", "alpaca", "completion", "preference"]
Format = Literal["auto", "openai", "sharegpt", "alpaca", "completion", "preference"]

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "model"), "assistant"),
}
_KEYS: dict[Shape, tuple[tuple[str, ...], ...]] = {  # the first that a record has all keys of is its shape
    "preference": (("chosen", "rejected"), ("preferred_output", "non_preferred_output")),
    "openai": (("messages",),),
    "sharegpt": (("conversations",),),
    "alpaca": (("instruction", "output"),),
    "completion": (("prompt", "completion"),),
}


class Unusable(Exception):  # it is no error of the program
    """Tell why a record is no example.

    Attributes:
        rule: snake case.
        detail: what was found.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule, self.detail = rule, detail


@dataclass(frozen=True)
class Found:
    """What a record says: a conversation, or turns and two answers to them."""

    turns: tuple[Turn, ...]
    chosen: str | None = None
    rejected: str | None = None

    @property
    def kind(self) -> Literal["conversation", "preference"]:
        """Tell which it is."""
        return "conversation" if self.chosen is None else "preference"

    def body(self) -> dict[str, Any]:
        """Give the plain values that the dataset keeps."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def read_example(record: object, form: Format = "auto") -> Found:
    """Read one record.

    Raises:
        Unusable: it is no whole example of that format.
    """
    if not isinstance(record, Mapping):
        raise Unusable("not_an_object", f"a record is a {type(record).__name__}; it must be an object with keys")
    if record.get("tools"):
        raise Unusable("tool_call", "it offers tools, which conversations here do not have")
    shape = _shape(record) if form == "auto" else form
    match shape:
        case "openai":
            return Found(_checked(_turns(_field(record, "messages"))))
        case "sharegpt":
            return Found(_checked([*_system(record), *_turns(_field(record, "conversations"))]))
        case "alpaca":
            return Found(_checked([*_instruction(record), Turn("assistant", _text(_field(record, "output")))]))
        case "completion":
            asked = _said(_field(record, "prompt"), "user")
            return Found(_checked([*_system(record), *asked, *_said(_field(record, "completion"), "assistant")]))
        case "preference":
            return _preference(record)
        case _:
            assert_never(shape)


def _shape(record: Mapping[str, Any]) -> Shape:
    for shape, choices in _KEYS.items():
        if any(all(record.get(key) is not None for key in keys) for keys in choices):
            return shape
    known = "; ".join(" and ".join(keys) for choices in _KEYS.values() for keys in choices)
    raise Unusable("unknown_format", f"its keys are {', '.join(map(str, record)) or 'none'}; known are: {known}")


def _preference(record: Mapping[str, Any]) -> Found:
    if record.get("preferred_output") is not None:
        given = _field(record, "input")
        prompt = _turns(_field(given, "messages") if isinstance(given, Mapping) else given)
        sides = record["preferred_output"], _field(record, "non_preferred_output")
    else:
        prompt = _prompt(record)
        sides = _field(record, "chosen"), _field(record, "rejected")
    chosen, rejected = (_said(side, "assistant") for side in sides)
    if chosen[:-1] != rejected[:-1]:
        raise Unusable("two_prompts", "the chosen and the rejected answer follow unlike turns")
    turns = [*(_system(record) if chosen[:-1] and chosen[0].role != "system" else []), *chosen[:-1]] or prompt
    for answer in (chosen[-1], rejected[-1]):
        if answer.role != "assistant" or not answer.content.strip():
            raise Unusable("no_answer", "the chosen and the rejected turns must each end with an answer")
    if chosen[-1] == rejected[-1]:
        raise Unusable("same_answers", "the chosen and the rejected answer are the same")
    return Found(_checked(turns, ends_with="user"), chosen[-1].content, rejected[-1].content)


def _prompt(record: Mapping[str, Any]) -> list[Turn]:
    for key in ("prompt", "messages", "conversations"):
        if record.get(key) is not None:
            return [*_system(record), *_said(record[key], "user")]
    return _instruction(record) if record.get("instruction") is not None else []


def _instruction(record: Mapping[str, Any]) -> list[Turn]:
    """Read Alpaca's question, with what came before it."""
    turns = _system(record)
    for pair in record.get("history") or []:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Unusable("wrong_order", "history must be a list of [question, answer]")
        turns += [Turn("user", _text(pair[0])), Turn("assistant", _text(pair[1]))]
    parts = [_text(_field(record, "instruction")), _text(record.get("input") or "")]
    return [*turns, Turn("user", "\n\n".join(part for part in parts if part.strip()))]


def _system(record: Mapping[str, Any]) -> list[Turn]:
    return [Turn("system", _text(record["system"]))] if record.get("system") else []


def _said(value: object, role: str) -> list[Turn]:
    """Read what is a text of one role, one message, or a list of messages; at least one turn."""
    if isinstance(value, str):
        return [Turn(role, _text(value))]
    return _turns([value] if isinstance(value, Mapping) else value)


def _turns(value: object) -> list[Turn]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise Unusable("no_turns", "the turns must be a list with at least one message")
    return [_turn(item) for item in value]


def _turn(item: object) -> Turn:
    if not isinstance(item, Mapping):
        raise Unusable(
            "not_an_object", f"a turn is a {type(item).__name__}; it must be an object with role and content"
        )
    if item.get("tool_calls") or item.get("function_call"):
        raise Unusable("tool_call", "a turn calls a tool, which conversations here do not have")
    given = item.get("role") if item.get("role") is not None else item.get("from")
    role = _ROLES.get(str(given).lower())
    if role is None:
        raise Unusable("unknown_role", f"a turn's role is {given!r}; known are: {', '.join(_ROLES)}")
    if role == "assistant" and item.get("weight") == 0:
        raise Unusable("turn_weight", "an answer has weight 0; every answer of a conversation is learnt here")
    return Turn(role, _text(item.get("content") if item.get("content") is not None else item.get("value")))


def _text(value: object) -> str:
    """Read a text, or a list of text parts; None is an empty one."""
    if isinstance(value, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in value):
        return "".join(_text(part.get("text")) for part in value)
    if value is not None and not isinstance(value, str):
        raise Unusable("not_text", f"a turn's content is a {type(value).__name__} or holds more than text")
    text = value or ""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unusable("not_text", "a turn holds half a surrogate pair, which is no character") from None
    return text


def _field(record: Mapping[str, Any], key: str) -> Any:
    if record.get(key) is None:
        raise Unusable("missing_field", f"it has no {key!r}; its keys are {', '.join(map(str, record)) or 'none'}")
    return record[key]


def _checked(turns: Sequence[Turn], *, ends_with: Literal["user", "assistant"] = "assistant") -> tuple[Turn, ...]:
    """Refuse what no chat is: empty turns, two of one role in a row, no answer; an empty system turn is left out."""
    if turns and turns[0].role == "system" and not turns[0].content.strip():
        turns = turns[1:]
    if any(not turn.content.strip() for turn in turns):
        raise Unusable("empty_turn", "a turn has no text")
    spoken = turns[1:] if turns and turns[0].role == "system" else turns
    for index, turn in enumerate(spoken):
        due = ("user", "assistant")[index % 2]
        if turn.role != due:
            raise Unusable("wrong_order", f"turn {index + 1} is of the {turn.role} where the {due} is due")
    if not spoken or spoken[-1].role != ends_with:
        last = spoken[-1].role if spoken else "system"
        raise Unusable("no_answer" if ends_with == "assistant" else "wrong_order", f"the last turn is of the {last}")
    return tuple(turns)
