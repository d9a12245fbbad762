"""Recipes: fill nested frozen dataclasses from plain mappings, and say exactly what does not fit.

A choice is a union of dataclasses. In YAML its `kind` names the member, in snake case; the rest are the
member's own keys: `method: {kind: lora, rank: 16}`, or just `method: lora` for its defaults.

Keys that are given change a default value and keep the rest of it: with `train: Train = Train(epochs=3)`,
`train: {lr: 1e-4}` has three epochs. A choice whose `kind` is given starts from that member's own defaults.
"""

import difflib
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from burnish.errors import BurnishError, RecipeError

T = TypeVar("T")


def fill(recipe: type[T], values: Mapping[str, Any]) -> T:
    """Build `recipe` from `values`.

    Raises:
        RecipeError: an unknown or missing key, a wrong type, a value outside its choices, or a pair that
            the dataclass's `__post_init__` forbids. One sentence: key, value, allowed, nearest right key.
    """
    filled: T = _dataclass(recipe, values, "", MISSING)
    return filled


def resolved(recipe: Any) -> dict[str, Any]:
    """Write a filled recipe as plain values, every default included, such that `fill` gives it back."""
    hints = get_type_hints(type(recipe))
    return {field.name: _plain(getattr(recipe, field.name), hints[field.name], resolved) for field in fields(recipe)}


def given(recipe: Any, base: Any = MISSING) -> dict[str, Any]:
    """Write what of a filled recipe differs from the defaults, those of `base` first; `fill` gives the whole back."""
    hints, defaults = get_type_hints(type(recipe)), _defaults(type(recipe), base)
    written = {}
    for name, hint in hints.items():
        value, default = getattr(recipe, name), defaults.get(name, MISSING)
        if default is MISSING or value != default:
            kept = MISSING if get_origin(hint) in (Union, types.UnionType) else default  # a `kind` starts afresh
            written[name] = _plain(value, hint, partial(given, base=kept))
    return written


def choice_name(kind: type[Any]) -> str:
    """Give the `kind` by which YAML names a member of a choice: `HuggingFaceFolder` -> `hugging_face_folder`.

    A stage's configuration goes by the stage: `PretrainConfig` -> `pretrain`.
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Config")).lower()


def _plain(value: Any, hint: Any, write: Callable[[Any], dict[str, Any]]) -> Any:
    match value:
        case Path():
            return str(value)
        case tuple() | list():
            return [_plain(item, get_args(_present(hint))[0], write) for item in value]
        case dict():
            return {str(key): _plain(item, get_args(_present(hint))[1], write) for key, item in value.items()}
        case _ if is_dataclass(value):
            is_choice = get_origin(hint) in (Union, types.UnionType)
            return {**({"kind": choice_name(type(value))} if is_choice else {}), **write(value)}
        case _:
            return value


def _present(hint: Any) -> Any:
    """Give the type of a list or mapping that could have been null."""
    return next((m for m in get_args(hint) if type(None) in get_args(hint) and get_origin(m)), hint)


def _dataclass(kind: type[Any], values: object, key: str, base: object) -> Any:
    if not isinstance(values, Mapping):
        keys = ", ".join(field.name for field in fields(kind))
        raise RecipeError(f"{key or 'the recipe'} is {_show(values)}; it must be a mapping with keys among: {keys}")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise RecipeError(_unknown(_join(key, str(name)), str(name), values[name], known))
    defaults = _defaults(kind, base)
    absent = [name for name in known if name not in values and name not in defaults]
    if absent:
        raise RecipeError(
            f"{_join(key, absent[0])} is not given and has no default; set it to a {_name(hints[absent[0]])}"
        )
    given = {
        name: _value(hints[name], values[name], _join(key, name), defaults.get(name, MISSING))
        for name in known
        if name in values
    }
    try:
        return kind(**{**defaults, **given})
    except BurnishError as error:
        raise RecipeError(f"{key}: {error}" if key else str(error)) from error


def _defaults(kind: type[Any], base: Any) -> dict[str, Any]:
    """Say what holds where nothing is given: the values of `base`, a default of this type, else the type's own."""
    if type(base) is kind:
        return {field.name: getattr(base, field.name) for field in fields(kind)}
    plain = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    made = {field.name: field.default_factory for field in fields(kind) if field.default_factory is not MISSING}
    return {**plain, **{name: factory() for name, factory in made.items()}}


