"""Requests of the API to jobs of the service."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from burnish.serve.engine.protocol import Sampling
from burnish.serve.generation import Job
from burnish.serve.openai.errors import ApiError
from burnish.serve.openai.schema import ChatRequest, Common, CompletionRequest, Message, TokenizeRequest
from burnish.serve.service import Service

DEFAULT_COMPLETION_TOKENS = 16  # OpenAI's default for /v1/completions
LONG_TEXT_CHARS = 20_000  # about 5 ms to tokenize; longer texts go to a thread, where the tokenizer frees the lock


async def chat_job(service: Service, request: ChatRequest) -> Job:
    """Make the job of a conversation.

    Raises:
        ApiError: it cannot be served; 400 or 404.
        RecipeError: the chat template refuses it.
    """
    tokens = await chat_tokens(service, request.messages)
    asked = request.max_completion_tokens or request.max_tokens
    room = _room(service, tokens)
    return _job(service, request, tokens, room if asked is None else asked, has_logprobs=bool(request.logprobs))


async def completion_job(service: Service, request: CompletionRequest) -> Job:
    """Make the job of a plain prompt.

    Raises:
        ApiError: it cannot be served; 400 or 404.
    """
    tokens = await _prompt_tokens(service, request.prompt)
    asked = DEFAULT_COMPLETION_TOKENS if request.max_tokens is None else request.max_tokens
    echo = bool(request.echo)
    return _job(service, request, tokens, asked, has_logprobs=request.logprobs is not None, echo=echo)


async def tokenize(service: Service, request: TokenizeRequest) -> tuple[int, ...]:
    """Give the tokens that a prompt would have.

    Raises:
        ApiError: neither or both of messages and prompt are given.
        RecipeError: the chat template refuses the messages.
    """
    if (request.messages is None) == (request.prompt is None):
        raise ApiError(400, "give either messages or prompt")
    if request.messages is not None:
        return await chat_tokens(service, request.messages)
    return await _prompt_tokens(service, request.prompt)


async def chat_tokens(service: Service, messages: list[Message]) -> tuple[int, ...]:
    """Render a conversation and give its tokens.

    Raises:
        ApiError: a part of a message is not text.
        RecipeError: the model has no chat template, or its template refuses the conversation.
    """
    turns = [{"role": message.role, "content": _text(message), "name": message.name} for message in messages]
    return await _maybe_in_thread(service.prompts.chat, turns, sum(len(turn["content"] or "") for turn in turns))


def _job(
    service: Service,
    request: Common,
    tokens: tuple[int, ...],
    max_tokens: int,
    *,
    has_logprobs: bool,
    echo: bool = False,
) -> Job:
    if request.model not in (None, service.name):
        message = f"model {request.model!r} is not served here; {service.name!r} is"
        raise ApiError(404, message, param="model", code="model_not_found")
    if not tokens:
        raise ApiError(400, "the prompt is empty; give at least one token", param="prompt")
    if max_tokens < 1 and not echo:
        raise ApiError(400, f"max_tokens is {max_tokens}; it must be at least 1 without echo", param="max_tokens")
    if max_tokens > (room := _room(service, tokens)):
        raise ApiError(
            400,
            f"the prompt has {len(tokens)} tokens and max_tokens is {max_tokens}, together "
            f"{len(tokens) + max_tokens}; this model's context is {service.context_tokens} tokens, "
            f"so at most {room} can be generated",
            param="max_tokens",
            code="context_length_exceeded",
        )
    stops = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    # A seed of its own for each request that gives none, or equal prompts would sample equal completions.
    seed = secrets.randbits(63) if request.seed is None else request.seed % (1 << 63)
    sampling = Sampling(
        max_tokens=max_tokens,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        seed=seed,
        stop_token_ids=tuple(request.stop_token_ids),
        logprobs=has_logprobs,
        echo=echo,
        ignore_eos=request.ignore_eos,
    )
    return Job(tokens, sampling, stops)


def _room(service: Service, tokens: tuple[int, ...]) -> int:
    room = service.context_tokens - len(tokens)
    if room < 1:
        raise ApiError(
            400,
            f"the prompt has {len(tokens)} tokens; this model's context is {service.context_tokens} tokens, "
            "prompt and completion together; shorten the prompt",
            param="prompt",
            code="context_length_exceeded",
        )
    return room


async def _prompt_tokens(service: Service, prompt: object) -> tuple[int, ...]:
    if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return await _maybe_in_thread(service.prompts.plain, prompt, len(prompt))
    if isinstance(prompt, list) and all(type(token) is int for token in prompt):
        size = service.folder.vocab_size
        outside = [token for token in prompt if not 0 <= token < size]
        if outside:
            raise ApiError(400, f"token {outside[0]} is not in the vocabulary of 0 to {size - 1}", param="prompt")
        return tuple(prompt)
    raise ApiError(400, "prompt must be one text or one list of token ids; send one request each", param="prompt")


async def _maybe_in_thread(encode: Callable[[Any], tuple[int, ...]], prompt: Any, num_chars: int) -> tuple[int, ...]:
    if num_chars < LONG_TEXT_CHARS:
        return encode(prompt)
    return await asyncio.to_thread(encode, prompt)


def _text(message: Message) -> str | None:
    if message.content is None or isinstance(message.content, str):
        return message.content
    for part in message.content:
        if part.type != "text" or part.text is None:
            raise ApiError(400, f"a message's part of type {part.type!r} is not supported; send text", param="messages")
    return "".join(part.text or "" for part in message.content)
