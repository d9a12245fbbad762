"""The plan: through which sizes a model goes, from what the recipe asks to widths that its tools take."""

import math
from collections.abc import Sequence
from typing import Any

from burnish.compress.pruning.layout import Shape, heads_a_group
from burnish.errors import RecipeError


def target_of(
    config: Any,
    *,
    ffn_frac: float,
    kv_groups_frac: float,
    num_kv_groups: int | None,
    num_layers_dropped: int,
    multiple_of: int,
) -> Shape:
    """Give the sizes that are asked for, rounded to what can be.

    Raises:
        RecipeError: nothing would be left of a layer, or of the model, or nothing would go.
    """
    now = Shape.of(config)
    if num_layers_dropped >= now.layers:
        raise RecipeError(
            f"num_layers_dropped is {num_layers_dropped}; the model has {now.layers} layers, drop at most {now.layers - 1}"
        )
    target = Shape(
        _channels(now.ffn_channels, ffn_frac, multiple_of),
        _groups(config, kv_groups_frac, num_kv_groups),
        now.layers - num_layers_dropped,
    )
    if target == now:
        raise RecipeError(
            f"nothing would go: {now} stay, since FFN channels go in multiples of {multiple_of} and KV groups may be "
            f"{_listed(config)}; ask for more"
        )
    return target


def steps_to(config: Any, target: Shape, step_frac: float | None, multiple_of: int) -> list[Shape]:
    """Give the sizes after each step, `target` last; each step takes at most `step_frac` of each size, if it can.

    A step takes at least one multiple of channels, one group or one layer, where it takes any.
    """
    now = Shape.of(config)
    removed = (
        1 - target.ffn_channels / now.ffn_channels,
        1 - target.kv_groups / now.kv_groups,
        1 - target.layers / now.layers,
    )
    num_steps = 1 if step_frac is None else max(1, math.ceil(max(removed) / step_frac - 1e-9))
    shapes = [now]
    for step in range(1, num_steps):
        share = step / num_steps
        shape = Shape(
            _channels(now.ffn_channels, removed[0] * share, multiple_of) if removed[0] else now.ffn_channels,
            _nearest_group(config, now.kv_groups * (1 - removed[1] * share), at_least=target.kv_groups),
            round(now.layers * (1 - removed[2] * share)),
        )
        if shape != shapes[-1] and shape != target:
            shapes.append(shape)
    return [*shapes[1:], target]


def allowed_groups(config: Any) -> list[int]:
    """Give the numbers of key/value groups with which the family's own config is valid.

    Llama's, of transformers, wants hidden_size in multiples of the heads even where the width of a head is given.
    """
    a_group = heads_a_group(config)
    numbers = range(1, config.num_key_value_heads + 1)
    return [n for n in numbers if config.model_type != "llama" or config.hidden_size % (n * a_group) == 0]


def _channels(now: int, frac: float, multiple_of: int) -> int:
    """Take a share of the channels away, to the nearest multiple; widths that are no multiple stay if nothing goes."""
    if frac == 0:
        return now
    if multiple_of > now:
        raise RecipeError(f"multiple_of is {multiple_of}; a layer has {now} FFN channels, so it must be at most that")
    return min(now, max(multiple_of, round(now * (1 - frac) / multiple_of) * multiple_of))


def _groups(config: Any, frac: float, wanted: int | None) -> int:
    now = config.num_key_value_heads
    if wanted is None:
        return now if frac == 0 else _nearest_group(config, now * (1 - frac), at_least=1)
    if wanted not in allowed_groups(config):
        raise RecipeError(
            f"num_kv_groups is {wanted}; this {config.model_type} of width {config.hidden_size} with "
            f"{config.num_attention_heads} heads in {now} groups can have {_listed(config)}"
        )
    return wanted


def _nearest_group(config: Any, wanted: float, *, at_least: int) -> int:
    allowed = [groups for groups in allowed_groups(config) if groups >= at_least]
    return min(allowed, key=lambda groups: (abs(groups - wanted), -groups), default=config.num_key_value_heads)


def _listed(config: Any) -> str:
    return ", ".join(map(str, allowed_groups(config)))


def next_shape(
    config: Any, plan: Sequence[Shape], tried: Sequence[tuple[Shape, bool]], multiple_of: int
) -> Shape | None:
    """Say which sizes come next: those of the plan until one costs too much, then halfway back to the last good ones.

    Args:
        config: of the whole model.
        tried: the sizes so far, and whether each was good.

    Returns:
        None where the plan is done, or nothing lies between the last good sizes and those that cost too much.
    """
    if all(is_good for _, is_good in tried):
        return plan[len(tried)] if len(tried) < len(plan) else None
    if tried[-1][1]:
        return None
    good = next((shape for shape, is_good in reversed(tried) if is_good), Shape.of(config))
    bad = tried[-1][0]
    gap = math.ceil((good.ffn_channels - bad.ffn_channels) / 2 / multiple_of) * multiple_of
    groups = [number for number in allowed_groups(config) if bad.kv_groups < number < good.kv_groups] or [
        good.kv_groups
    ]
    half = Shape(
        min(good.ffn_channels, bad.ffn_channels + gap),
        groups[len(groups) // 2],
        good.layers - (good.layers - bad.layers) // 2,
    )
    return None if half == good else half
