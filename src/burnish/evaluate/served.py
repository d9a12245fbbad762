"""A server for the time of a measurement: started as a user would start it, asked over HTTP, stopped."""

import http.client
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urlsplit

from burnish.artifacts import ModelArtifact
from burnish.errors import BurnishError
from burnish.runtime import need

STARTS = ("burnish.cli.serve",)  # run by command, not imported; part of the stage's code all the same
_SERVER = STARTS[0]
_PARALLEL = 8
_READY_WITHIN_S = 120.0
_ANSWER_WITHIN_S = 120.0
_LAST_LINES = 3  # of the server's log, in an error


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
        """Ask for the log-probability of each token after the first.

        Args:
            each: told 1 as each sequence is answered, in the caller's thread.

        Raises:
            BurnishError: a request was not answered.
        """

        def one(client: Any, ids: Sequence[int]) -> list[float]:
            answer = client.completions.create(
                model=self.model, prompt=list(ids), max_tokens=1, temperature=0, echo=True, logprobs=1
            )
            found = answer.choices[0].logprobs.token_logprobs[1 : len(ids)]
            return [float(value) for value in found]

        return self._in_parallel(one, sequences, each)

    def continue_greedily(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
        """Ask for the greedy continuation of each prompt, as token ids.

        Raises:
            BurnishError: a request was not answered.
        """

        def one(client: Any, ids: Sequence[int]) -> list[int]:
            answer = client.completions.create(
                model=self.model,
                prompt=list(ids),
                max_tokens=max_tokens,
                temperature=0,
                extra_body={"return_token_ids": True},
            )
            return list(answer.choices[0].model_extra["token_ids"])

        return self._in_parallel(one, prompts, lambda _: None)

    def answer(self, messages: list[dict[str, str]], max_tokens: int) -> str:
        """Ask one chat question, greedily.

        Raises:
            BurnishError: it was not answered.
        """
        with self._client() as client:
            answer = client.chat.completions.create(
                model=self.model, messages=messages, max_tokens=max_tokens, temperature=0
            )
        return answer.choices[0].message.content or ""

    def tokenize(self, messages: list[dict[str, str]]) -> list[int]:
        """Ask which token ids the server makes of a conversation.

        Raises:
            BurnishError: it was not answered.
        """
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_ANSWER_WITHIN_S)
        try:
            connection.request(
                "POST", "/tokenize", json.dumps({"messages": messages}), {"content-type": "application/json"}
            )
            response = connection.getresponse()
            body = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unanswered(error) from error
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise BurnishError(f"the server could not tokenize: {body['error']['message']}")
        tokens: list[int] = body["tokens"]
        return tokens

    @contextmanager
    def _client(self) -> Iterator[Any]:
        openai = need("openai", extra="load")
        loopback = openai.DefaultHttpxClient(trust_env=False)  # no proxy stands between this machine and itself
        try:
            with openai.OpenAI(
                base_url=f"{self.url}/v1",
                api_key="none",
                max_retries=0,
                timeout=_ANSWER_WITHIN_S,
                http_client=loopback,
            ) as client:
                yield client
        except openai.OpenAIError as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: Exception) -> BurnishError:
        return BurnishError(
            f"the server of model {self.model} left a request without an answer ({type(error).__name__}: {error}). "
            f"A request may take {_ANSWER_WITHIN_S:g} s and what the model's context holds; ask for less text, and see "
            "that the server has memory"
        )

    def _in_parallel(
        self, one: Callable[[Any, Sequence[int]], Any], items: Sequence[Sequence[int]], each: Callable[[int], None]
    ) -> list[Any]:
        with self._client() as client, ThreadPoolExecutor(_PARALLEL) as pool:
            futures = [pool.submit(one, client, item) for item in items]
            try:
                for future in as_completed(futures):
                    future.result()
                    each(1)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # after an error nobody wants the rest
            return [future.result() for future in futures]


@contextmanager
def served(model: ModelArtifact, *, threads: int | None = None) -> Iterator[Served]:
    """Serve a compressed model on a free port of this machine, and stop the server at the end.

    Raises:
        BurnishError: the server ended or did not become ready; its last words are in the message.
    """
    command = [sys.executable, "-m", _SERVER, str(model.payload), "--port", "0", "--until-stdin-ends"]
    if threads is not None:
        command += ["--threads", str(threads)]
    start_s = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:  # a pipe that nobody reads would fill
        # Its standard input ends with this process, however that ends, and so the server does too.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield _wait_until_ready(process, log, start_s, f"burnish serve {shlex.quote(str(model.payload))}")
        finally:
            process.terminate()
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _wait_until_ready(process: "subprocess.Popen[str]", log: IO[str], start_s: float, by_hand: str) -> Served:
    with ThreadPoolExecutor(1) as pool:
        assert process.stdout is not None  # noqa: S101  # Popen was given a pipe
        first = pool.submit(process.stdout.readline)
        try:
            line = first.result(timeout=_READY_WITHIN_S)
        except TimeoutError:
            process.kill()
            process.wait()
            raise BurnishError(
                f"the server was not ready within {_READY_WITHIN_S:g} s; {_last_words(log)}. Free the machine, or serve "
                "a smaller model"
            ) from None
    if not line:
        status = process.wait()
        raise BurnishError(
            f"the server ended before it was ready ({_end(status)}); {_last_words(log)}. See it by itself: {by_hand}"
        )
    try:
        ready = json.loads(line)
        return Served(ready["url"], ready["model"], process.pid, time.monotonic() - start_s)
    except (ValueError, KeyError) as error:
        raise BurnishError(
            f"the server said {line.strip()!r} where it says its address; see it by itself: {by_hand}"
        ) from error


def _end(status: int) -> str:
    """Say how a process ended, by what Popen gives: a signal where it is below 0."""
    if status == -signal.SIGKILL:
        return "killed, as a machine without memory does"
    return f"exit code {status}" if status >= 0 else f"signal {-status}"


def _last_words(log: IO[str]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    return f"it last said: {' / '.join(lines[-_LAST_LINES:])}" if lines else "it said nothing"
