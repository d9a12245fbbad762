"""What clients send: the fields that are read, and those that are refused because they would change the answer."""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from burnish.serve.openai.errors import ApiError

Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(gt=0, le=1)]
Token = Annotated[int, Meta(ge=0)]
MAX_STOPS = 16


class StreamOptions(msgspec.Struct):
    """Say what a stream holds beside the text."""

    include_usage: bool = False


class Common(msgspec.Struct, kw_only=True):
    """Fields of both kinds of completion.

    `stop_token_ids`, `ignore_eos` and `return_token_ids` are vLLM's; OpenAI's clients send them as extra fields.
    """

    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Meta(max_length=MAX_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop_token_ids: list[Token] = []
    ignore_eos: bool = False
    return_token_ids: bool = False


class ContentPart(msgspec.Struct):
    """One part of a message's content; only text is served."""

    type: str
    text: str | None = None


class Message(msgspec.Struct, kw_only=True):
    """One turn."""

    role: str
    content: str | list[ContentPart] | None = None
    name: str | None = None


class ChatRequest(Common, kw_only=True):
    """The body of POST /v1/chat/completions."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = None


class CompletionRequest(Common, kw_only=True):
    """The body of POST /v1/completions; one prompt, as text or as token ids, each alone or as a list's only item.

    `logprobs` may be 0 or 1: the chosen token's log-probability is given, the engine knows no alternatives.
    """

    prompt: str | list[Any]
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=1)] | None = None


class TokenizeRequest(msgspec.Struct):
    """The body of POST /tokenize: messages or a prompt."""

    messages: list[Message] | None = None
    prompt: str | None = None


R = TypeVar("R", bound=msgspec.Struct)

# Fields that would change the answer, each with the values that mean nothing is asked.
_NOT_SERVED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logit_bias": ({},),
    "top_logprobs": (0,),
    "suffix": ("",),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "audio": (),
    "modalities": (["text"],),
    "prediction": (),
    "web_search_options": (),
    "continue_final_message": (False,),
    "add_generation_prompt": (True,),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "structured_outputs": (),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
}


def read_body(body: bytes, kind: type[R]) -> R:
    """Decode a body.

    Fields that are not known and not named as refused are ignored: clients send `user`, `metadata` and the like.

    Raises:
        ApiError: 400: no JSON, a wrong type or range, or a field that is not served.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
        for name, neutral in _NOT_SERVED.items():
            if fields.get(name) is not None and fields[name] not in neutral:
                allowed = f"; leave it out, or give {neutral[0]!r}" if neutral else "; leave it out"
                raise ApiError(400, f"{name} is not supported here{allowed}", param=name, code="unsupported_parameter")
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        path = re.search(r"`\$\.?([^`]*)`$", str(error))
        missing = re.search(r"missing required field `(\w+)`", str(error))
        raise ApiError(400, str(error), param=(missing or path or {1: None})[1] or None) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, f"the body is not valid JSON in UTF-8: {error}") from error
