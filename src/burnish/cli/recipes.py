"""Recipes on disk: YAML and `key=value` overrides, composed by Hydra, to the plain values of one recipe."""

import difflib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from burnish.errors import RecipeError

DEFAULT_PROFILE = "default"


@dataclass(frozen=True)
class Composed:
    """What a YAML file and overrides say.

    Attributes:
        profile: the option of the group `profile/` that was chosen, by the recipe's own defaults list or an
            override; "default" where there is none.
    """

    values: dict[str, Any]
    profile: str


def compose_recipe(path: Path, overrides: Sequence[str]) -> Composed:
    """Compose the values of the recipe at `path`.

    `key=value` sets any key, listed in the YAML or not. Where a folder `key/` stands beside the recipe, it
    selects `key/value.yaml` instead (a Hydra config group). Hydra's own prefixes `+`, `++` and `~` work too.

    Raises:
        RecipeError: no such file, wrong syntax, an unknown group option, or an interpolation that leads nowhere.
    """
    if not path.is_file() or path.suffix != ".yaml":
        raise RecipeError(_no_recipe(path))
    groups = [_group(path, override) for override in overrides]
    chosen = [group for group in groups if group is not None]
    listed = _listed_groups(path)
    plain = [_value(override) for override, group in zip(overrides, groups, strict=True) if group is None]
    selections = [f"{'' if key in listed else '+'}{key}={option}" for key, option in chosen]
    if any("." in override for override in plain):
        plain = [*_spelled_choices(_compose(path, selections), plain), *plain]
    return Composed(_compose(path, [*selections, *plain]), {**listed, **dict(chosen)}.get("profile", DEFAULT_PROFILE))


def refuse_strays(path: Path, values: Mapping[str, Any], own: type, others: Mapping[str, type]) -> None:
    """Refuse a recipe whose fields are those of another command's recipes.

    Args:
        own: the dataclass that the values are for.
        others: command -> the dataclass of its recipes.

    Raises:
        RecipeError: naming that command.
    """
    known = {field.name for field in fields(own)}
    for command, other in others.items():
        theirs = {field.name for field in fields(other)}
        if (theirs - known) & set(values) and not (known - theirs) & set(values):
            raise RecipeError(f"{path} is a recipe for another command; type: {command} {path}")


def _compose(path: Path, overrides: list[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with _readable(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Hydra's advice is for authors of Hydra applications
        with initialize_config_dir(version_base=None, config_dir=str(path.parent.resolve())):
            config = compose(path.stem, overrides=overrides)
            values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return dict(values)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the YAML reader, Hydra and OmegaConf say of a file into one sentence."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]  # PyYAML ships no types

    try:
        yield
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: it is no text in UTF-8 ({error.reason} at byte {error.start}); save it as such"
        ) from error
    except (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise RecipeError(f"{path}: {_first_line(error)}") from error


def _group(recipe: Path, override: str) -> tuple[str, str] | None:
    """Read `profile=tiny` as a choice of `profile/tiny.yaml`, where there is a folder `profile/`."""
    key, _, option = override.partition("=")
    folder = recipe.parent / key.lstrip("+")
    if not re.fullmatch(r"\+?[\w/]+", key) or not folder.is_dir():
        return None
    options = sorted(file.stem for file in folder.glob("*.yaml"))
    if option not in options:
        nearest = difflib.get_close_matches(option, options, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise RecipeError(f"{override} is not known; allowed: {', '.join(options)}.{hint}")
    return key.lstrip("+"), option


def _value(override: str) -> str:
    """Check that Hydra can read an override, and let a plain `key=value` set a key that the YAML does not list."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    full = override if override.startswith(("+", "~")) else f"++{override}"
    try:
        parsed = OverridesParser.create().parse_override(full)
    except HydraException as error:
        raise RecipeError(
            f"{override!r} cannot be read ({_first_line(error)}); write key=value, "
            "a list as 'key=[a,b]', and quote text with special characters: key=\"'a, b'\""
        ) from error
    if parsed.is_sweep_override():
        raise RecipeError(f"{override!r} gives more than one value; write a list as 'key=[a,b]', text as key=\"'a,b'\"")
    return full


def _listed_groups(path: Path) -> dict[str, str]:
    """Read which options of which groups the recipe's own defaults list chooses."""
    from omegaconf import DictConfig, ListConfig, OmegaConf

    with _readable(path):
        body = OmegaConf.load(path)
    if isinstance(body, ListConfig):
        raise RecipeError(f"{path}: it holds a list; write a recipe as lines of `key: value`")
    defaults = body.get("defaults")
    chosen = [entry for entry in defaults if isinstance(entry, DictConfig)] if isinstance(defaults, ListConfig) else []
    return {str(key).split()[-1]: str(option) for entry in chosen for key, option in entry.items_ex(resolve=False)}


def _spelled_choices(values: dict[str, Any], overrides: list[str]) -> list[str]:
    """Spell out the short form of a choice that an override goes into: `method: lora` and `method.rank=8`.

    Hydra would put a mapping in place of the text, and the choice would be lost.
    """
    spelled = []
    for override in overrides:
        *parents, _ = override.partition("=")[0].lstrip("+~").split(".")
        node: Any = values
        for depth, name in enumerate(parents, start=1):
            node = node.get(name) if isinstance(node, dict) else None
            if isinstance(node, str):
                spelled.append(f"++{'.'.join(parents[:depth])}={{kind:{node}}}")
    return spelled


def _no_recipe(path: Path) -> str:
    if path.is_file():
        return f"recipe {path} is no .yaml file; rename it to {path.with_suffix('.yaml').name}"
    folder = path if path.is_dir() else path.parent
    held = sorted(str(file) for file in folder.glob("*.yaml"))
    nearest = difflib.get_close_matches(str(path), held, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    wrong = "is a folder" if path.is_dir() else "does not exist"
    return f"recipe {path} {wrong}; there are: {', '.join(held) or 'none in that folder'}.{hint}"


def _first_line(error: BaseException) -> str:
    """Put the useful part of a library's many lines into one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("See https", "full_key", "object_type", "Config search"))]
    return "; ".join(useful[:4])
