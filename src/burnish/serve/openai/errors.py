"""Errors in OpenAI's form: `{"error": {"message", "type", "param", "code"}}`."""

from dataclasses import dataclass, field
from typing import Any

from burnish.errors import ArtifactError, BurnishError, RecipeError
from burnish.serve.engine.completion import EngineCrashed, EngineDown
from burnish.serve.engine.protocol import RequestRefused
from burnish.serve.generation import ClientGone
from burnish.serve.metrics import CLIENT_GONE
from burnish.serve.service import Overloaded

# A queue moves on within a second: a step takes tens of milliseconds and the engine is back from a crash in about one.
RETRY_AFTER_S = 1


@dataclass
class ApiError(BurnishError):
    """An answer that is an error.

    Attributes:
        kind: OpenAI's `type`.
        param: the request's field that is wrong.
        code: OpenAI's short name, where there is one.
    """

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """Give the answer's body."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def api_error(error: BurnishError) -> ApiError:
    """Say an error in the API's terms."""
    retry = {"Retry-After": str(RETRY_AFTER_S)}
    match error:
        case ApiError():
            return error
        case Overloaded():
            return ApiError(429, str(error), kind="requests", code="rate_limit_exceeded", headers=retry)
        case EngineDown():
            return ApiError(503, str(error), kind="server_error", code="engine_down", headers=retry)
        case EngineCrashed():
            return ApiError(500, str(error), kind="server_error", code="engine_crashed")
        case ClientGone():
            return ApiError(CLIENT_GONE, str(error))
        case RequestRefused() | RecipeError() | ArtifactError():
            return ApiError(400, str(error))
        case _:
            return ApiError(500, str(error), kind="server_error")
