"""Compile: code is kept on disk, under a name that changes with any source of the kernel."""

import shutil
from pathlib import Path
from typing import Any

import numba
import pytest

from burnish.data.kernel import bands, jit, measure


def test_compiled_code_lies_in_a_folder_named_by_the_sources() -> None:
    folder = Path(jit._cache_folder(numba.config.CACHE_DIR))
    assert folder.name.startswith("kernel-")
    compiled: tuple[Any, ...] = (measure._measure, bands.bucket_pairs)
    for function in compiled:
        assert Path(function.stats.cache_path).is_relative_to(folder)
    assert "kernel-" not in numba.config.CACHE_DIR  # other code's is left alone


@pytest.mark.parametrize("name", ["kernel/decode.py", "kernel/alphabet.py", "sketches.py"])
def test_a_change_of_any_source_changes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data = Path(jit.__file__).parents[1]
    shutil.copytree(data / "kernel", tmp_path / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(data / "sketches.py", tmp_path)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "kernel/jit.py"))
    before = jit._cache_folder.__wrapped__("/cache")
    assert before == jit._cache_folder.__wrapped__("/cache")
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write("# changed")
    assert jit._cache_folder.__wrapped__("/cache") != before


def test_the_folder_is_the_users_unless_numba_is_told_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Path(jit._cache_folder.__wrapped__("")).parent == tmp_path / "burnish"
    assert Path(jit._cache_folder.__wrapped__("/elsewhere")).parent == Path("/elsewhere")
