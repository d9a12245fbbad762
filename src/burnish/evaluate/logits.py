"""Logits of a model at every position of one sequence, from each form that a model takes on its way.

Legend: T tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from burnish.nn.attention import attention_of
from burnish.nn.forward import logits_at
from burnish.nn.weights import open_model, quiet_transformers
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np

Arithmetic = Literal["auto", "float", "exact"]
Logits = Callable[[Sequence[int]], "np.ndarray"]  # T ids -> (T, V) float32


def adapter_logits(base: Path, adapter: Path) -> Logits:
    """Open base and adapter side by side, as the trainer had them, in float32."""
    peft = need("peft", extra="train")
    with quiet_transformers():
        model = peft.PeftModel.from_pretrained(
            open_model(base, precision="fp32", sees=attention_of(adapter)), adapter
        ).eval()
    return logits_of(model)


def model_logits(folder: Path) -> Logits:
    """Open a model of the Hugging Face layout in float32."""
    return logits_of(open_model(folder, precision="fp32"))


def openvino_logits(folder: Path, *, arithmetic: Arithmetic = "auto") -> Logits:
    """Open a compressed model in OpenVINO itself, without the serving layer.

    Args:
        folder: holds openvino_model.xml.
        arithmetic: "auto" is the engine's own, as in serving; "float" rounds no activations to 8 bits; "exact" is
            float32 throughout.
    """
    import numpy as np

    core = need("openvino", extra="compress").Core()
    options = {} if arithmetic == "auto" else {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    if arithmetic == "exact":
        options["INFERENCE_PRECISION_HINT"] = "f32"
    compiled = core.compile_model(core.read_model(folder / "openvino_model.xml"), "CPU", options)
    request = compiled.create_infer_request()

    def logits(ids: Sequence[int]) -> "np.ndarray":
        request.reset_state()
        row = np.array([list(ids)], dtype=np.int64)
        inputs = {
            "input_ids": row,
            "attention_mask": np.ones_like(row),
            "position_ids": np.arange(row.shape[1], dtype=np.int64)[None],
            "beam_idx": np.zeros(1, dtype=np.int32),
        }
        return np.array(request.infer(inputs)["logits"][0], dtype=np.float32)

    return logits


def greedy(logits: Logits, ids: Sequence[int], *, max_tokens: int, stop: int) -> list[int]:
    """Continue a sequence greedily, without a cache: exact and slow, for a few tokens."""
    grown = list(ids)
    while len(grown) - len(ids) < max_tokens:
        token = int(logits(grown)[-1].argmax())
        if token == stop:
            break
        grown.append(token)
    return grown[len(ids) :]


def logits_of(model: Any) -> Logits:
    """Read with an opened model."""
    torch = need("torch", extra="train")

    def logits(ids: Sequence[int]) -> "np.ndarray":
        with torch.inference_mode():
            chosen = torch.ones(len(ids), dtype=torch.bool)
            found: np.ndarray = logits_at(model, ids, range(len(ids)), chosen).float().cpu().numpy()
        return found

    return logits
