"""A server for the time of a measurement: started as a user would start it, asked over HTTP, stopped."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from burnish.artifacts import ModelArtifact
from burnish.errors import BurnishError
from burnish.runtime import need

STARTS = ("burnish.cli.serve",)  # run by command, not imported; part of the stage's code all the same
_SERVER = STARTS[0]
_PARALLEL = 8
_READY_WITHIN_S = 120.0


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        url: such as http://127.0.0.1:41234
        pid: of the server's own process; its engine is a child of it.
        ready_s: from the start of the process to its first answer.
    """

    url: str
    model: str
    pid: int
    ready_s: float

    def prompt_logprobs(self, sequences: Sequence[Sequence[int]], each: Callable[[int], None]) -> list[list[float]]:
        """Ask for the log-probability of each token after the first."""

        def one(client: Any, ids: Sequence[int]) -> list[float]:
            answer = client.completions.create(
                model=self.model, prompt=list(ids), max_tokens=1, temperature=0, echo=True, logprobs=1
            )
            found = answer.choices[0].logprobs.token_logprobs[1 : len(ids)]
            each(1)
            return [float(value) for value in found]

        return self._in_parallel(one, sequences)

    def continue_greedily(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
        """Ask for the greedy continuation of each prompt, as token ids."""

        def one(client: Any, ids: Sequence[int]) -> list[int]:
            answer = client.completions.create(
                model=self.model,
                prompt=list(ids),
                max_tokens=max_tokens,
                temperature=0,
                extra_body={"return_token_ids": True},
            )
            return list(answer.choices[0].model_extra["token_ids"])

        return self._in_parallel(one, prompts)

    def answer(self, messages: list[dict[str, str]], max_tokens: int) -> str:
        """Ask one chat question, greedily."""
        with self._client() as client:
            answer = client.chat.completions.create(
                model=self.model, messages=messages, max_tokens=max_tokens, temperature=0
            )
        return answer.choices[0].message.content or ""

    def tokenize(self, messages: list[dict[str, str]]) -> list[int]:
        """Ask which token ids the server makes of a conversation."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection.request(
            "POST", "/tokenize", json.dumps({"messages": messages}), {"content-type": "application/json"}
        )
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        if response.status != HTTPStatus.OK:
            raise BurnishError(f"the server could not tokenize: {body['error']['message']}")
        tokens: list[int] = body["tokens"]
        return tokens

    def _client(self) -> Any:
        openai = need("openai", extra="load")
        loopback = openai.DefaultHttpxClient(trust_env=False)  # no proxy stands between this machine and itself
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=120, http_client=loopback
        )

    def _in_parallel(self, one: Callable[[Any, Sequence[int]], Any], items: Sequence[Sequence[int]]) -> list[Any]:
        with self._client() as client, ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(partial(one, client), items))


@contextmanager
def served(model: ModelArtifact, *, threads: int | None = None) -> Iterator[Served]:
    """Serve a compressed model on a free port of this machine, and stop the server at the end.

    Raises:
        BurnishError: the server did not become ready; its last words are in the message.
    """
    command = [sys.executable, "-m", _SERVER, str(model.payload), "--port", "0", "--until-stdin-ends"]
    if threads is not None:
        command += ["--threads", str(threads)]
    start_s = time.monotonic()
    # Its standard input ends with this process, however that ends, and so the server does too.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield _wait_until_ready(process, start_s)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_until_ready(process: "subprocess.Popen[str]", start_s: float) -> Served:
    with ThreadPoolExecutor(1) as pool:
        assert process.stdout is not None  # noqa: S101  # Popen was given a pipe
        line = pool.submit(process.stdout.readline)
        try:
            ready = json.loads(line.result(timeout=_READY_WITHIN_S))
            url, name = ready["url"], ready["model"]
        except (TimeoutError, ValueError, KeyError) as error:
            process.kill()
            words = (process.communicate()[1] or "it said nothing").strip().splitlines()[-1]
            raise BurnishError(f"the server was not ready within {_READY_WITHIN_S:g} s: {words}") from error
    return Served(url, name, process.pid, time.monotonic() - start_s)
