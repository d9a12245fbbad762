"""The two sizes that every float form of a model gives, so that forms compare."""

from pathlib import Path

from burnish.artifacts import Measurement
from burnish.nn.weights import CONFIG_FILES, TOKENIZER_FILES


def size_evidence(num_parameters: int, folder: Path) -> tuple[Measurement, Measurement]:
    """Say how many distinct weights a model has, and the bytes of its files; logs that lie beside them are no part of it."""
    files = [*folder.glob("model*.safetensors*"), *(folder / name for name in (*CONFIG_FILES, *TOKENIZER_FILES))]
    size = sum(path.stat().st_size for path in files if path.is_file())
    return (
        Measurement("num_parameters", num_parameters, "1", 1, how="distinct weights; a tied head counts once"),
        Measurement("size_bytes", size, "bytes", 1, how="safetensors, configuration and tokenizer"),
    )