def _value(kind: Any, value: object, key: str, base: object = MISSING) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin is Literal:
        return _literal(kind, value, key)
    if origin in (Union, types.UnionType):
        return _union(kind, value, key, base)
    if origin in (tuple, list):
        return _sequence(kind, value, key)
    if origin in (dict, Mapping) or (origin is not None and issubclass(origin, Mapping)):
        return _mapping(kind, value, key)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, key, base)
    return _scalar(kind, value, key)


def _scalar(kind: type[Any], value: object, key: str) -> Any:
    match kind():
        case bool():
            fits = isinstance(value, bool)
        case int():
            fits = isinstance(value, int) and not isinstance(value, bool)
        case float():
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        case str():
            fits = isinstance(value, str)
        case Path():
            fits = isinstance(value, str | Path)
        case _:
            fits = isinstance(value, kind)
    if not fits:
        raise RecipeError(f"{key} is {_show(value)}; it must be {_article(_name(kind))}")
    return kind(value)


def _literal(kind: Any, value: object, key: str) -> Any:
    allowed = get_args(kind)
    if value in allowed:
        return value
    nearest = difflib.get_close_matches(str(value), [str(option) for option in allowed], n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    raise RecipeError(f"{key} is {_show(value)}; allowed: {', '.join(map(str, allowed))}.{hint}")


def _union(kind: Any, value: object, key: str, base: object) -> Any:
    members = get_args(kind)
    if type(None) in members and value is None:
        return None
    choices: dict[str, type[Any]] = {choice_name(m): m for m in members if isinstance(m, type) and is_dataclass(m)}
    if not choices:
        return _plain_union([member for member in members if member is not type(None)], value, key)
    if isinstance(value, Mapping) and "kind" not in value:
        default = next(iter(choices.values())) if len(choices) == 1 else type(base)
        if default in choices.values():
            return _dataclass(default, value, key, base)
    body = {"kind": value} if isinstance(value, str) else value
    if not isinstance(body, Mapping) or "kind" not in body:
        raise RecipeError(f"{key} is {_show(value)}; give it a kind, one of: {', '.join(choices)}")
    name = str(body["kind"])
    if name not in choices:
        raise RecipeError(_unknown(f"{key}.kind", name, name, list(choices), what="allowed"))
    return _dataclass(choices[name], {k: v for k, v in body.items() if k != "kind"}, key, MISSING)


def _plain_union(members: list[Any], value: object, key: str) -> Any:
    for member in members:
        try:
            return _value(member, value, key)
        except RecipeError as error:
            if len(members) == 1:
                raise
            reason = error
    names = " or ".join(_name(member) for member in members)
    raise RecipeError(f"{key} is {_show(value)}; it must be {_article(names)}") from reason


def _sequence(kind: Any, value: object, key: str) -> Any:
    if not isinstance(value, list | tuple):
        raise RecipeError(f"{key} is {_show(value)}; it must be a list: [{_show(value)}]")
    item_kind = get_args(kind)[0]
    return tuple(_value(item_kind, item, f"{key}[{index}]") for index, item in enumerate(value))


def _mapping(kind: Any, value: object, key: str) -> Any:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{key} is {_show(value)}; it must be a mapping")
    key_kind, item_kind = get_args(kind)
    return {
        _scalar(key_kind, name, key): _value(item_kind, item, _join(key, str(name))) for name, item in value.items()
    }


def _unknown(key: str, name: str, value: object, allowed: list[str], *, what: str = "keys here") -> str:
    nearest = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"{key}={_show(value)} is not known; {what}: {', '.join(allowed)}.{hint}"


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _name(kind: Any) -> str:
    names = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _article(name: str) -> str:
    return name if name == "true or false" or name == "text" else f"a {name}"


def _show(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
