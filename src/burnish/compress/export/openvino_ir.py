"""Build an OpenVINO model from a decoder's weights, operation by operation.

OpenVINO's own readers would do for float models; building the graph here places our quantised weights on
the engine's grid exactly, so that what was measured is what is served. The graph keeps the pattern that
OpenVINO GenAI turns into paged attention: per-layer state read, gathered by `beam_idx`, concatenated,
and scaled dot-product attention.

Legend: B batch, T new tokens, S all tokens so far, D model width, N heads, K key-value heads, H head width.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.compress.export.openvino_constants import constant
from burnish.compress.export.source import Source, Written
from burnish.compress.grids import Placed
from burnish.errors import BurnishError
from burnish.nn.decoder import Decoder
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np

Weights = Mapping[str, "np.ndarray | Placed"]


def save_openvino(source: Source, out: Path, *, rounds_activations: bool = True) -> Written:
    """Write a model in OpenVINO's form; the tokenizer is not copied.

    Args:
        source: what lies on grids is placed on the engine's own, number for number.
        out: must exist; gets `openvino_model.xml` and `openvino_model.bin`.
        rounds_activations: may the engine do so.

    Raises:
        BurnishError: a weight or a grid has no place in the export.
        ArtifactError: a weight no longer lies on its grid.
    """
    weights = {name: source.weight(name) for name in source.files}
    model = build_model(weights, source.config)
    if not rounds_activations:
        model.set_rt_info(0, ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
    need("openvino", extra="compress").save_model(model, out / "openvino_model.xml", compress_to_fp16=False)
    return Written({name: str(w.grid) if isinstance(w, Placed) else "float32" for name, w in weights.items()})


def build_model(weights: Weights, config: Mapping[str, Any]) -> Any:
    """Build the stateful model: `input_ids`, `attention_mask`, `position_ids` (B, T), `beam_idx` (B) -> `logits`.

    Returns:
        An `openvino.Model`; logits are (B, T, vocabulary), float32.
    """
    graph = _Graph(Decoder.from_config(config), weights)
    model = graph.build()
    unused = sorted(set(weights) - graph.used - {"lm_head.weight"})
    if unused:
        raise BurnishError(
            f"weights that the {graph.shape.architecture} graph has no place for: {', '.join(unused[:5])}"
        )
    return model


@dataclass
class _Graph:
    shape: Decoder
    weights: Weights
    used: set[str] = field(default_factory=set)
    sinks: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.openvino = need("openvino", extra="compress")
        self.op = need("openvino.opset13", extra="compress")

    def build(self) -> Any:
        op, shape = self.op, self.shape
        ids, mask, positions = (self._input(name) for name in ("input_ids", "attention_mask", "position_ids"))
        self.beam = self._input("beam_idx", dims=1, kind="i32")
        self.batch = op.gather(op.shape_of(ids), self._ints(0), self._int(0))
        self.cos, self.sin = self._rotation(positions)
        self.attention_mask, self.ids = mask, ids
        self.causal: Any = None
        embedding = self._weight("model.embed_tokens.weight")
        x = op.gather(embedding, op.convert(ids, "i32"), self._int(0))  # (B, T, D)
        for layer in range(shape.num_layers):
            prefix = f"model.layers.{layer}."
            x = op.add(x, self._attention(self._norm(x, f"{prefix}input_layernorm"), layer))
            x = op.add(x, self._ffn(self._norm(x, f"{prefix}post_attention_layernorm"), f"{prefix}mlp."))
        head = embedding if shape.is_tied else self._weight("lm_head.weight")
        logits = op.matmul(self._norm(x, "model.norm"), head, transpose_a=False, transpose_b=True)
        logits.output(0).set_names({"logits"})
        model = self.openvino.Model([op.result(logits)], self.sinks, [ids, mask, positions, self.beam], "burnish")
        for number, node in enumerate(model.get_ordered_ops()):
            if node.get_type_name() != "Parameter":
                # OpenVINO counts over the whole process; equal graphs shall be equal bytes
                node.set_friendly_name(f"{node.get_type_name()}_{number}")
        return model

    def _attention(self, x: Any, layer: int) -> Any:
        op, shape, prefix = self.op, self.shape, f"model.layers.{layer}.self_attn."
        q = self._heads(self._linear(x, f"{prefix}q_proj"), shape.num_heads)  # (B, N, T, H)
        k = self._heads(self._linear(x, f"{prefix}k_proj"), shape.num_kv_heads)  # (B, K, T, H)
        v = self._heads(self._linear(x, f"{prefix}v_proj"), shape.num_kv_heads)
        if shape.has_qk_norm:
            q, k = self._norm(q, f"{prefix}q_norm"), self._norm(k, f"{prefix}k_norm")
        k = self._remember(self._rotate(k), f"past_key_values.{layer}.keypresent.{layer}.key")  # (B, K, S, H)
        v = self._remember(v, f"past_key_values.{layer}.valuepresent.{layer}.value")
        if self.causal is None:
            self.causal = self._causal_mask(k)
        scale = self._float(shape.head_dim**-0.5)
        out = op.scaled_dot_product_attention(
            self._rotate(q), self._repeat(k), self._repeat(v), self.causal, scale, causal=False
        )
        out = op.reshape(op.transpose(out, self._ints(0, 2, 1, 3)), self._ints(0, 0, -1), special_zero=True)
        return self._linear(out, f"{prefix}o_proj")

    def _ffn(self, x: Any, prefix: str) -> Any:
        gate = self.op.swish(self._linear(x, f"{prefix}gate_proj"))
        return self._linear(self.op.multiply(gate, self._linear(x, f"{prefix}up_proj")), f"{prefix}down_proj")

    def _norm(self, x: Any, name: str) -> Any:
        op = self.op
        mean = op.reduce_mean(op.power(x, self._float(2.0)), self._ints(-1), keep_dims=True)
        scaled = op.multiply(
            op.divide(self._float(1.0), op.sqrt(op.add(mean, self._float(self.shape.norm_epsilon)))), x
        )
        return op.multiply(scaled, self._array(f"{name}.weight"))

    def _linear(self, x: Any, name: str) -> Any:
        y = self.op.matmul(x, self._weight(f"{name}.weight"), transpose_a=False, transpose_b=True)
        if f"{name}.bias" in self.weights:
            y = self.op.add(y, self._array(f"{name}.bias"))
        return y

    def _heads(self, x: Any, num: int) -> Any:
        split = self.op.reshape(x, self._ints(0, 0, num, self.shape.head_dim), special_zero=True)
        return self.op.transpose(split, self._ints(0, 2, 1, 3))

    def _rotation(self, positions: Any) -> tuple[Any, Any]:
        import numpy as np

        op, width = self.op, self.shape.head_dim
        frequency = self.shape.rope_theta ** -(np.arange(0, width, 2) / width)
        angle = op.multiply(
            op.convert(op.unsqueeze(positions, self._ints(-1)), "f32"),
            op.constant(frequency.astype(np.float32)[None, None]),
        )
        both = op.concat([angle, angle], -1)
        return op.unsqueeze(op.cos(both), self._int(1)), op.unsqueeze(op.sin(both), self._int(1))  # (B, 1, T, H)

    def _rotate(self, x: Any) -> Any:
        op, half, width = self.op, self.shape.head_dim // 2, self.shape.head_dim
        first = op.slice(x, self._ints(0), self._ints(half), self._ints(1), self._ints(3))
        second = op.slice(x, self._ints(half), self._ints(width), self._ints(1), self._ints(3))
        turned = op.concat([op.multiply(second, self._float(-1.0)), first], -1)
        return op.add(op.multiply(x, self.cos), op.multiply(turned, self.sin))

    def _remember(self, x: Any, name: str) -> Any:
        op, shape = self.op, self.shape
        info = self.openvino.op.util.VariableInfo()
        info.data_shape = self.openvino.PartialShape([-1, shape.num_kv_heads, -1, shape.head_dim])
        info.data_type = self.openvino.Type.f32
        info.variable_id = name
        variable = self.openvino.op.util.Variable(info)
        empty = op.concat([self.batch, self._ints(shape.num_kv_heads), self._ints(0), self._ints(shape.head_dim)], 0)
        past = op.gather(op.read_value(op.broadcast(self._float(0.0), empty), variable), self.beam, self._int(0))
        full = op.concat([past, x], 2)
        self.sinks.append(op.assign(full, variable))
        return full

    def _repeat(self, x: Any) -> Any:
        op, shape = self.op, self.shape
        group = shape.num_heads // shape.num_kv_heads
        if group == 1:
            return x
        sizes = [self.batch, *(self._ints(n) for n in (shape.num_kv_heads, group, 1, shape.head_dim))]
        wide = op.broadcast(op.unsqueeze(x, self._int(2)), op.concat(sizes, 0), broadcast_spec="BIDIRECTIONAL")
        return op.reshape(wide, self._ints(0, shape.num_heads, -1, shape.head_dim), special_zero=True)

    def _causal_mask(self, k: Any) -> Any:
        import numpy as np

        op, zero = self.op, self._int(0)
        num_all = op.gather(op.shape_of(k), self._int(2), zero)
        num_new = op.gather(op.shape_of(self.ids), self._int(1), zero)
        key = op.unsqueeze(op.range(zero, num_all, self._int(1), "i64"), zero)  # (1, S)
        query = op.unsqueeze(op.range(op.subtract(num_all, num_new), num_all, self._int(1), "i64"), self._int(1))
        causal = op.unsqueeze(op.unsqueeze(op.greater_equal(query, key), zero), zero)  # (1, 1, T, S)
        given = op.unsqueeze(op.unsqueeze(self.attention_mask, self._int(1)), self._int(1))  # (B, 1, 1, S)
        keep = op.logical_and(causal, op.convert(given, "boolean"))
        return op.select(keep, self._float(0.0), self._float(float(np.finfo(np.float32).min)))

    def _weight(self, name: str) -> Any:
        return constant(self._take(name))

    def _array(self, name: str) -> Any:
        weight = self._take(name)
        if isinstance(weight, Placed):
            raise BurnishError(f"{name} is on a grid; norms and biases stay in float")
        return constant(weight)

    def _take(self, name: str) -> "np.ndarray | Placed":
        if name not in self.weights:
            raise BurnishError(f"the weights hold no {name}, which {self.shape.architecture} needs")
        self.used.add(name)
        return self.weights[name]

    def _input(self, name: str, *, dims: int = 2, kind: str = "i64") -> Any:
        parameter = self.op.parameter([-1] * dims, getattr(self.openvino.Type, kind), name=name)
        parameter.output(0).set_names({name})
        return parameter

    def _ints(self, *values: int) -> Any:
        import numpy as np

        return self.op.constant(np.array(values, dtype=np.int64))

    def _int(self, value: int) -> Any:
        import numpy as np

        return self.op.constant(np.array(value, dtype=np.int64))

    def _float(self, value: float) -> Any:
        import numpy as np

        return self.op.constant(np.array(value, dtype=np.float32))
