"""The code fingerprint: a digest of the code that a stage can reach and its data files, blind to comments and layout."""

import ast
import functools
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burnish.errors import RecipeError

_DATA_FILE = re.compile(r"\w[\w-]*\.(?!py$)\w+")
_HOW_NOT_WHAT = ("burnish.artifacts", "burnish.runtime", "burnish.errors")


def code_digest(stage: Callable[..., Any]) -> str:
    """Hash the modules of the stage's own package that its module imports, directly or not.

    A module that is run by command rather than imported counts where it is named in `STARTS`, a tuple of
    module names. A data file counts where it lies beside a module that names it in a text of its own, as
    `Path(__file__).with_name("table.json")` does. `artifacts`, `runtime` and `errors` say how a stage runs, not what it computes, and stay out.
    Docstrings, comments and layout do not count: the syntax tree does.

    Raises:
        RecipeError: the stage is not in a file, so that a change of it could not be seen.
    """
    if _source(stage.__module__) is None:
        raise RecipeError(f"the source of stage {stage.__qualname__} is not in a file; define it in a module")
    package = stage.__module__.split(".", 1)[0]
    seen: dict[str, str] = {}
    _visit(stage.__module__, package, seen)
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(seen.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _visit(module: str, package: str, seen: dict[str, str]) -> None:
    if module in seen or module.startswith(_HOW_NOT_WHAT):
        return
    path = _source(module)
    if path is None:
        return
    digest, imports, texts = _read(path, path.stat().st_mtime_ns, module)
    seen[module] = digest
    for text in texts:
        file = path.with_name(text)
        if file.is_file():
            seen[f"{module} {text}"] = _file_digest(file, file.stat().st_mtime_ns)
    for name in imports:
        if name.split(".", 1)[0] == package:
            _visit(name, package, seen)


@functools.cache
def _read(path: Path, _mtime_ns: int, module: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Give a module's digest, what it imports, and the texts in it that may name a data file beside it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports: set[str] = set()
    texts: set[str] = set()
    is_package = path.name == "__init__.py"
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imports.update(name.name for name in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = _resolve(module, source, level, is_package)
                imports.add(base)
                imports.update(f"{base}.{name.name}" for name in names)
            case ast.Assign(targets=[ast.Name(id="STARTS")], value=ast.Tuple(elts=names)):
                imports.update(str(name.value) for name in names if isinstance(name, ast.Constant))
            case ast.Constant(value=str(text)) if _DATA_FILE.fullmatch(text):
                texts.add(text)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Module() if ast.get_docstring(node):
                node.body = node.body[1:]
    return hashlib.sha256(_written(tree).encode()).hexdigest(), tuple(sorted(imports)), tuple(sorted(texts))


@functools.cache
def _file_digest(path: Path, _mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _written(part: object) -> str:
    """Write a syntax tree without its empty fields, which differ from one Python to the next (`ast.dump` has them)."""
    if isinstance(part, list):
        return f"[{','.join(map(_written, part))}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    fields = (f"{name}={_written(value)}" for name, value in ast.iter_fields(part) if value not in (None, []))
    return f"{type(part).__name__}({','.join(fields)})"


def _resolve(module: str, source: str | None, level: int, is_package: bool) -> str:
    if level == 0:
        return source or ""
    parts = module.split(".")
    base = parts[: len(parts) - level + is_package]
    return ".".join([*base, *([source] if source else [])])


def _source(module: str) -> Path | None:
    """Find a module's file without importing anything: what a stage imports late may be heavy or not installed."""
    parent, _, name = module.rpartition(".")
    loaded = sys.modules.get(module)
    if loaded or not parent:
        spec = None if loaded else importlib.util.find_spec(module)
        origin = getattr(loaded, "__file__", None) if loaded else spec and spec.origin
        return Path(origin) if origin and origin.endswith(".py") else None
    package = _source(parent)
    if package is None or package.name != "__init__.py":
        return None
    candidates = (package.parent / name / "__init__.py", package.parent / f"{name}.py")
    return next((path for path in candidates if path.is_file()), None)
