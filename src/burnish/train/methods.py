"""Methods: which of a model's numbers train, and how the result is kept."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

from burnish.errors import BurnishError, RecipeError
from burnish.learn.groups import Group
from burnish.nn.frozen import Int8, Nf4, freeze_linears
from burnish.nn.weights import quiet_transformers
from burnish.runtime import need


@dataclass(frozen=True)
class Full:
    """Train every number. Needs 16 bytes a parameter, and a rate a tenth of LoRA's or less: 1e-5 is common."""


@dataclass(frozen=True)
class Lora:
    """Train low-rank additions to the linear layers.

    Source: Hu et al. 2022, arXiv 2106.09685; rank 16, alpha 32 on all linear layers after Dettmers et al.
    2023, arXiv 2305.14314.

    Attributes:
        rank: width of the additions, at least 1.
        alpha: their output is scaled by alpha / rank.
        dropout: of their input, in [0, 1).
        targets: names of linear layers, or "all-linear" alone.
        is_rank_stabilised: scale by alpha / sqrt(rank) instead (Kalajdzievski 2023, arXiv 2312.03732).
        is_weight_decomposed: train each column's length by itself (DoRA: Liu et al. 2024, arXiv 2402.09353).
        base_bits: of the frozen linear layers in memory: 16 is as `precision` says, 8 integers by output channel, 4
            NormalFloat (QLoRA: Dettmers et al. 2023, arXiv 2305.14314). The base is in full while it is opened;
            merging adds the adapter to the full base too, not to the one that it was trained on.
        is_double_quantised: with 4 bits, the scales are kept in 8 bits too.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    is_rank_stabilised: bool = False
    is_weight_decomposed: bool = False
    base_bits: Literal[16, 8, 4] = 16
    is_double_quantised: bool = False

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1 or not self.targets:
            raise RecipeError(
                f"rank is {self.rank}, alpha {self.alpha}, dropout {self.dropout}, targets {list(self.targets)}; "
                "rank must be at least 1, alpha above 0, dropout in [0, 1), and targets name a layer"
            )
        if self.is_double_quantised and self.base_bits != 4:
            raise RecipeError(f"is_double_quantised is of 4 bits alone, base_bits is {self.base_bits}; leave it out")


@dataclass(frozen=True)
class Prefix:
    """Train keys and values that every layer sees before the text.

    Source: Li and Liang 2021, arXiv 2101.00190; 10 to 20 are common, and without their reparametrisation the rate
    must be high (1e-2 here).

    Attributes:
        num_virtual_tokens: length of the prefix.
    """

    num_virtual_tokens: int = 16

    def __post_init__(self) -> None:
        _check_virtual(self.num_virtual_tokens)


@dataclass(frozen=True)
class Prompt:
    """Train embeddings that stand before the text (Lester et al. 2021, arXiv 2104.08691).

    Attributes:
        num_virtual_tokens: length of the prompt.
        initial_text: the embeddings of its tokens are where training starts; empty starts from random tokens.
    """

    num_virtual_tokens: int = 16
    initial_text: str = ""

    def __post_init__(self) -> None:
        _check_virtual(self.num_virtual_tokens)


@dataclass(frozen=True)
class Unfreeze:
    """Train the last layers first, then earlier ones too, each at a smaller rate than the next.

    Source: Howard and Ruder 2018, arXiv 1801.06146, sections 3.2 and 3.3: gradual unfreezing, discriminative rates.

    Attributes:
        layers_per_stage: decoder layers that thaw together; the head and the last norm go with the first.
        stage_steps: optimizer steps from one thaw to the next.
        rate_decay: a stage's rate is that of the one above it divided by this; 2.6 is the paper's, for single layers.
        has_embeddings: the embeddings thaw last; False keeps them frozen.
    """

    layers_per_stage: int = 4
    stage_steps: int = 10
    rate_decay: float = 2.6
    has_embeddings: bool = False

    def __post_init__(self) -> None:
        if self.layers_per_stage < 1 or self.stage_steps < 1 or self.rate_decay < 1:
            raise RecipeError(
                f"layers_per_stage is {self.layers_per_stage}, stage_steps {self.stage_steps}, rate_decay "
                f"{self.rate_decay}; all must be at least 1"
            )


Method = Lora | Full | Prefix | Prompt | Unfreeze


def is_adapter(method: Method) -> bool:
    """Tell whether the result is an adapter beside the base, not a model of its own."""
    return isinstance(method, Lora | Prefix | Prompt)


def prepare(model: Any, method: Method, tokenizer_folder: Path) -> tuple[Any, tuple[Group, ...]]:
    """Make exactly the method's numbers train; give the model, wrapped where the method adds to it, and its groups."""
    match method:
        case Full():
            model.requires_grad_(True)
            return model, ()
        case Unfreeze():
            model.requires_grad_(False)
            groups = unfreezing_groups(model, method)
            names = {name for group in groups for name in group.names}
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name in names)
            return model, groups
        case Lora() | Prefix() | Prompt():
            peft = need("peft", extra="train")
            if isinstance(method, Lora) and method.base_bits != 16:
                freeze_linears(model, Int8() if method.base_bits == 8 else Nf4(method.is_double_quantised))
            with quiet_transformers():
                return peft.get_peft_model(model, _peft_config(peft, model, method, tokenizer_folder)), ()
        case _:
            assert_never(method)


