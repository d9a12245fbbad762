"""What goes wrong in production: dead engines, clients that leave, too many of them, signals, keys, telemetry."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import serving
from serving import Running, is_alive, running

served_folder = serving.served_folder
LONG = {"prompt": [1, 50, 60], "max_tokens": 500, "ignore_eos": True, "temperature": 0}


def post(server: Running, body: dict[str, Any], **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/completions", json=body, timeout=60, trust_env=False, **options)


def health(server: Running) -> int:
    return httpx.get(f"{server.url}/health", trust_env=False).status_code


def metric(server: Running, start: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


def until(condition: Callable[[], bool], *, within_s: float = 20) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.02)


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def test_a_killed_engine_is_reported_and_comes_back(served_folder: Path) -> None:
    with running(served_folder) as server:
        body = {**LONG, "prompt": [1] * 10}
        thread, found = in_thread(lambda: post(server, body))
        with httpx.stream(
            "POST", f"{server.url}/v1/completions", json={**LONG, "stream": True}, timeout=60, trust_env=False
        ) as stream:
            lines = stream.iter_lines()
            assert json.loads(next(lines).removeprefix("data: "))["choices"]
            os.kill(server.engine_pid, signal.SIGSTOP)  # so that the other request is certainly in flight
            time.sleep(0.2)
            os.kill(server.engine_pid, signal.SIGKILL)
            last = [line for line in lines if line][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_crashed"
        thread.join(20)
        assert found[0].status_code == 500
        assert found[0].json()["error"]["type"] == "server_error"
        assert health(server) in {200, 503}  # it answers while the engine is away
        until(lambda: health(server) == 200)
        assert post(server, {**LONG, "max_tokens": 2}).status_code == 200
        assert metric(server, 'burnish_requests_total{code="500"') == 2


def test_health_is_503_while_the_engine_is_away(served_folder: Path) -> None:
    with running(served_folder) as server:
        os.kill(server.engine_pid, signal.SIGKILL)
        until(lambda: health(server) == 503)
        assert post(server, LONG).status_code == 503
        until(lambda: health(server) == 200)


def test_an_engine_that_keeps_dying_ends_the_server(served_folder: Path) -> None:
    with running(served_folder) as server:
        for _ in range(3):
            until(lambda: health(server) == 200)
            children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            until(lambda child=children[0]: not is_alive(int(child)))  # type: ignore[misc]
            time.sleep(0.05)
        status, said = server.wait()
        assert status == 1
        assert "died 3 times within 60 s" in said


@pytest.mark.parametrize("is_streaming", [True, False])
def test_a_client_that_leaves_frees_the_engine(served_folder: Path, is_streaming: bool) -> None:
    with running(served_folder) as server:
        body = {**LONG, "stream": is_streaming}
        with httpx.Client(trust_env=False) as client:
            if is_streaming:
                with client.stream("POST", f"{server.url}/v1/completions", json=body) as stream:
                    next(stream.iter_lines())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    client.post(f"{server.url}/v1/completions", json=body, timeout=0.05)
        until(lambda: metric(server, 'burnish_requests_total{code="499"') == 1)
        assert metric(server, 'burnish_requests_total{code="200"') == 0
        ticks = cpu_ticks(server.engine_pid)
        time.sleep(0.3)
        assert cpu_ticks(server.engine_pid) - ticks <= 2  # it rests: nobody's tokens are made


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_full_queue_is_said_with_a_time_to_come_back(served_folder: Path) -> None:
    with running(served_folder, "--max-running", "1", "--max-waiting", "1") as server:
        started = [in_thread(lambda: post(server, LONG)) for _ in range(6)]
        for thread, _ in started:
            thread.join(60)
        responses = [found[0] for _, found in started]
        assert {response.status_code for response in responses} == {200, 429}
        refused = next(response for response in responses if response.status_code == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert post(server, {**LONG, "max_tokens": 1}).status_code == 200


def test_sigterm_finishes_what_runs_and_ends(served_folder: Path) -> None:
    with running(served_folder) as server:
        thread, found = in_thread(lambda: post(server, LONG))
        until(lambda: metric(server, "burnish_memory_bytes") > 0)
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        start_s = time.monotonic()
        status, said = server.wait()
        thread.join(20)
        assert found[0].status_code == 200
        assert found[0].json()["usage"]["completion_tokens"] == 500
        assert (status, said) == (0, "")
        assert time.monotonic() - start_s < 10
        assert not is_alive(server.engine_pid)


@pytest.mark.slow
def test_sigterm_ends_even_with_an_engine_that_hangs(served_folder: Path) -> None:
    with running(served_folder) as server:
        os.kill(server.engine_pid, signal.SIGSTOP)
        thread, found = in_thread(lambda: post(server, LONG))
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        status, said = server.wait()
        thread.join(20)
        assert found[0].status_code == 503
        assert found[0].json()["error"]["message"] == "the server is stopping"
        assert (status, said) == (0, "")
        assert not is_alive(server.engine_pid)


def test_a_server_tied_to_stdin_ends_with_it(served_folder: Path) -> None:
    with running(served_folder, "--until-stdin-ends") as server:
        assert health(server) == 200
        assert server.process.stdin is not None
        in_thread(lambda: post(server, LONG))  # what runs is finished
        time.sleep(0.1)
        server.process.stdin.close()
        server.process.stdin = None
        assert server.wait() == (0, "")
        until(lambda: not is_alive(server.engine_pid))


def test_a_killed_server_leaves_no_engine(served_folder: Path) -> None:
    with running(served_folder) as server:
        server.process.kill()
        server.process.wait()
        until(lambda: not is_alive(server.engine_pid))


def test_a_key_is_asked_for(served_folder: Path) -> None:
    with running(served_folder, "--api-key-env", "KEY", env={"KEY": "sécret"}) as server:
        short = {**LONG, "max_tokens": 1}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sécre".encode()}):
            refused = post(server, short, headers=headers)
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(f"{server.url}/metrics", trust_env=False).status_code == 401
        assert health(server) == 200
        assert post(server, short, headers={"Authorization": "Bearer sécret".encode()}).status_code == 200


SENT = """
import os, sys
def watch(event, _arguments):
    if event in ("socket.getaddrinfo", "socket.connect", "urllib.Request", "os.fork", "subprocess.Popen"):
        os.write(2, event.encode())
        os._exit(7)
sys.addaudithook(watch)
{code}
"""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import openvino", 7),  # what it does by itself: without this line the test could not fail
        ("from burnish.serve.engine.openvino import import_genai; import_genai(); import openvino", 0),
    ],
)
def test_no_telemetry_is_sent(tmp_path: Path, code: str, status: int) -> None:
    quiet = ("CI", "TF_BUILD", "JENKINS_URL")  # where telemetry is off anyway
    env = {name: value for name, value in os.environ.items() if name not in quiet} | {"HOME": str(tmp_path)}
    script = SENT.format(code=code)
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert (tmp_path / "intel").exists() == (status == 7)


def test_a_whole_server_leaves_no_trace_of_telemetry(served_folder: Path, tmp_path: Path) -> None:
    with running(served_folder, env={"HOME": str(tmp_path), "CI": ""}) as server:
        assert post(server, {**LONG, "max_tokens": 2}).status_code == 200
    assert not (tmp_path / "intel").exists()
