"""The rows of benchmarks/compress_chain.py: what makes each model, which engine reads it, and in which environment."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BASELINE = "baseline"
PREPARED = "prepared:"  # a path that the preparation has made, by its name there


@dataclass(frozen=True)
class Make:
    """A job that writes a model.

    Attributes:
        job: script under compress_jobs/.
        packages: whose versions make the model what it is.
        environment: of the job; none is burnish's own.
    """

    job: str
    settings: dict[str, Any]
    packages: tuple[str, ...] = ()
    environment: str | None = None


@dataclass(frozen=True)
class Row:
    """One model in one engine.

    Attributes:
        key: what `--tools` picks by.
        path: in what was made; without a make, a path of the preparation, or the user's own.
        settings: of the engine.
        no_speed: why there is no speed.
        is_slow: only on request.
        folder: whose tokenizer cuts the texts, where that is not the base's.
    """

    key: str
    title: str
    runtime: str
    path: str = ""
    make: Make | None = None
    environment: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    no_speed: str = ""
    is_slow: bool = False
    folder: Path | None = None

    @property
    def environments(self) -> set[str]:
        """Name the peers' environments that the row needs."""
        made = self.make.environment if self.make else None
        return {each for each in (self.environment, made) if each}


ENGINES = {"openvino": "openvino", "gguf": "llama.cpp", "onnx": "onnxruntime"}  # form of ours -> who reads it
_PATHS = {"openvino": "openvino", "gguf": "gguf/model.gguf", "onnx": "onnx"}
_NAMES = {"openvino": "OpenVINO", "gguf": "llama.cpp", "onnx": "onnxruntime, int8 activations"}
_NO_RUNTIME = "made for vLLM: without a runtime on CPUs, it is read as dense float32 weights"


def _ours(scheme: str, title: str, *forms: str) -> list[Row]:
    make = Make("with_burnish.py", {"scheme": scheme, "forms": list(forms)})
    return [
        Row(f"ours_{scheme}_{form}", f"burnish {title}, {_NAMES[form]}", ENGINES[form], _PATHS[form], make)
        for form in forms
    ]


def _llama_cpp(kind: str, title: str) -> Row:
    make = Make("with_gguf.py", {"type": kind}, ("gguf",))
    return Row(f"llama_cpp_{kind.lower()}", title, "llama.cpp", "model.gguf", make)


def _nncf(key: str, title: str, **options: Any) -> Row:
    make = Make("with_nncf.py", options, ("nncf", "openvino"), "nncf")
    return Row(f"nncf_{key}", f"NNCF {title}, OpenVINO", "openvino", ".", make)


def _torchao(scheme: str, title: str) -> Row:
    return Row(
        f"torchao_{scheme}", f"torchao {title}, eager", "transformers", f"{PREPARED}float", None, "llmcompressor",
        {"torchao": scheme},
    )  # fmt: skip


def _llmcompressor(scheme: str, title: str, *, is_slow: bool = False) -> Row:
    packages = ("llmcompressor", "compressed-tensors", "transformers", "torch")
    make = Make("with_llmcompressor.py", {"scheme": scheme}, packages, "llmcompressor")
    return Row(
        f"llmcompressor_{scheme}", f"llm-compressor {title}", "transformers", ".", make, "llmcompressor",
        {"decompress": True}, _NO_RUNTIME, is_slow,
    )  # fmt: skip


_INT4 = {"group_size": 32, "ratio": 1.0}
ROWS: tuple[Row, ...] = (
    Row(BASELINE, "transformers float32", "transformers", f"{PREPARED}float"),
    Row("float_openvino", "float32 weights, OpenVINO: the engine alone", "openvino", f"{PREPARED}float_openvino"),
    *_ours("int8", "int8 a row", "openvino"),
    *_ours("int4_nearest", "int4 g32 nearest", "openvino"),
    *_ours("int4_gptq", "int4 g32 GPTQ", "openvino", "gguf", "onnx"),
    _llama_cpp("Q8_0", "llama.cpp Q8_0"),
    _llama_cpp("Q4_0", "llama.cpp Q4_0, head Q8_0"),
    Row("llama_cpp_q4_1", "llama.cpp Q4_1 as shipped: the base model's own file", "llama.cpp", f"{PREPARED}shipped_gguf"),
    _nncf("int8_asym", "int8 asym", mode="int8_asym"),
    _nncf("int4_sym_g32", "int4 sym g32", mode="int4_sym", **_INT4),
    _nncf("int4_asym_g64", "int4 asym g64", mode="int4_asym", group_size=64, ratio=1.0),
    _nncf(
        "int4_awq", "int4 sym g32, AWQ and scale estimation", mode="int4_sym", **_INT4, awq=True, scale_estimation=True,
        calibrates=True,
    ),
    _torchao("int8", "int8 weights"),
    _torchao("int8_dynamic", "int8 weights and activations"),
    _torchao("int4_g32", "int4 g32 weights, stored as int8"),
    _llmcompressor("rtn", "W4A16 g32 nearest"),
    _llmcompressor("gptq", "W4A16 g32 GPTQ", is_slow=True),
)  # fmt: skip


def chosen(begin: Iterable[str], folders: Iterable[Path]) -> list[Row]:
    """Give the baseline, the rows whose keys begin so ("" for all that are not slow), and those of the user's folders.

    Raises:
        ValueError: no row begins so, or a folder holds no model.
    """
    starts = [each.strip() for each in begin]
    lost = [start for start in starts if start and not any(row.key.startswith(start) for row in ROWS)]
    if lost:
        raise ValueError(f"no row begins with {lost[0]!r}; there are {', '.join(row.key for row in ROWS)}")
    rows = [row for row in ROWS if row.key == BASELINE or any(_is_wanted(row, start) for start in starts)]
    rows += [row for folder in folders for row in given_rows(folder)]
    keys = [row.key for row in rows]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise ValueError(f"two folders would be {twice[0]}; rename one")
    return rows


def _is_wanted(row: Row, start: str) -> bool:
    return row.key.startswith(start) if start else not row.is_slow


def given_rows(folder: Path) -> list[Row]:
    """Give the rows of a model that the user compressed: exported here to each form, or the export that it is.

    Raises:
        ValueError: it holds no model.
    """
    folder = folder.resolve()
    payload = folder / "payload" if (folder / "manifest.json").exists() else folder
    name = folder.name[:12] if payload != folder else folder.name
    files = {"openvino": "openvino_model.xml", "gguf": "model.gguf", "onnx": "model.onnx"}
    own = payload if (payload / "tokenizer.json").exists() else None
    for form, file in files.items():
        if (payload / file).exists():
            path = payload / file if form == "gguf" else payload
            return [Row(f"given_{name}_{form}", f"{name}, {ENGINES[form]}", ENGINES[form], str(path), folder=own)]
    if not list(payload.glob("model*.safetensors")):
        raise ValueError(f"{folder} holds neither {', '.join(files.values())} nor model*.safetensors")
    return [
        Row(
            f"given_{name}_{form}", f"{name}, {_NAMES[form]}", ENGINES[form], _PATHS[form],
            Make("with_burnish.py", {"folder": str(payload), "forms": [form]}), folder=own,
        )
        for form in files
    ]  # fmt: skip
