"""LoRA's linear layer in as few passes over memory as it takes, with a backward pass written by hand.

Legend: T tokens, I inputs, O outputs, R rank.
"""

import functools
from typing import Any

from burnish.runtime import need


def fuse_lora(model: Any) -> int:
    """Let PEFT's plain LoRA layers compute in fewer passes; what they are and how they are saved stays PEFT's.

    PEFT casts the layer's input to the adapter's float32 and multiplies there; ours stays in the input's precision.

    Returns:
        number of layers; those with dropout, DoRA, several adapters or a quantised base stay as they are.
    """
    apply = _function().apply
    layers = [module for module in model.modules() if _is_plain_lora(module)]
    for layer in layers:
        layer.forward = _fused(apply, layer)
    return len(layers)


def _fused(apply: Any, layer: Any) -> Any:
    name = layer.active_adapters[0]
    base, a, b, scale = layer.base_layer, layer.lora_A[name], layer.lora_B[name], layer.scaling[name]

    def forward(x: Any, *_args: Any, **_kwargs: Any) -> Any:
        if layer.disable_adapters:  # PEFT's `disable_adapter`: the base alone is asked
            return base(x)
        return apply(x, base.weight, base.bias, a.weight, b.weight, scale)

    return forward


def _is_plain_lora(module: Any) -> bool:
    torch = need("torch", extra="train")
    if not hasattr(module, "lora_A") or type(getattr(module, "base_layer", None)) is not torch.nn.Linear:
        return False
    names: list[str] = list(module.active_adapters)
    if len(names) != 1 or names[0] not in module.lora_A or module.merged:
        return False
    return isinstance(module.lora_dropout[names[0]], torch.nn.Identity) and not getattr(module, "lora_variant", {})


@functools.cache
def _function() -> Any:
    """Make y = x W^T + bias + scale · (x A^T) B^T with its gradients; W is frozen, A and B are float32.

    Source: Hu et al. 2022, arXiv 2106.09685, equation 3.
    """
    torch = need("torch", extra="train")
    add_product_ = _add_product_()

    class LoraLinear(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
            x_TI = x.flatten(0, -2)
            a_RI, b_OR = a.to(x.dtype), (b * scale).to(x.dtype)
            u_TR = x_TI @ a_RI.T
            y_TO = torch.nn.functional.linear(x_TI, weight, bias)
            add_product_(y_TO, u_TR, b_OR.T)
            ctx.save_for_backward(x_TI, u_TR, weight, a_RI, b_OR)
            ctx.scale = scale
            return y_TO.unflatten(0, x.shape[:-1])

        @staticmethod
        def backward(ctx: Any, dy: Any) -> tuple[Any, ...]:
            x_TI, u_TR, weight, a_RI, b_OR = ctx.saved_tensors
            dy_TO = dy.flatten(0, -2)
            du_TR = dy_TO @ b_OR
            dx_TI = dy_TO @ weight
            add_product_(dx_TI, du_TR, a_RI)
            da, db = (du_TR.T @ x_TI).float(), (dy_TO.T @ u_TR).float() * ctx.scale
            return dx_TI.unflatten(0, dy.shape[:-1]), None, None, da, db, None

    return LoraLinear


@functools.cache
def _add_product_() -> Any:
    """Make an operator that adds a matrix product to a sum where it lies.

    The compiler copies what torch.addmm adds to before it adds, which took a twelfth of a step on an H100; an operator
    that says it changes its first argument is left alone.
    """
    torch = need("torch", extra="train")
    library = torch.library.Library("burnish", "FRAGMENT")
    library.define("add_product_(Tensor(a!) total, Tensor left, Tensor right) -> ()")

    def add_product_(total: Any, left: Any, right: Any) -> None:
        total.addmm_(left, right)

    library.impl("add_product_", add_product_, "CompositeExplicitAutograd")
    torch.library.register_fake("burnish::add_product_", lambda *_: None, lib=library)
    operator = torch.ops.burnish.add_product_.default
    operator.library = library  # goes when its library goes
    return operator
