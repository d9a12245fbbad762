"""Build an ONNX decoder from a model's weights, operation by operation.

`torch.onnx` and onnxruntime's own builder would quantise again; here our values go into the operators that
onnxruntime's CPU kernels multiply (MatMulNBits), as they are. All else is standard ONNX.

Legend: B batch, T new tokens, S all tokens so far, D model width, N heads, K key-value heads, H head width.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.compress.export.onnx_matrix import Blocks, blocks_of
from burnish.compress.export.source import EMBEDDING, HEAD, Source, Written
from burnish.compress.grids import Placed
from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    import numpy as np

FILE = "model.onnx"
_OPSET = 21  # onnxruntime >= 1.20
_IR_VERSION = 10  # of that opset
_CONTRIB = "com.microsoft"


def save_onnx(source: Source, out: Path, *, has_int8_activations: bool) -> Written:
    """Write `model.onnx` and its weights `model.onnx.data` into the folder `out`.

    Inputs: `input_ids`, `position_ids` (B, T), `attention_mask` (B, S), `past_key_values.N.key`, `.value` (B, K, S - T, H).
    Outputs: `logits` (B, T, vocabulary), `present.N.key`, `.value` (B, K, S, H); float32.

    Raises:
        BurnishError: a weight or a grid that the graph has no place for.
    """
    onnx = need("onnx", extra="export")
    graph = _Graph(source, accuracy_level=4 if has_int8_activations else 0)
    model = graph.build()
    unused = sorted(set(source.files) - set(graph.written.forms))
    if unused:
        raise BurnishError(f"the ONNX graph has no place for {', '.join(unused[:5])}; export to another target")
    onnx.save_model(model, out / FILE, save_as_external_data=True, location=f"{FILE}.data", size_threshold=1024)
    return graph.written


@dataclass
class _Graph:
    source: Source
    accuracy_level: int
    written: Written = field(default_factory=Written)
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    counted: int = 0

    def build(self) -> Any:
        shape, helper = self.source.shape, need("onnx", extra="export").helper
        self.cos, self.sin = self._rotation()
        self.mask = self._mask()
        x = self._embed()
        for layer in range(shape.num_layers):
            prefix = f"model.layers.{layer}."
            x = self._op("Add", x, self._attention(self._norm(x, f"{prefix}input_layernorm"), layer))
            x = self._op("Add", x, self._ffn(self._norm(x, f"{prefix}post_attention_layernorm"), f"{prefix}mlp."))
        self._head(self._norm(x, "model.norm"))
        past = (shape.num_kv_heads, shape.head_dim)
        inputs = [self._value(name, ["batch", "new"], whole=True) for name in ("input_ids", "position_ids")]
        inputs.append(self._value("attention_mask", ["batch", "all"], whole=True))
        outputs = [self._value("logits", ["batch", "new", shape.vocab_size])]
        for layer in range(shape.num_layers):
            for part in ("key", "value"):
                inputs.append(self._value(f"past_key_values.{layer}.{part}", ["batch", past[0], "past", past[1]]))
                outputs.append(self._value(f"present.{layer}.{part}", ["batch", past[0], "all", past[1]]))
        graph = helper.make_graph(self.nodes, "burnish", inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="burnish")

    def _embed(self) -> str:
        weight = self._weight(EMBEDDING)
        if not isinstance(weight, Blocks):
            return self._op("Gather", self._constant(EMBEDDING, weight), "input_ids")
        values, scale, zero = self._blocks(EMBEDDING, weight)
        flat = self._op("Reshape", values, self._ints(weight.values_OBP.shape[0], -1))
        if zero:
            zero = self._op("Reshape", zero, self._ints(weight.values_OBP.shape[0], -1))
        return self._op(
            "GatherBlockQuantized", flat, "input_ids", scale, zero, domain=_CONTRIB, bits=weight.num_bits,
            block_size=weight.block_size, gather_axis=0, quantize_axis=1,
        )  # fmt: skip

    def _head(self, x: str) -> None:
        name = EMBEDDING if self.source.shape.is_tied else HEAD
        self._op("Identity", self._linear(x, name.removesuffix(".weight")), out="logits")

    def _attention(self, x: str, layer: int) -> str:
        shape, prefix = self.source.shape, f"model.layers.{layer}.self_attn."
        q, k, v = (
            self._heads(self._linear(x, f"{prefix}{part}_proj"), number)
            for part, number in (("q", shape.num_heads), ("k", shape.num_kv_heads), ("v", shape.num_kv_heads))
        )
        if shape.has_qk_norm:
            q, k = self._norm(q, f"{prefix}q_norm"), self._norm(k, f"{prefix}k_norm")
        past = f"past_key_values.{layer}."
        k = self._op("Concat", f"{past}key", self._rotate(k), axis=2, out=f"present.{layer}.key")  # (B, K, S, H)
        v = self._op("Concat", f"{past}value", v, axis=2, out=f"present.{layer}.value")
        # the heads that share keys lie side by side: one product a group, and no copy of the keys
        grouped = self._op("Reshape", self._rotate(q), self._ints(0, shape.num_kv_heads, -1, shape.head_dim))
        scaled = self._op("Mul", grouped, self._float(shape.head_dim**-0.5))
        scores = self._op("MatMul", scaled, self._op("Transpose", k, perm=[0, 1, 3, 2]))  # (B, K, N / K * T, S)
        scores = self._op("Add", self._op("Reshape", scores, self.by_head), self.mask)  # (B, N, T, S)
        shares = self._op("Reshape", self._op("Softmax", scores, axis=-1), self.by_group)
        mixed = self._op("Reshape", self._op("MatMul", shares, v), self._ints(0, shape.num_heads, -1, shape.head_dim))
        joined = self._op("Reshape", self._op("Transpose", mixed, perm=[0, 2, 1, 3]), self._ints(0, 0, -1))
        return self._linear(joined, f"{prefix}o_proj")

    def _ffn(self, x: str, prefix: str) -> str:
        gate = self._linear(x, f"{prefix}gate_proj")
        active = self._op("Mul", gate, self._op("Sigmoid", gate))
        return self._linear(self._op("Mul", active, self._linear(x, f"{prefix}up_proj")), f"{prefix}down_proj")

    def _norm(self, x: str, name: str) -> str:
        square = self._op("ReduceMean", self._op("Mul", x, x), self._ints(-1), keepdims=1)
        root = self._op("Sqrt", self._op("Add", square, self._float(self.source.shape.norm_epsilon)))
        weight = self.source.array(f"{name}.weight")
        self.written.forms[f"{name}.weight"] = "float32"
        return self._op("Mul", self._op("Div", x, root), self._constant(f"{name}.weight", weight))

    def _linear(self, x: str, name: str) -> str:
        weight = self._weight(f"{name}.weight")
        if isinstance(weight, Blocks):
            parts = self._blocks(f"{name}.weight", weight)
            rows, blocks = weight.scale_OB.shape
            y = self._op(
                "MatMulNBits", x, *parts, domain=_CONTRIB, K=blocks * weight.block_size, N=rows, bits=weight.num_bits,
                block_size=weight.block_size, accuracy_level=self.accuracy_level,
            )  # fmt: skip
        else:
            turned = self._op("Transpose", self._constant(f"{name}.weight", weight), perm=[1, 0])
            y = self._op("MatMul", x, turned)
        if f"{name}.bias" in self.source.files:
            self.written.forms[f"{name}.bias"] = "float32"
            y = self._op("Add", y, self._constant(f"{name}.bias", self.source.array(f"{name}.bias")))
        return y

    def _heads(self, x: str, number: int) -> str:
        split = self._op("Reshape", x, self._ints(0, 0, number, self.source.shape.head_dim))
        return self._op("Transpose", split, perm=[0, 2, 1, 3])

    def _rotation(self) -> tuple[str, str]:
        import numpy as np

        width = self.source.shape.head_dim
        frequency = self.source.shape.rope_theta ** -(np.arange(0, width, 2) / width)
        place = self._op("Unsqueeze", self._op("Cast", "position_ids", to=1), self._ints(1, 3))  # (B, 1, T, 1)
        angle = self._op("Mul", place, self._constant("frequency", frequency.astype(np.float32)))
        both = self._op("Concat", angle, angle, axis=-1)
        return self._op("Cos", both), self._op("Sin", both)

    def _rotate(self, x: str) -> str:
        half = self.source.shape.head_dim // 2
        first = self._op("Slice", x, self._ints(0), self._ints(half), self._ints(3))
        second = self._op("Slice", x, self._ints(half), self._ints(2 * half), self._ints(3))
        turned = self._op("Concat", self._op("Neg", second), first, axis=-1)
        return self._op("Add", self._op("Mul", x, self.cos), self._op("Mul", turned, self.sin))

    def _mask(self) -> str:
        """Give 0 where a token sees, the least float where it does not: (B, 1, T, S)."""
        import numpy as np

        shape = self.source.shape
        batch, num_all = (self._op("Shape", "attention_mask", start=at, end=at + 1) for at in (0, 1))
        num_new = self._op("Shape", "input_ids", start=1, end=2)
        self.by_head = self._op("Concat", batch, self._ints(shape.num_heads), num_new, num_all, axis=0)
        self.by_group = self._op("Concat", batch, self._ints(shape.num_kv_heads), self._ints(-1), num_all, axis=0)
        end, zero, one = self._op("Squeeze", num_all), self._int(0), self._int(1)
        start = self._op("Sub", end, self._op("Squeeze", num_new))
        query = self._op("Unsqueeze", self._op("Range", start, end, one), self._ints(1))  # (T, 1)
        causal = self._op("LessOrEqual", self._op("Range", zero, end, one), query)
        given = self._op("Unsqueeze", self._op("Cast", "attention_mask", to=9), self._ints(1, 2))  # (B, 1, 1, S)
        keep = self._op("And", causal, given)
        return self._op("Where", keep, self._float(0.0), self._float(float(np.finfo(np.float32).min)))

    def _weight(self, name: str) -> "np.ndarray | Blocks":
        if name not in self.source.files:
            raise BurnishError(f"the weights hold no {name}, which {self.source.shape.architecture} needs")
        weight = self.source.weight(name)
        if not isinstance(weight, Placed):
            self.written.forms[name] = "float32"
            return weight
        blocks = blocks_of(name, weight)
        self.written.forms[name] = f"int{blocks.num_bits} in blocks of {blocks.block_size}"
        return blocks

    def _blocks(self, name: str, blocks: Blocks) -> tuple[str, str, str]:
        """Give values, scales and zero points; the last is "" where there are none."""
        if f"{name}.values" not in self.constants:
            self.written.repeated_bytes += blocks.repeated_bytes
        values = self._constant(f"{name}.values", blocks.values_OBP)
        scale = self._constant(f"{name}.scale", blocks.scale_OB)
        zero = "" if blocks.zero_OZ is None else self._constant(f"{name}.zero", blocks.zero_OZ)
        return values, scale, zero

    def _op(self, kind: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        self.counted += 1
        name = f"{kind}_{self.counted}"
        out = out or name
        make = need("onnx", extra="export").helper.make_node
        self.nodes.append(make(kind, list(inputs), [out], name=name, domain=domain, **attributes))
        return out

    def _constant(self, name: str, array: "np.ndarray") -> str:
        import numpy as np

        if name not in self.constants:
            turn = need("onnx", extra="export").numpy_helper.from_array
            self.constants[name] = turn(np.ascontiguousarray(array), name)
        return name

    def _ints(self, *values: int) -> str:
        import numpy as np

        return self._constant(f"ints_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def _int(self, value: int) -> str:
        import numpy as np

        return self._constant(f"int_{value}", np.array(value, np.int64))

    def _float(self, value: float) -> str:
        import numpy as np

        return self._constant(f"float_{value!r}", np.array(value, np.float32))

    def _value(self, name: str, dims: list[str | int], *, whole: bool = False) -> Any:
        onnx = need("onnx", extra="export")
        kind = onnx.TensorProto.INT64 if whole else onnx.TensorProto.FLOAT
        return onnx.helper.make_tensor_value_info(name, kind, dims)
