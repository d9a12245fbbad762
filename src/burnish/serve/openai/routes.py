"""The HTTP application: routes, keys, limits."""

import contextlib
import hmac
from collections.abc import Iterator
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from burnish.errors import BurnishError
from burnish.serve.generation import ClientGone, Job
from burnish.serve.metrics import Watch
from burnish.serve.openai.answers import ChatForm, CompletionForm, Form, Usage
from burnish.serve.openai.errors import ApiError, api_error
from burnish.serve.openai.jobs import chat_job, completion_job, tokenize
from burnish.serve.openai.schema import ChatRequest, Common, CompletionRequest, TokenizeRequest, read_body
from burnish.serve.openai.stream import EventStream, leaving
from burnish.serve.service import Service

_UNEXPECTED = ApiError(500, "the server made a mistake; its log has the details", kind="server_error")


def application(service: Service) -> Starlette:
    """Make the application of a service."""
    routes = Routes(service)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", routes.chat, methods=["POST"]),
            Route("/v1/completions", routes.complete, methods=["POST"]),
            Route("/v1/models", routes.models),
            Route("/tokenize", routes.tokenize, methods=["POST"]),
            Route("/health", routes.health),
            Route("/metrics", routes.metrics),
        ],
        exception_handlers={BurnishError: _refused, HTTPException: _no_route, Exception: _refused},
    )


class Routes:
    """Answer requests for one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def chat(self, request: Request) -> Response:
        """Answer POST /v1/chat/completions."""
        with _counted(self._service) as watch:
            asked = await self._read(request, ChatRequest)
            form = ChatForm(self._service.name, self._service.prompts, bool(asked.logprobs), asked.return_token_ids)
            return await self._answer(request, asked, await chat_job(self._service, asked), form, watch)

    async def complete(self, request: Request) -> Response:
        """Answer POST /v1/completions."""
        with _counted(self._service) as watch:
            asked = await self._read(request, CompletionRequest)
            form = CompletionForm(
                self._service.name, self._service.prompts, asked.logprobs is not None, asked.return_token_ids
            )
            return await self._answer(request, asked, await completion_job(self._service, asked), form, watch)

    async def tokenize(self, request: Request) -> Response:
        """Answer POST /tokenize, which vLLM's clients know: `{"messages"}` or `{"prompt"}` to `{"tokens"}`."""
        tokens = await tokenize(self._service, await self._read(request, TokenizeRequest))
        return _json({"tokens": tokens, "count": len(tokens), "max_model_len": self._service.context_tokens})

    async def models(self, request: Request) -> Response:
        """Answer GET /v1/models."""
        self._check_key(request)
        service = self._service
        model = {
            "id": service.name,
            "object": "model",
            "created": service.created_unix_s,
            "owned_by": "burnish",
            "max_model_len": service.context_tokens,
        }
        return _json({"object": "list", "data": [model]})

    async def health(self, request: Request) -> Response:
        """Answer GET /health: 200 when requests are taken, 503 while the engine is down."""
        del request
        is_ready = self._service.engine.is_ready
        return _json({"status": "ok" if is_ready else "engine down"}, 200 if is_ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Answer GET /metrics for Prometheus."""
        self._check_key(request)
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _answer(self, request: Request, asked: Common, job: Job, form: Form, watch: Watch) -> Response:
        generation = self._service.begin(job)
        pieces = generation.pieces()
        usage = Usage(len(job.prompt_tokens))
        async with leaving(request.receive, generation):
            first = await anext(pieces)
            watch.token()
            if not asked.stream:
                got = [first, *[piece async for piece in pieces]]
                usage.num_new = sum(piece.num_new for piece in got)
                answer = _json(form.whole(got, usage))
                watch.end(200)
                return answer
        has_usage = asked.stream_options is not None and asked.stream_options.include_usage
        return EventStream(
            first, pieces, generation=generation, form=form, usage=usage, has_usage=has_usage, watch=watch
        )

    async def _read(self, request: Request, kind: Any) -> Any:
        self._check_key(request)
        limit = self._service.limits.max_body_bytes
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise ApiError(413, f"the body is larger than {limit} bytes", code="body_too_large")
        except ClientDisconnect as error:
            raise ClientGone("the client closed the connection") from error
        return read_body(bytes(body), kind)

    def _check_key(self, request: Request) -> None:
        key = self._service.limits.api_key
        if key is None:
            return
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("latin-1"), key.encode()):  # headers come as latin-1
            raise ApiError(
                401,
                "the API key is missing or wrong; send it as `Authorization: Bearer <key>`",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


@contextlib.contextmanager
def _counted(service: Service) -> Iterator[Watch]:
    """Count a request that ends in an error; one that is answered ends its watch itself."""
    watch = service.metrics.watch()
    try:
        yield watch
    except Exception as error:
        watch.end(api_error(error).status if isinstance(error, BurnishError) else 500)
        raise


async def _refused(request: Request, error: Exception) -> Response:
    del request
    problem = api_error(error) if isinstance(error, BurnishError) else _UNEXPECTED
    return _json(problem.body, problem.status, problem.headers)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = ApiError(
        status, f"{request.method} {request.url.path}: {error.detail if isinstance(error, HTTPException) else error}"
    )
    return _json(problem.body, problem.status)


def _json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
