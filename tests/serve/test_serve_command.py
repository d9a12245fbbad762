"""`burnish serve` as a command: what it takes, and how it says what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import serving
from serving import running

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.runtime import Run
from conftest import served_form

served_folder = serving.served_folder


def model_name(url: str) -> str:
    return str(httpx.get(f"{url}/v1/models", trust_env=False).json()["data"][0]["id"])


def test_an_artifact_is_served_by_its_digest_or_folder(run: Run, base: ModelArtifact) -> None:
    model = served_form(run, base)
    assert model.path is not None
    store = ("--store", str(run.store.root))
    for reference, options in ((Path(model.digest[:8]), store), (model.path, ()), (model.payload, ())):
        with running(reference, *options) as server:
            assert model_name(server.url) == model.digest[:12]


def test_a_folder_is_served_under_its_name_or_another(served_folder: Path) -> None:
    with running(served_folder) as server:
        assert model_name(server.url) == served_folder.name
    with running(served_folder, "--name", "mine") as server:
        assert model_name(server.url) == "mine"


def test_what_is_no_model_is_refused(run: Run, headlines: DatasetArtifact) -> None:
    status, said = command(headlines.digest[:8], "--store", str(run.store.root))
    assert status == 1
    assert "is no model; `burnish show` lists" in said


def test_an_open_address_without_a_key_is_warned_of(served_folder: Path) -> None:
    with running(served_folder, "--host", "0.0.0.0") as server:
        server.process.terminate()
        status, said = server.wait()
    assert status == 0
    assert said == "warning: anyone who reaches 0.0.0.0 can use this model; set --api-key-env\n"


def command(*arguments: str, **env: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "burnish.cli.serve", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_mistakes_of_the_command_line_are_one_sentence(served_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    with running(served_folder) as server:
        port = server.url.rsplit(":", 1)[1]
        taken = command(str(served_folder), "--port", port)
    cases = [
        (taken, 1, f"port {port} on 127.0.0.1 cannot be had"),
        (command(str(tiny_model)), 1, "cannot be served: openvino_model.xml"),
        (command("abcd", "--store", str(tmp_path)), 1, "no store at"),
        (command(str(served_folder), "--api-key-env", "NO_SUCH_KEY"), 2, "NO_SUCH_KEY, which is not set"),
    ]
    for (status, said), expected, words in cases:
        assert (status, words in said, said.count("\n")) == (expected, True, 1), said