def unfreezing_groups(model: Any, method: Unfreeze) -> tuple[Group, ...]:
    """Give the groups from the last layers to the first."""
    by_layer: dict[int, list[str]] = {}
    top, embeddings = [], []
    embedded = {id(p) for p in model.get_input_embeddings().parameters()}
    for name, parameter in model.named_parameters():
        layer = re.search(r"\.(?:layers?|h)\.(\d+)\.", f".{name}")
        if layer:
            by_layer.setdefault(int(layer[1]), []).append(name)
        elif id(parameter) in embedded:
            embeddings.append(name)
        else:
            top.append(name)
    order = sorted(by_layer, reverse=True)
    stages = [order[start : start + method.layers_per_stage] for start in range(0, len(order), method.layers_per_stage)]
    names = [[name for layer in stage for name in by_layer[layer]] for stage in stages]
    names[0] = [*top, *names[0]]
    if method.has_embeddings and embeddings:
        names.append(embeddings)
    return tuple(
        Group(tuple(group), method.rate_decay**-stage, stage * method.stage_steps) for stage, group in enumerate(names)
    )


def describe(method: Method) -> str:
    """Say in a few words what trains."""
    match method:
        case Full():
            return "All parameters"
        case Lora(rank=rank, alpha=alpha):
            kind = "DoRA" if method.is_weight_decomposed else "LoRA"
            base = "" if method.base_bits == 16 else f" on a base in {method.base_bits} bits"
            return f"{kind} adapter (rank {rank}, alpha {alpha:g}){base}"
        case Prefix(num_virtual_tokens=count):
            return f"Prefix of {count} virtual tokens in every layer"
        case Prompt(num_virtual_tokens=count):
            return f"Soft prompt of {count} virtual tokens"
        case Unfreeze():
            return f"{method.layers_per_stage} more layers every {method.stage_steps} steps, last ones first"
        case _:
            assert_never(method)


def _peft_config(peft: Any, model: Any, method: Lora | Prefix | Prompt, tokenizer_folder: Path) -> Any:
    match method:
        case Lora():
            targets = method.targets[0] if method.targets == ("all-linear",) else list(method.targets)
            return peft.LoraConfig(
                r=method.rank,
                lora_alpha=method.alpha,
                lora_dropout=method.dropout,
                target_modules=targets,
                use_rslora=method.is_rank_stabilised,
                use_dora=method.is_weight_decomposed,
                task_type="CAUSAL_LM" if model.can_generate() else "FEATURE_EXTRACTION",
            )
        case Prefix():
            return peft.PrefixTuningConfig(
                num_virtual_tokens=method.num_virtual_tokens, task_type="CAUSAL_LM", **_kv_shape(model.config)
            )
        case Prompt():
            text = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": method.initial_text,
                    "tokenizer_name_or_path": str(tokenizer_folder)} if method.initial_text else {}  # fmt: skip
            return peft.PromptTuningConfig(num_virtual_tokens=method.num_virtual_tokens, task_type="CAUSAL_LM", **text)
        case _:
            assert_never(method)


def _kv_shape(config: Any) -> dict[str, int]:
    """Give the shape of keys and values: PEFT's own guess is that of the queries.

    Raises:
        BurnishError: keys and values of this architecture are of different widths.
    """
    if getattr(config, "kv_lora_rank", None) is not None:
        raise BurnishError(
            f"{config.model_type} keeps keys and values compressed (MLA), which a prefix cannot stand in for; "
            "use method lora or prompt"
        )
    heads = int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    width = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    return {"num_layers": config.num_hidden_layers, "num_attention_heads": heads, "token_dim": heads * width}


def _check_virtual(num_virtual_tokens: int) -> None:
    if num_virtual_tokens < 1:
        raise RecipeError(f"num_virtual_tokens is {num_virtual_tokens}; it must be at least 1, 10 to 20 are common")
