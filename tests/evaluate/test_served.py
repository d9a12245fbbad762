"""What a measurement hears of a server that fails: sentences, not tracebacks; against a server that is made up here."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError
from burnish.evaluate import closed_loop, served
from burnish.evaluate.latency import LoadConfig, load_served
from burnish.evaluate.served import Served
from burnish.runtime import Run


@contextmanager
def answering(status: int, body: str, kind: str = "application/json") -> Iterator[Served]:
    """Answer every request alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", "made-up", os.getpid(), 0.0)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def silent() -> Iterator[Served]:
    """A server that listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", "made-up", os.getpid(), 0.0)


def ask_all_ways(server: Served, words: str) -> None:
    """Ask in each of the four ways, and expect a sentence of the error tree."""
    question = [{"role": "user", "content": "why?"}]
    for ask in (
        lambda: server.prompt_logprobs([[1, 2, 3]] * 3, lambda _: None),
        lambda: server.continue_greedily([[1, 2, 3]] * 3, 4),
        lambda: server.answer(question, 4),
    ):
        with pytest.raises(BurnishError, match=words) as raised:
            ask()
        assert "A request may take" in str(raised.value)


def test_a_server_that_fails_is_a_sentence() -> None:
    with answering(500, json.dumps({"error": {"message": "the engine is down"}})) as server:
        ask_all_ways(server, r"server of model made-up left .* \(InternalServerError: .*the engine is down")
    with answering(200, "no json") as server, pytest.raises(BurnishError, match="JSONDecodeError"):
        server.tokenize([])


def test_a_server_that_is_gone_is_a_sentence() -> None:
    with answering(200, "{}") as server:
        pass
    ask_all_ways(server, "APIConnectionError")
    with pytest.raises(BurnishError, match=r"left a request without an answer .*Connection refused"):
        server.tokenize([])


def test_a_server_that_never_answers_is_a_sentence(silent: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "_ANSWER_WITHIN_S", 0.01)
    ask_all_ways(silent, r"APITimeoutError: .* A request may take 0.01 s")
    with pytest.raises(BurnishError, match="TimeoutError"):
        silent.tokenize([])


def test_progress_is_told_in_the_callers_thread() -> None:
    body = {
        "id": "1",
        "object": "text_completion",
        "created": 0,
        "model": "made-up",
        "choices": [{"index": 0, "text": "", "finish_reason": "length", "logprobs": {"token_logprobs": [None, -0.5]}}],
    }
    told: list[tuple[int, int]] = []
    with answering(200, json.dumps(body)) as server:
        scores = server.prompt_logprobs([[1, 2]] * 20, lambda amount: told.append((amount, threading.get_ident())))
    assert scores == [[-0.5]] * 20
    assert told == [(1, threading.get_ident())] * 20


def test_a_stream_without_a_token_is_a_request_that_failed(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(200, "data: [DONE]\n\n", "text/event-stream") as server:
        monkeypatch.setattr(closed_loop, "served", lambda *_, **__: nullcontext(server))
        with pytest.raises(BurnishError, match=r"none of 2 requests; .* ended without a token; 8 were asked for"):
            run(load_served, base, headlines, config=LoadConfig(1, 2, 8))


def test_a_server_that_dies_at_once_gives_its_exit_code_and_last_words(tmp_path: Path) -> None:
    model = ModelArtifact("0" * 64, "a.stage", tmp_path)
    model.payload.mkdir()
    with (
        pytest.raises(
            BurnishError, match=r"ended before it was ready \(exit code \d\); it last said: .*error"
        ) as raised,
        served.served(model),
    ):
        pytest.fail("it cannot be served")
    assert str(raised.value).endswith(f"See it by itself: burnish serve {model.payload}")


def test_a_server_that_is_slow_gives_the_time_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "_READY_WITHIN_S", 0.0)
    model = ModelArtifact("0" * 64, "a.stage", tmp_path)
    model.payload.mkdir()
    with pytest.raises(BurnishError, match="not ready within 0 s; it said nothing") as raised, served.served(model):
        pytest.fail("no process starts in no time")
    assert not isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize(("status", "words"), [(3, "exit code 3"), (-11, "signal 11"), (-9, "killed, as")])
def test_an_end_is_put_in_words(status: int, words: str) -> None:
    assert served._end(status).startswith(words)
