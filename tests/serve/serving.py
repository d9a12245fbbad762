"""A tiny model in the form that is served, and servers for it, started as a user starts them.

Tests name the fixtures that they use as their own (`server = serving.server`): there is one conftest.py only.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from burnish.serve.engine.openvino import import_genai

T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """A server's process, where it listens, and its engine's process."""

    process: subprocess.Popen[str]
    url: str
    engine_pid: int

    def wait(self) -> tuple[int, str]:
        """Wait until it has ended; give its status and what it said on stderr."""
        said = self.process.communicate(timeout=30)[1]
        return self.process.returncode, said


@contextmanager
def running(folder: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Running]:
    """Run `burnish serve` on a free port."""
    command = [sys.executable, "-m", "burnish.cli.serve", str(folder), "--port", "0", "--threads", "1", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **(env or {})}
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        ready = json.loads(line)
        yield Running(process, ready["url"], ready["engine_process_id"])
    finally:
        process.kill()
        process.communicate()


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, with a limit."""
    return asyncio.run(asyncio.wait_for(work, 60))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="session")
def served_folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model exported in float32; do not write into it."""
    import_genai()  # before anything else imports openvino, which would send telemetry
    from burnish.compress.export.openvino_ir import save_openvino
    from burnish.compress.export.source import Source

    folder = tmp_path_factory.mktemp("served") / "tiny"
    shutil.copytree(tiny_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    save_openvino(Source.read(tiny_model), folder)
    return folder


@pytest.fixture(scope="session")
def server(served_folder: Path) -> Iterator[Running]:
    """A server that tests share; do not break it."""
    with running(served_folder, "--name", "tiny") as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[Any]:
    """The stock client."""
    from openai import OpenAI

    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=30) as found:
        yield found
