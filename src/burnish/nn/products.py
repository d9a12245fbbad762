"""A model as the matrix products it makes: what its parameters, memory and arithmetic follow from."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["decoder", "encoder", "image"]
Format = Literal["fp32", "bf16", "int8", "int4"]

_STATE_BYTES = (
    16  # a trained number: weight, gradient, master copy and two moments (Rajbhandari et al. 2020, section 3.1)
)
_INT4_GROUP = 128  # weights that share a scale (Frantar et al. 2023, arXiv 2210.17323, table 6; the usual choice since)


@dataclass(frozen=True)
class Product:
    """Describe weight matrices of one shape; a convolution is one whose inputs are a window of its image.

    Attributes:
        count: matrices that are held; 0 where the weights are another layer's (a tied head).
        used: matrices that one input passes; None is `count`. Of 64 experts it may be 6.
        times: inputs that a whole text or image brings; None is one a token.
        takes_lora: whether "all-linear" adapters are put beside it.
        is_quantised: whether INT8 and INT4 formats hold it so; heads and routers stay in 16 bits.
    """

    inputs: int
    outputs: int
    count: int = 1
    used: int | None = None
    times: int | None = None
    has_bias: bool = False
    takes_lora: bool = True
    is_quantised: bool = True

    @property
    def num_used(self) -> int:
        """Count the matrices that one input passes."""
        return self.count if self.used is None else self.used

    @property
    def num_weights(self) -> int:
        """Count the weights that are held, biases left out."""
        return self.count * self.inputs * self.outputs


@dataclass(frozen=True)
class Attention:
    """Describe the products of tokens with tokens.

    Attributes:
        width: numbers of a query plus those of a value, over all heads.
        window: keys that a query sees at most; None sees all.
        num_tokens: of an image; None where texts differ.
    """

    width: int
    num_layers: int
    is_causal: bool = False
    window: int | None = None
    num_tokens: int | None = None

    def flops(self, num_tokens: int) -> float:
        """Count scores and weighted sums of a text: 2 a multiply-add."""
        length = num_tokens if self.num_tokens is None else self.num_tokens
        keys = (length + 1) / 2 if self.is_causal else float(length)
        return 2.0 * self.width * self.num_layers * length * (keys if self.window is None else min(keys, self.window))


@dataclass(frozen=True)
class ModelSize:
    """Say how large a model is, from its shape alone.

    Attributes:
        architecture: Hugging Face's `model_type`.
        other_parameters: of embeddings, norms and whatever else multiplies no matrix.
        cached_numbers: a token leaves so many in the cache of a decoder, over all layers.
        saved_numbers: a token (an image, where `image_tokens` is 1) leaves so many for the backward pass.
        image_tokens: tokens of an image, 1 for a convolutional network; None for text.
    """

    architecture: str
    kind: Kind
    num_layers: int
    products: tuple[Product, ...]
    attention: tuple[Attention, ...]
    other_parameters: int
    saved_numbers: int
    cached_numbers: int = 0
    image_tokens: int | None = None

    @property
    def parameters(self) -> int:
        """Count all parameters."""
        biases = sum(product.count * product.outputs for product in self.products if product.has_bias)
        return sum(product.num_weights for product in self.products) + biases + self.other_parameters

    @property
    def active_parameters(self) -> int:
        """Count the parameters without the experts that a token does not pass."""
        return self.parameters - sum(
            (product.count - product.num_used) * product.inputs * product.outputs
            for product in self.products
            if product.num_used < product.count
        )

    def weight_bytes(self, held: Format) -> int:
        """Count what the weights take.

        INT8 has a 16-bit scale a row, INT4 one for each 128 weights; what is not quantised is in 16 bits.
        """
        match held:
            case "fp32":
                return 4 * self.parameters
            case "bf16":
                return 2 * self.parameters
            case "int8" | "int4":
                return 2 * self.parameters + sum(self._saved_by(held, p) for p in self.products if p.is_quantised)

    def _saved_by(self, held: Literal["int8", "int4"], product: Product) -> int:
        rows = product.count * product.outputs
        if held == "int8":
            return 2 * rows - product.num_weights
        return 2 * rows * -(-product.inputs // _INT4_GROUP) - product.num_weights * 3 // 2

    def cache_bytes(self, num_tokens: int = 1, number_bytes: int = 2) -> int:
        """Count what keys and values of so many tokens take; of MLA, the latents (DeepSeek-V2, arXiv 2405.04434, 2.1)."""
        return number_bytes * self.cached_numbers * num_tokens

    def forward_flops(self, num_tokens: int) -> float:
        """Count the arithmetic of reading a text of so many tokens, or one image: 2 a multiply-add, products alone."""
        products = sum(
            2.0 * p.inputs * p.outputs * p.num_used * (num_tokens if p.times is None else p.times)
            for p in self.products
        )
        return products + sum(part.flops(num_tokens) for part in self.attention)

    def lora_parameters(self, rank: int) -> int:
        """Count LoRA's parameters on all linear layers but the head (Hu et al. 2022, arXiv 2106.09685, equation 3)."""
        return sum(rank * p.count * (p.inputs + p.outputs) for p in self.products if p.takes_lora)

    def training_bytes(self, num_tokens: int, *, rank: int | None = None) -> int:
        """Estimate the memory of training in 16 bits on rows of so many tokens (one image), nothing computed again.

        Every number that trains takes 16 bytes with its state, a frozen one 2; the rest is what the forward pass
        leaves for the backward pass, which differs by a tenth or two with how layers are fused.

        Args:
            num_tokens: of a row; not read for images.
            rank: of LoRA; None trains all parameters.
        """
        saved = 2 * self.saved_numbers * (num_tokens if self.image_tokens is None else self.image_tokens)
        if rank is None:
            return _STATE_BYTES * self.parameters + saved
        return 2 * self.parameters + _STATE_BYTES * self.lora_parameters(rank) + saved
