"""What is being served: the model, its engine, and how much may be asked of it."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from burnish.errors import BurnishError, RecipeError
from burnish.serve.engine.process import EngineProcess
from burnish.serve.engine.settings import EngineSettings
from burnish.serve.folder import ServableFolder
from burnish.serve.generation import Generation, Job
from burnish.serve.metrics import Metrics
from burnish.serve.prompts import Prompts


class Overloaded(BurnishError):
    """The queue is full; ask again later."""


@dataclass(frozen=True)
class Limits:
    """Bound what clients may ask.

    Attributes:
        max_waiting: requests queued beside those that run; one more is answered with 429.
        max_body_bytes: size of a request's body.
        api_key: what clients must send as a bearer token; None asks for none.
    """

    max_waiting: int = 256
    max_body_bytes: int = 1 << 20
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.max_waiting < 0 or self.max_body_bytes < 1:
            raise RecipeError(
                f"max_waiting is {self.max_waiting} and max_body_bytes {self.max_body_bytes}; "
                "they must be at least 0 and 1"
            )
        if self.api_key == "":
            raise RecipeError("the API key is empty; set one, or serve without")


class Service:
    """Hold one served model.

    Args:
        path: the folder to serve.
        name: the model's name in the API; also the `model_version` of its metrics.

    Raises:
        ArtifactError: the folder cannot be served.
    """

    def __init__(
        self, path: Path, *, name: str, settings: EngineSettings, limits: Limits, engine: EngineProcess
    ) -> None:
        self.name, self.limits, self.engine = name, limits, engine
        self.created_unix_s = int(time.time())
        self.prompts = Prompts(path)
        self.folder = ServableFolder.read(path)
        self.metrics = Metrics(name, engine)
        self.context_tokens = min(self.folder.context_tokens, settings.cache_tokens)
        self._max_in_flight = settings.max_running + limits.max_waiting

    def begin(self, job: Job) -> Generation:
        """Submit a job.

        Raises:
            Overloaded: the queue is full.
            EngineDown: the engine cannot take it now.
        """
        if self.engine.num_in_flight >= self._max_in_flight:
            raise Overloaded(f"{self.engine.num_in_flight} requests are in flight, which is the limit; try again later")
        return Generation(self.engine, self.prompts, job)
