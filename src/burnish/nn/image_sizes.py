"""Sizes of image models: ViT, CLIP, MobileNetV2, EfficientNet, each at its own image size and with its classifier."""

import math

from burnish.nn.config_fields import Fields
from burnish.nn.products import Attention, ModelSize, Product
from burnish.nn.text_sizes import encoder_layers, encoder_saved

_SAVED_A_CONVOLUTION = 3  # its output, the normalised output and the activation, for the backward pass


def vit(config: Fields) -> ModelSize:
    """Size ViT (Dosovitskiy et al. 2021, arXiv 2010.11929) with its classifier."""
    d, f, layers = config.count("hidden_size"), config.count("intermediate_size"), config.count("num_hidden_layers")
    patches = (config.count("image_size") // config.count("patch_size")) ** 2
    tokens = patches + 1
    products = (
        Product(config.count("num_channels", 3) * config.count("patch_size") ** 2, d, times=patches, has_bias=True),
        *encoder_layers(d, f, layers, times=tokens, qkv_bias=config.flag("qkv_bias", default=True)),
        Product(d, config.num_labels(), times=1, has_bias=True, takes_lora=False, is_quantised=False),
    )
    return ModelSize(
        config.model_type,
        "image",
        layers,
        products,
        (Attention(2 * d, layers, num_tokens=tokens),),
        other_parameters=d + tokens * d + layers * 4 * d + 2 * d,
        saved_numbers=layers * encoder_saved(d, f),
        image_tokens=tokens,
    )


def clip(config: Fields) -> ModelSize:
    """Size CLIP (Radford et al. 2021, arXiv 2103.00020): both towers' weights, the image tower's arithmetic.

    Texts are encoded once for a set of classes, not once an image.
    """
    text, image = config.part("text_config"), config.part("vision_config")
    d, f, layers = image.count("hidden_size"), image.count("intermediate_size"), image.count("num_hidden_layers")
    text_d, text_f, text_layers = (
        text.count("hidden_size"),
        text.count("intermediate_size"),
        text.count("num_hidden_layers"),
    )
    shared = config.count("projection_dim", 512)
    patches = (image.count("image_size") // image.count("patch_size")) ** 2
    tokens = patches + 1
    products = (
        Product(image.count("num_channels", 3) * image.count("patch_size") ** 2, d, times=patches),
        *encoder_layers(d, f, layers, times=tokens),
        Product(d, shared, times=1),
        *encoder_layers(text_d, text_f, text_layers, times=0),
        Product(text_d, shared, times=0),
    )
    text_rows = text.count("vocab_size") + text.count("max_position_embeddings", 77)
    return ModelSize(
        config.model_type,
        "image",
        layers,
        products,
        (Attention(2 * d, layers, num_tokens=tokens),),
        other_parameters=d + tokens * d + 4 * d + layers * 4 * d + text_rows * text_d + 2 * text_d
        + text_layers * 4 * text_d + 1,
        saved_numbers=layers * encoder_saved(d, f),
        image_tokens=tokens,
    )  # fmt: skip


def mobilenet_v2(config: Fields) -> ModelSize:
    """Size MobileNetV2 with its classifier (Sandler et al. 2018, arXiv 1801.04381, table 2)."""
    factor = config.number("depth_multiplier", 1.0)
    expand = config.number("expand_ratio", 6.0)
    step, least = config.count("depth_divisible_by", 8), config.count("min_depth", 8)

    def round_to(channels: float) -> int:
        return _divisible(round(channels), step, least)

    widths = [round_to(factor * c) for c in (16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320)]
    strides = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
    stem = round_to(factor * 32)
    last = 1280 if config.flag("finegrained_output", default=True) and factor < 1 else round_to(factor * 1280)
    size = math.ceil(config.count("image_size") / 2)
    made = [_convolution(config.count("num_channels", 3), stem, 3, size)]
    if not config.flag("first_layer_is_expansion", default=True):
        made.append(_convolution(stem, stem, 1, size))
    made += [_convolution(1, stem, 3, size), _convolution(stem, widths[0], 1, size)]
    total_stride = 2
    for before, after, stride in zip(widths, widths[1:], strides, strict=False):
        inner = round_to(before * expand)
        made.append(_convolution(before, inner, 1, size))
        if total_stride < config.count("output_stride", 32):
            size, total_stride = math.ceil(size / stride), total_stride * stride
        made += [_convolution(1, inner, 3, size), _convolution(inner, after, 1, size)]
    made.append(_convolution(widths[-1], last, 1, size))
    return _convolutional(config, made, [], last, num_layers=len(strides) + 1)


def efficientnet(config: Fields) -> ModelSize:
    """Size EfficientNet with its classifier (Tan and Le 2019, arXiv 1905.11946, table 1)."""
    width, step = config.number("width_coefficient"), config.count("depth_divisor", 8)
    inner_frac = config.number("squeeze_expansion_ratio", 0.25)
    size = math.ceil(config.count("image_size") / 2)

    def scaled(channels: int) -> int:
        return _divisible(channels * width, step, step)

    made, gates = [_convolution(config.count("num_channels", 3), scaled(32), 3, size)], list[Product]()
    stages = zip(
        config.counts("kernel_sizes", (3, 3, 5, 3, 5, 5, 3)),
        config.counts("in_channels", (32, 16, 24, 40, 80, 112, 192)),
        (outs := config.counts("out_channels", (16, 24, 40, 80, 112, 192, 320))),
        config.counts("strides", (1, 2, 2, 2, 1, 2, 1)),
        config.counts("num_block_repeats", (1, 2, 2, 3, 3, 4, 1)),
        config.counts("expand_ratios", (1, 6, 6, 6, 6, 6, 6)),
        strict=True,
    )
    num_blocks = 0
    for kernel, before, after, stride, repeats, ratio in stages:
        for block in range(math.ceil(config.number("depth_coefficient") * repeats)):
            num_blocks += 1
            given = scaled(after if block else before)
            inner = given * ratio
            if ratio != 1:
                made.append(_convolution(given, inner, 1, size))
            size = math.ceil(size / (1 if block else stride))
            squeezed = max(1, int(given * inner_frac))
            gates += [Product(inner, squeezed, times=1, has_bias=True, takes_lora=False)]
            gates += [Product(squeezed, inner, times=1, has_bias=True, takes_lora=False)]
            made += [_convolution(1, inner, kernel, size), _convolution(inner, scaled(after), 1, size)]
    last = scaled(1280)
    made.append(_convolution(scaled(outs[-1]), last, 1, size))
    return _convolutional(config, made, gates, config.count("hidden_dim", last), num_layers=num_blocks)


def _convolution(channels: int, outputs: int, kernel: int, size: int) -> Product:
    """Give a convolution without bias; `channels` that one output sees: 1 where each channel has its own filter."""
    return Product(channels * kernel**2, outputs, times=size**2, takes_lora=False)


def _convolutional(
    config: Fields, made: list[Product], gates: list[Product], features: int, *, num_layers: int
) -> ModelSize:
    head = Product(features, config.num_labels(), times=1, has_bias=True, takes_lora=False, is_quantised=False)
    return ModelSize(
        config.model_type,
        "image",
        num_layers,
        (*made, *gates, head),
        (),
        other_parameters=2 * sum(product.outputs for product in made),  # factor and shift of the norm after each
        saved_numbers=_SAVED_A_CONVOLUTION * sum(product.outputs * (product.times or 0) for product in made),
        image_tokens=1,
    )


def _divisible(value: float, step: int, least: int) -> int:
    """Round to a multiple of `step`, not more than a tenth down (both papers' code)."""
    rounded = max(least, int(value + step / 2) // step * step)
    return rounded + step if rounded < 0.9 * value else rounded
