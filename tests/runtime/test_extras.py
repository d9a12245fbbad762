import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from burnish.errors import MissingExtra
from burnish.runtime import need
from burnish.runtime.extras import EXTRAS, installed_version, missing
from burnish.runtime.hardware import fingerprint


def test_what_is_installed_is_imported() -> None:
    assert need("json", extra="data").dumps([1]) == "[1]"


def test_what_is_not_says_what_to_type() -> None:
    with pytest.raises(MissingExtra, match=r"no_such_pkg.sub is not installed; type: pip install 'burnish\[train\]'"):
        need("no_such_pkg.sub", extra="train")


def test_a_fault_inside_a_package_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faulty_pkg.py").write_text("import not_installed_either\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_either"):
        need("faulty_pkg", extra="train")
    sys.modules.pop("faulty_pkg", None)


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = {
        extra: {re.split(r"[<>=\[]", requirement)[0] for requirement in requirements}
        for extra, requirements in project["optional-dependencies"].items()
    }
    for extra, distributions in EXTRAS.items():
        assert set(distributions) <= declared[extra], extra


def test_versions_are_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_version("pytest") == pytest.__version__
    assert installed_version("no-such-distribution") is None
    monkeypatch.setitem(EXTRAS, "odd", ("pytest", "no-such-distribution"))
    assert missing("odd") == ("no-such-distribution",)


def test_the_fingerprint_says_what_makes_figures_believable() -> None:
    found = fingerprint()
    assert found["hardware"]["memory_bytes"] > 2**28
    assert found["software"]["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")


@pytest.mark.parametrize("door", ["importlib.import_module", "need"])
def test_openvino_phones_home_unless_it_comes_through_need(tmp_path: Path, door: str) -> None:
    """The control shows that the test can fail: a bare import loads the telemetry package, ours does not."""
    call = "need('openvino', extra='compress')" if door == "need" else "importlib.import_module('openvino')"
    code = f"import importlib, sys; from burnish.runtime import need; {call}; print(bool(sys.modules['openvino_telemetry']))"
    quiet = {"CI": "true", "HOME": str(tmp_path), "PATH": os.environ["PATH"]}  # CI keeps the control from sending
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=quiet, check=True)
    assert done.stdout.strip() == str(door != "need")
