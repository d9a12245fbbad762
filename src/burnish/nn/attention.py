"""Attention as a choice: which earlier tokens each token attends to, and how a saved model says so."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, assert_never

from burnish.errors import BurnishError, RecipeError
from burnish.runtime.recipes import choice_name, fill

CONFIG_KEY = "burnish_attention"  # in a model's config.json
ADAPTER_FILE = "burnish.json"  # beside an adapter, whose own files have no place for it
_NATIVE = ("mistral", "qwen2", "qwen3")  # whose config can say that all layers have a sliding window


@dataclass(frozen=True)
class FullAttention:
    """Attend to all earlier tokens; the cost of a row grows with the square of its length."""


@dataclass(frozen=True)
class SlidingWindow:
    """Attend to the last tokens alone; the cost of a row grows with its length.

    Source: Beltagy et al. 2020, arXiv 2004.05150, section 3.1; Jiang et al. 2023, arXiv 2310.06825, section 2.

    Attributes:
        window_tokens: how many are seen, the token itself among them.
    """

    window_tokens: int = 1024

    def __post_init__(self) -> None:
        _check_window(self.window_tokens)


@dataclass(frozen=True)
class LocalGlobal:
    """Attend to the last tokens and to the first ones of the document; the cost of a row grows with its length.

    Source: Beltagy et al. 2020, arXiv 2004.05150, section 3.1, global attention; in a decoder a global token sees what
    precedes it, no more. That first tokens keep a windowed decoder stable: Xiao et al. 2023, arXiv 2309.17453,
    section 3, whose number is 4.

    Attributes:
        window_tokens: how many of the last are seen, the token itself among them.
        num_global_tokens: how many of the document's first are seen by all that follow.
    """

    window_tokens: int = 256
    num_global_tokens: int = 4

    def __post_init__(self) -> None:
        _check_window(self.window_tokens)
        if self.num_global_tokens < 1:
            raise RecipeError(
                f"num_global_tokens is {self.num_global_tokens}; it must be at least 1, or take kind sliding_window"
            )


Attention = FullAttention | SlidingWindow | LocalGlobal
Sparse = SlidingWindow | LocalGlobal


def shape_of(attention: Sparse) -> tuple[int, int]:
    """Give the window and the number of global tokens."""
    match attention:
        case SlidingWindow(window_tokens=window):
            return window, 0
        case LocalGlobal(window_tokens=window, num_global_tokens=num_global):
            return window, num_global
        case _:
            assert_never(attention)


def describe_attention(attention: Attention) -> str:
    """Say in a few words what is attended to, and who knows of it."""
    match attention:
        case FullAttention():
            return "attention to all earlier tokens"
        case SlidingWindow(window_tokens=window):
            seen = f"attention to the last {window:,} tokens"
        case LocalGlobal(window_tokens=window, num_global_tokens=num_global):
            seen = f"attention to the last {window:,} tokens and the first {num_global}"
        case _:
            assert_never(attention)
    return f"{seen} ({CONFIG_KEY} in its config; burnish opens it so, other tools may attend to all)"


def as_dict(attention: Attention) -> dict[str, Any]:
    """Write an attention as a recipe does."""
    return {"kind": choice_name(type(attention)), **asdict(attention)}


def attention_of(folder: Path) -> Attention | None:
    """Read what a model's folder, or an adapter's, says of its attention; None where it says nothing.

    Raises:
        BurnishError: it says what this version does not know.
    """
    for name in (ADAPTER_FILE, "config.json"):
        if (folder / name).exists():
            found = json.loads((folder / name).read_text(encoding="utf-8")).get(CONFIG_KEY)
            if found is not None:
                return _from_dict(found, folder / name)
    return None


def keep_beside_adapter(folder: Path, attention: Attention | None) -> None:
    """Write the attention beside an adapter that was trained with it."""
    if attention is not None:
        body = json.dumps({CONFIG_KEY: as_dict(attention)}, indent=1, sort_keys=True)
        (folder / ADAPTER_FILE).write_text(body + "\n", encoding="ascii")


def config_changes(folder: Path, attention: Attention) -> dict[str, Any]:
    """Give the settings of the model's own architecture that say the same; {} where it has none.

    Tools that know nothing of burnish then open a model with a sliding window rightly.

    Raises:
        RecipeError: the architecture mixes kinds of attention, which one kind for all layers would undo.
    """
    shape: Mapping[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    family = str(shape.get("model_type"))
    if family not in _NATIVE:
        others = set(shape.get("layer_types") or ()) - {"full_attention"}
        if others or shape.get("sliding_window"):
            raise RecipeError(
                f"{family} models have attention of other kinds by themselves ({', '.join(sorted(others)) or 'a window'}); "
                f"leave `attention` out, or take a base of another family, such as {', '.join(_NATIVE)}"
            )
        return {}
    window = attention.window_tokens if isinstance(attention, SlidingWindow) else None
    if family == "mistral":
        return {"sliding_window": window}
    kind = "full_attention" if window is None else "sliding_attention"
    return {
        "use_sliding_window": window is not None,
        "sliding_window": window,
        "max_window_layers": 0 if window is not None else int(shape["num_hidden_layers"]),
        "layer_types": [kind] * int(shape["num_hidden_layers"]),
    }


def _from_dict(found: Mapping[str, Any], path: Path) -> Attention:
    kinds: dict[str, type[Attention]] = {
        choice_name(kind): kind for kind in (FullAttention, SlidingWindow, LocalGlobal)
    }
    kind = kinds.get(str(found.get("kind")))
    if kind is None:
        raise BurnishError(
            f"{path} asks for attention {found.get('kind')!r}; this version knows {', '.join(kinds)}. Install a newer one"
        )
    return fill(kind, {key: value for key, value in found.items() if key != "kind"})


def _check_window(window_tokens: int) -> None:
    if window_tokens < 1:
        raise RecipeError(f"window_tokens is {window_tokens}; it must be at least 1 (1 = own token only)")
