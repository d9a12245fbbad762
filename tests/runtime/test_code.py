import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from burnish.errors import RecipeError
from burnish.runtime import code
from burnish.runtime.code import _read, code_digest

STAGE = '''"""A room."""
from . import helper
from .late import constants
import json


def stage(out, *, config):
    """Make it."""
    from codepkg.deep.inner import value
    return helper.double(value) + constants.A
'''
HELPER = """def double(x):
    # twice
    return 2 * x
"""
CONSTANTS = """from pathlib import Path
A = 1
TABLE = Path(__file__).with_name("table.json")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package on the path, its folder in hand; nothing of it stays loaded."""
    folder = tmp_path / "codepkg"
    for name, text in {
        "__init__.py": "",
        "stage.py": STAGE,
        "helper.py": HELPER,
        "unused.py": "x = 1\n",
        "late/__init__.py": "",
        "late/constants.py": CONSTANTS,
        "late/table.json": "[1, 2]",
        "late/other.json": "[1, 2]",
        "deep/__init__.py": "",
        "deep/inner.py": "import sys\nsys.was_imported = True\nimport not_installed_here\nvalue = 3\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "codepkg"]:
        del sys.modules[name]


def stage_of(package: Path) -> Callable[..., Any]:
    """Load `stage` without running its module, whose helpers need not be importable."""
    module = ModuleType("codepkg.stage")
    module.__file__ = str(package / "stage.py")
    sys.modules["codepkg.stage"] = module
    stage: Callable[..., Any] = eval("lambda out, *, config: None", {"__name__": "codepkg.stage"})
    return stage


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def digest(package: Path) -> str:
    return code_digest(stage_of(package))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("helper.py", "# twice", "# two times"),
        ("helper.py", "2 * x", "2*x"),
        ("helper.py", "def double", "\n\ndef double"),
        ("stage.py", '"""Make it."""', '"""Make it well."""'),
        ("stage.py", '"""A room."""', '"""The room."""'),
        ("unused.py", "x = 1", "x = 2"),
        ("late/other.json", "[1, 2]", "[1, 3]"),
    ],
)
def test_words_layout_and_unreachable_code_do_not_count(package: Path, name: str, old: str, new: str) -> None:
    before = digest(package)
    edit(package / name, old, new)
    assert digest(package) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stage.py", "+ constants.A", "- constants.A"),
        ("helper.py", "2 * x", "3 * x"),
        ("late/constants.py", "A = 1", "A = 2"),
        ("late/table.json", "[1, 2]", "[1, 3]"),
        ("deep/inner.py", "value = 3", "value = 4"),
        ("__init__.py", "", "VERSION = 2\n"),
    ],
)
def test_code_that_the_stage_can_reach_counts(package: Path, name: str, old: str, new: str) -> None:
    before = digest(package)
    edit(package / name, old, new)
    assert digest(package) != before


def test_every_packaged_data_file_counts() -> None:
    """It is named in full by a module beside it, so that the digest of a stage that reads it is not blind to it."""
    root = Path(code.__file__).parents[1]
    files = [path for path in root.rglob("*.*") if path.suffix not in (".py", ".pyc") and path.name != "py.typed"]
    assert root / "data" / "kernel" / "letter_pairs.json" in files
    for file in files:
        beside = file.parent.glob("*.py")
        assert any(f'"{file.name}"' in module.read_text(encoding="utf-8") for module in beside), file
        assert code._DATA_FILE.fullmatch(file.name)


def test_hashing_imports_nothing(package: Path) -> None:
    """A late import may be heavy, or of a package that this machine lacks; the digest is the same."""
    digest(package)
    assert not hasattr(sys, "was_imported")
    assert "codepkg.helper" not in sys.modules


def test_a_module_that_only_has_the_name_of_an_import_is_found_once_it_is_there(package: Path) -> None:
    edit(package / "stage.py", "import json", "from .late import more")
    before = digest(package)
    (package / "late" / "more.py").write_text("B = 1\n")
    assert digest(package) != before


def test_how_a_stage_runs_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module imports `artifacts`, `runtime` and `errors`, which are no part of what it computes."""
    stage = importlib.import_module("burnish.plan.estimate").estimate
    without = code_digest(stage)
    monkeypatch.setattr("burnish.runtime.code._HOW_NOT_WHAT", ("burnish.none",))
    assert code_digest(stage) != without
    monkeypatch.setattr(
        "burnish.runtime.code._HOW_NOT_WHAT", ("burnish.artifacts", "burnish.runtime", "burnish.errors")
    )
    assert code_digest(stage) == without


def test_a_stage_that_is_in_no_file_is_refused() -> None:
    scope: dict[str, Any] = {"__name__": "typed_at_a_prompt"}
    exec("def stage(out, *, config): ...", scope)
    with pytest.raises(RecipeError, match=r"the source of stage stage is not in a file; define it in a module"):
        code_digest(scope["stage"])


def test_a_module_that_is_run_by_command_counts_where_it_is_named(package: Path) -> None:
    stage = stage_of(package)
    before = code_digest(stage)
    (package / "helper.py").write_text(HELPER + '\nSTARTS = ("codepkg.unused",)\n')
    named = code_digest(stage)
    (package / "unused.py").write_text("x = 2\n")
    assert len({before, named, code_digest(stage)}) == 3


def test_a_digest_is_the_same_on_every_python(tmp_path: Path) -> None:
    """Syntax trees have grown fields (3.12: type parameters); another machine's Python shall find what is sealed."""
    source = tmp_path / "stage.py"
    source.write_text("def stage(out, *, config):\n    return f'{out!r:>{config.width}}', [x for x in () if x], None\n")
    assert _read(source, 0, "stage")[0] == "9b60396bae5c10c3242fd56e145853eb032b9913180e347d18f943a72aaff998"
