"""The cut: a model in memory becomes one with fewer channels, groups and layers, its config with it.

What comes out is a dense model of the same family that any tool opens: every layer has the same widths, and the width
of a head is written down, since hidden_size / num_attention_heads no longer gives it.
"""

from collections.abc import Sequence
from typing import Any

from burnish.compress.pruning.layout import columns_of_groups, head_dim_of, heads_a_group, rows_of_heads
from burnish.nn.forward import decoder_of, layers_of
from burnish.runtime import need


def best(scores_U: Any, num_kept: int) -> Any:
    """Give the indices of the best units, in their old order; of equals the first ones stay."""
    ranked = scores_U.sort(descending=True, stable=True).indices
    return ranked[:num_kept].sort().values


def cut_channels(layer: Any, kept: Any) -> None:
    """Keep these FFN channels of a layer, as indices; the config is `resize`'s to change."""
    for linear in (layer.mlp.gate_proj, layer.mlp.up_proj):
        _keep_rows(linear, kept)
    _keep_columns(layer.mlp.down_proj, kept)


def cut_groups(layer: Any, config: Any, kept: Any) -> None:
    """Keep these key/value groups of a layer, as indices; `config` is the model's before `resize`."""
    attention = layer.self_attn
    columns, rows = columns_of_groups(config, kept), rows_of_heads(config, kept)
    _keep_rows(attention.q_proj, columns)
    _keep_rows(attention.k_proj, rows)
    _keep_rows(attention.v_proj, rows)
    _keep_columns(attention.o_proj, columns)


def resize(model: Any, *, ffn_channels: int, kv_groups: int) -> None:
    """Write the widths, after all layers were cut to them, into the config and wherever a layer repeats them."""
    config = model.config
    head_dim, num_heads = head_dim_of(config), kv_groups * heads_a_group(config)
    config.intermediate_size = ffn_channels
    config.num_key_value_heads = kv_groups
    config.num_attention_heads = num_heads
    config.head_dim = head_dim
    for layer in layers_of(model):
        for part, name, value in (
            (layer.mlp, "intermediate_size", ffn_channels),
            (layer.self_attn, "num_heads", num_heads),
            (layer.self_attn, "num_key_value_heads", kv_groups),
        ):
            if hasattr(part, name):
                setattr(part, name, value)


def cut_layers(model: Any, kept: Sequence[int]) -> None:
    """Keep these layers, in order."""
    torch = need("torch", extra="compress")
    layers = layers_of(model)
    decoder, config = decoder_of(model), model.config
    decoder.layers = torch.nn.ModuleList(layers[index] for index in kept)
    for index, layer in enumerate(decoder.layers):
        layer.self_attn.layer_idx = index
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[index] for index in kept]
    if getattr(config, "max_window_layers", None) is not None:
        full = min(config.max_window_layers, config.num_hidden_layers)
        config.max_window_layers = sum(index < full for index in kept)
    config.num_hidden_layers = len(kept)


def _keep_rows(linear: Any, kept: Any) -> None:
    torch = need("torch", extra="compress")
    linear.weight = torch.nn.Parameter(linear.weight.detach()[kept].clone())
    if linear.bias is not None:
        linear.bias = torch.nn.Parameter(linear.bias.detach()[kept].clone())
    linear.out_features = len(kept)


def _keep_columns(linear: Any, kept: Any) -> None:
    torch = need("torch", extra="compress")
    linear.weight = torch.nn.Parameter(linear.weight.detach()[:, kept].clone())
    linear.in_features = len(kept)
