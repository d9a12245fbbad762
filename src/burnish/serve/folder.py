"""A folder that can be served: which files it needs, and what they say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import ArtifactError

NEEDED = ("openvino_model.xml", "openvino_model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class ServableFolder:
    """Describe a model in OpenVINO form beside its tokenizer.

    Attributes:
        eos_token_ids: tokens that end a completion; at least one.
        context_tokens: most tokens, prompt and completion together, that the model was made for.
    """

    path: Path
    vocab_size: int
    context_tokens: int
    eos_token_ids: tuple[int, ...]

    @staticmethod
    def read(path: Path) -> "ServableFolder":
        """Read `config.json` and `generation_config.json`.

        Raises:
            ArtifactError: a file is missing, or does not say what serving must know.
        """
        absent = [name for name in NEEDED if not (path / name).is_file()]
        if absent:
            raise ArtifactError(
                f"{path} cannot be served: {', '.join(absent)} missing; give the folder or the digest of a model "
                "that compression exported for OpenVINO (`burnish show` lists artifacts)"
            )
        config = read_json(path / "config.json")
        generation = read_json(path / "generation_config.json") if (path / "generation_config.json").exists() else {}
        ends = generation.get("eos_token_id", config.get("eos_token_id"))
        ends = [ends] if isinstance(ends, int) else ends or []
        sizes: list[Any] = [config.get(name) for name in ("vocab_size", "max_position_embeddings")]
        if not ends or not all(isinstance(size, int) and size > 0 for size in (*sizes, *(end + 1 for end in ends))):
            raise ArtifactError(
                f"{path} cannot be served: its config must give vocab_size, max_position_embeddings and "
                f"eos_token_id as integers, and gives {sizes[0]!r}, {sizes[1]!r} and {ends!r}"
            )
        return ServableFolder(path, sizes[0], sizes[1], tuple(ends))


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the folder's JSON files.

    Raises:
        ArtifactError: it is no JSON mapping.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is not readable JSON ({error}); export the model again") from error
    if not isinstance(values, dict):
        raise ArtifactError(f"{path} holds {type(values).__name__}, not a mapping; export the model again")
    return values
