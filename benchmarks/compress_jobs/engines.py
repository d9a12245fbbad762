"""Engines that read a decoder on one thread: whole rows for their logits, or a prompt and then token by token.

Runs in any of the environments: imports nothing but numpy and the runtime that is asked for.

Legend: T tokens, V vocabulary.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from llama import LlamaCpp


class Transformers:
    """transformers' eager model, with its own cache; float32, or with weights that a peer has packed."""

    packages: ClassVar[tuple[str, ...]] = ("transformers", "torch")

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        import torch
        import transformers

        torch.set_num_threads(1)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.torch, self.past, self.size_bytes = torch, None, None
        options = {}
        if settings.get("decompress"):
            options["quantization_config"] = transformers.CompressedTensorsConfig(run_compressed=False)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float32, local_files_only=True, **options
        ).eval()
        if "torchao" in settings:
            self._pack(settings["torchao"])

    def _pack(self, scheme: str) -> None:
        import torchao
        from torchao.quantization import (
            Int8DynamicActivationInt8WeightConfig,
            Int8WeightOnlyConfig,
            IntxWeightOnlyConfig,
            quantize_,
        )
        from torchao.quantization.granularity import PerGroup

        self.packages: tuple[str, ...] = (*Transformers.packages, torchao.__name__)  # type: ignore[misc]
        config = {
            "int8": Int8WeightOnlyConfig,
            "int8_dynamic": Int8DynamicActivationInt8WeightConfig,
            "int4_g32": lambda: IntxWeightOnlyConfig(self.torch.int4, PerGroup(32)),
        }[scheme]()
        quantize_(self.model, config)
        counted = _Counted()
        self.torch.save(self.model.state_dict(), counted)
        self.size_bytes = counted.num_bytes

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        with self.torch.inference_mode():
            found = self.model(input_ids=self.torch.tensor([list(ids)]), use_cache=False).logits[0]
            return np.asarray(found.float().numpy())

    def prefill(self, ids: Sequence[int]) -> None:
        self.past = None
        self._go(list(ids))

    def step(self, token: int) -> None:
        self._go([token])

    def _go(self, ids: list[int]) -> None:
        with self.torch.inference_mode():
            given = self.torch.tensor([ids])
            told = self.model(input_ids=given, past_key_values=self.past, use_cache=True, logits_to_keep=1)
        self.past = told.past_key_values


class _Counted:
    """Count what would go to disk."""

    def __init__(self) -> None:
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        self.num_bytes += memoryview(data).nbytes
        return memoryview(data).nbytes

    def flush(self) -> None:
        return


class Openvino:
    """OpenVINO's CPU plugin with the settings that it has by itself: 8-bit activations and cache where it likes them."""

    packages: ClassVar[tuple[str, ...]] = ("openvino",)

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(path / "openvino_model.xml")
        if settings["last_only"]:
            _keep_last(model)
        options = {"INFERENCE_NUM_THREADS": "1", "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY"}
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self.read, self.size_bytes = 0, None

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        self.request.reset_state()
        self.read = 0
        return np.array(self._go(ids)[0], dtype=np.float32)

    def prefill(self, ids: Sequence[int]) -> None:
        self.request.reset_state()
        self.read = 0
        self._go(ids)

    def step(self, token: int) -> None:
        self._go([token])

    def _go(self, ids: Sequence[int]) -> Any:
        start, self.read = self.read, self.read + len(ids)
        return self.request.infer(
            {
                "input_ids": np.array([list(ids)], dtype=np.int64),
                "attention_mask": np.ones((1, self.read), dtype=np.int64),
                "position_ids": np.arange(start, self.read, dtype=np.int64)[None],
                "beam_idx": np.zeros(1, dtype=np.int32),
            }
        )["logits"]


def _keep_last(model: Any) -> None:
    """Let the head see the last token alone, as OpenVINO GenAI does when it generates."""
    from openvino import opset13 as op

    head = model.output("logits").node.input_value(0).node
    hidden = head.input_value(0)
    ends = [np.array([at], dtype=np.int64) for at in (-1, np.iinfo(np.int64).max, 1, 1)]
    head.input(0).replace_source_output(op.slice(hidden, *(op.constant(each) for each in ends)).output(0))
    model.validate_nodes_and_infer_types()


class Onnx:
    """onnxruntime's CPU provider; the cache goes from step to step without a copy through Python."""

    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)

    def __init__(self, path: Path, _: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(path / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy
        self.outputs = [each.name for each in self.session.get_outputs()]
        self.cache_inputs = [each for each in self.session.get_inputs() if each.name.startswith("past_key_values.")]
        self.cache: dict[str, Any] = {}
        self.read, self.size_bytes = 0, None

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        self._empty()
        return np.asarray(self._go(ids).numpy()[0])

    def prefill(self, ids: Sequence[int]) -> None:
        self._empty()
        self._go(ids)

    def step(self, token: int) -> None:
        self._go([token])

    def _empty(self) -> None:
        self.read = 0
        self.cache = {
            each.name: self.value(np.zeros((1, each.shape[1], 0, each.shape[3]), np.float32))
            for each in self.cache_inputs
        }

    def _go(self, ids: Sequence[int]) -> Any:
        start, self.read = self.read, self.read + len(ids)
        given = {
            "input_ids": np.array([list(ids)], dtype=np.int64),
            "attention_mask": np.ones((1, self.read), dtype=np.int64),
            "position_ids": np.arange(start, self.read, dtype=np.int64)[None],
        }
        feed = {name: self.value(each) for name, each in given.items()} | self.cache
        told = dict(zip(self.outputs, self.session.run_with_ort_values(self.outputs, feed), strict=True))
        self.cache = {each.name: told[each.name.replace("past_key_values", "present")] for each in self.cache_inputs}
        return told["logits"]


Engine = Transformers | Openvino | Onnx | LlamaCpp
ENGINES: dict[str, Callable[[Path, dict[str, Any]], Engine]] = {
    "transformers": Transformers,
    "openvino": Openvino,
    "onnxruntime": Onnx,
    "llama.cpp": LlamaCpp,
}


def versions(engine: Engine) -> dict[str, str]:
    """Give the versions of what the engine is made of."""
    return {name: importlib.metadata.version(name) for name in engine.packages}
