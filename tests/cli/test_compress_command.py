"""`burnish compress` at the command line: exports and bits of a small model, and what is said of mistakes."""

from pathlib import Path

import pytest

from burnish.artifacts import ModelArtifact
from burnish.cli.main import burnish, exit_code
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.runtime import Run


@pytest.fixture
def quantized(run: Run, base: ModelArtifact) -> ModelArtifact:
    """The tiny model in INT8."""
    return run(quantize, base, config=QuantizeConfig())


def test_a_sealed_model_is_exported_and_its_bits_are_listed(
    run: Run, quantized: ModelArtifact, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(run.store.root), "--plain"]
    command = ["compress", "export", quantized.digest[:12], "--to", "openvino,compressed-tensors", *store]
    assert exit_code(lambda: burnish.main(command, standalone_mode=False)) == 0
    said = dict(line.split(": ") for line in capsys.readouterr().out.splitlines() if ": /" in line)
    assert (Path(said["openvino"]) / "openvino_model.xml").is_file()
    assert "quantization_config" in (Path(said["compressed-tensors"]) / "config.json").read_text(encoding="utf-8")
    assert exit_code(lambda: burnish.main(["compress", "bits", str(quantized.payload)], standalone_mode=False)) == 0
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert float(lines["model.norm.weight"]) == 32
    assert 8 <= float(lines["model.layers.0.mlp.up_proj.weight"]) < 9


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["export", "{digest}", "--to", "tflite"], 2, "--to is 'tflite'; there are: openvino, gguf"),
        (["export", "0000beef", "--to", "gguf"], 1, "no artifact '0000beef'"),
        (["export", "{data}", "--to", "gguf"], 1, "is no model"),
        (["bits", "{empty}"], 1, "holds no safetensors"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(
    run: Run,
    quantized: ModelArtifact,
    headlines: ModelArtifact,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    names = {"digest": quantized.digest[:12], "data": headlines.digest[:12], "empty": empty}
    given = ["compress", *(word.format(**names) for word in arguments)]
    options = ["--store", str(run.store.root)] if arguments[0] == "export" else []
    assert exit_code(lambda: burnish.main([*given, *options], standalone_mode=False)) == status
    assert words in capsys.readouterr().err
