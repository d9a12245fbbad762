"""Linear divergence: two output heads and the distance of their predictions in one, chunk by chunk.

The full logits of neither model lie in memory, and the student's gradients are made in the forward pass, while a
chunk's logits are at hand, as in `cross_entropy`.

Source: temperature, and its square before the loss: Hinton et al. 2015, arXiv 1503.02531, section 2; divergences:
Agarwal et al. 2023, arXiv 2306.13649, section 2.

Legend: P positions, C positions of a chunk, D width of the student, E of the teacher, V vocabulary.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from burnish.errors import RecipeError
from burnish.nn.cross_entropy import add_product, chunks
from burnish.runtime import need

_Kind = Literal["forward", "reverse", "jensen_shannon"]


@dataclass(frozen=True)
class ForwardKl:
    """KL(teacher || student): the student must cover all that the teacher finds likely."""


@dataclass(frozen=True)
class ReverseKl:
    """KL(student || teacher): the student must say nothing that the teacher finds unlikely."""


@dataclass(frozen=True)
class JensenShannon:
    """β KL(teacher || m) + (1 - β) KL(student || m), m = β teacher + (1 - β) student.

    Attributes:
        beta: in (0, 1); 0.5 is the Jensen-Shannon divergence, 0.1, 0.5 and 0.9 are the paper's; over β it is near
            `ForwardKl` where β is near 0.
    """

    beta: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.beta < 1:
            raise RecipeError(f"beta is {self.beta}; it must lie in (0, 1): forward_kl and reverse_kl are its ends")


Divergence = ForwardKl | ReverseKl | JensenShannon


@dataclass(frozen=True)
class Matching:
    """Say how a student's predictions are held to its teacher's: (1 - c) T² D(teacher, student) + c cross-entropy.

    Attributes:
        divergence: D, of both distributions at the temperature.
        temperature: T, by which both models' logits are divided; 2 to 4 is common, 1 compares what they would say.
        ce_frac: c, share of the plain cross-entropy by the text's own tokens, at temperature 1; in [0, 1].
    """

    divergence: Divergence = field(default_factory=ForwardKl)
    temperature: float = 2.0
    ce_frac: float = 0.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise RecipeError(f"temperature is {self.temperature}; it must be above 0, 1 to 4 are common")
        if not 0 <= self.ce_frac <= 1:
            raise RecipeError(f"ce_frac is {self.ce_frac}; it must lie in [0, 1]: 1 is cross-entropy alone")


@dataclass(frozen=True)
class Head:
    """Last hidden states at P positions, and the head that turns them to logits.

    Attributes:
        hidden_PD: in the model's precision.
        weight_VD: of the output head.
    """

    hidden_PD: Any
    weight_VD: Any


def linear_divergence(student: Head, teacher: Head, labels_P: Any, weights_P: Any, matching: Matching) -> Any:
    """Sum the weighted loss of the student's predictions, in nats, as a float32 scalar with a gradient to the student.

    Args:
        teacher: gets no gradient; its vocabulary is the student's, its width may be another.
        labels_P: the text's next tokens; -100 leaves a position out, as a weight of 0 does.
        weights_P: what each position counts, float32.
    """
    kind, beta = _named(matching.divergence)
    options = (kind, beta, matching.temperature, matching.ce_frac)
    loss: Any = _function().apply(
        student.hidden_PD, student.weight_VD, teacher.hidden_PD, teacher.weight_VD, labels_P, weights_P, options
    )
    return loss


@dataclass(frozen=True)
class Cosine:
    """1 - cosine of the two hidden states: their direction alone counts."""


@dataclass(frozen=True)
class MeanSquare:
    """Square of the difference over the square of the teacher's own: 1 is as far as a student that says 0."""


FeatureLoss = Cosine | MeanSquare


def hidden_loss(student_PD: Any, teacher_PE: Any, weights_P: Any, kind: FeatureLoss, projection_ED: Any = None) -> Any:
    """Sum the weighted distance of hidden states over positions, as a float32 scalar.

    Each position is measured by its own size: the first token of a text is a thousand times as large in many models,
    and would be all that counts.

    Args:
        teacher_PE: gets no gradient.
        projection_ED: learnt map from the student's width to the teacher's; None where they are alike.
    """
    torch = need("torch", extra="train")
    if projection_ED is not None:
        student_PD = student_PD @ projection_ED.to(student_PD.dtype).T
    mine_PE, theirs_PE = student_PD.float(), teacher_PE.detach().float()
    match kind:
        case Cosine():
            distance_P = 1 - torch.nn.functional.cosine_similarity(mine_PE, theirs_PE, dim=1)
        case MeanSquare():
            distance_P = (mine_PE - theirs_PE).square().sum(1) / theirs_PE.square().sum(1).clamp_min(1e-12)
        case _:
            assert_never(kind)
    return (distance_P * weights_P).sum()


def _named(divergence: Divergence) -> tuple[_Kind, float]:
    match divergence:
        case ForwardKl():
            return "forward", 0.0
        case ReverseKl():
            return "reverse", 0.0
        case JensenShannon(beta=beta):
            return "jensen_shannon", beta
        case _:
            assert_never(divergence)


@functools.cache
def _function() -> Any:
    """Make the autograd function; torch is imported no earlier."""
    torch = need("torch", extra="train")

    class LinearDivergence(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(
            ctx: Any,
            hidden: Any,
            weight: Any,
            other_hidden: Any,
            other_weight: Any,
            labels: Any,
            weights: Any,
            how: Any,
        ) -> Any:
            student, teacher = Head(hidden, weight), Head(other_hidden, other_weight)
            loss, *gradients = _run(student, teacher, labels, weights, how, ctx.needs_input_grad[:2])
            ctx.save_for_backward(*gradients)
            return loss

        @staticmethod
        def backward(ctx: Any, d_loss: Any) -> tuple[Any, ...]:
            scaled = [None if grad is None else grad.mul_(d_loss.to(grad.dtype)) for grad in ctx.saved_tensors]
            return (*scaled, None, None, None, None, None)

    return LinearDivergence


def _run(
    student: Head, teacher: Head, labels: Any, weights: Any, how: tuple[Any, ...], wants: tuple[bool, bool]
) -> tuple[Any, Any, Any]:
    torch = need("torch", extra="train")
    hidden, weight = student.hidden_PD, student.weight_VD
    weights = torch.where(labels < 0, 0.0, weights)
    labels = labels.clamp_min(0)
    loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
    d_hidden = torch.empty_like(hidden) if wants[0] else None
    d_weight = torch.zeros_like(weight, dtype=torch.float32) if wants[1] else None
    tokens_V = torch.arange(len(weight), device=hidden.device)
    chunk_loss = _chunk_loss(hidden.is_cuda)
    for part in chunks(hidden, weight):
        h_CD = hidden[part]
        their_logits_CV = teacher.hidden_PD[part] @ teacher.weight_VD.T
        each, d_logits_CV = chunk_loss(h_CD @ weight.T, their_logits_CV, labels[part], weights[part], tokens_V, how)
        loss += each
        if d_hidden is not None:
            d_hidden[part] = d_logits_CV @ weight
        if d_weight is not None:
            add_product(d_weight, d_logits_CV.T, h_CD)
    return loss, d_hidden, None if d_weight is None else d_weight.to(weight.dtype)


def _loss_and_gradient(
    logits_CV: Any, other_CV: Any, labels_C: Any, weights_C: Any, tokens_V: Any, how: tuple[_Kind, float, float, float]
) -> tuple[Any, Any]:
    """Give the loss of a chunk and its gradient; compiled, so nothing here asks for a module, which breaks the graph."""
    kind, beta, heat, ce_frac = how
    x_CV = logits_CV.float()
    log_q_CV, log_p_CV = normalised(x_CV / heat), normalised(other_CV.float() / heat)
    nats_C, by_logit_CV = _distance(log_p_CV, log_q_CV, kind, beta)
    nats_C = nats_C * ((1 - ce_frac) * heat * heat)
    by_logit_CV = by_logit_CV * ((1 - ce_frac) * heat)
    if ce_frac:
        log_x_CV = normalised(x_CV)
        is_label_CV = tokens_V[None] == labels_C[:, None]
        nats_C = nats_C - ce_frac * log_x_CV.where(is_label_CV, 0.0).sum(1)
        by_logit_CV = by_logit_CV + ce_frac * (log_x_CV.exp() - is_label_CV.float())
    return (nats_C * weights_C).sum(), (by_logit_CV * weights_C[:, None]).to(logits_CV.dtype)


def normalised(logits_CV: Any) -> Any:
    """Give log-probabilities, as what compiled code can make again where it needs them, rather than keep."""
    return logits_CV - logits_CV.logsumexp(1, keepdim=True)


def _distance(log_p_CV: Any, log_q_CV: Any, kind: _Kind, beta: float) -> tuple[Any, Any]:
    """Give the divergence of each position, and its gradient by the student's logits over the temperature."""
    p_CV, q_CV = log_p_CV.exp(), log_q_CV.exp()
    if kind == "forward":
        return (p_CV * (log_p_CV - log_q_CV)).sum(1), q_CV - p_CV
    log_m_CV = log_p_CV
    if kind == "jensen_shannon":
        log_m_CV = (log_p_CV + math.log(beta)).logaddexp(log_q_CV + math.log(1 - beta))
    gap_CV = log_q_CV - log_m_CV
    from_m_C = (q_CV * gap_CV).sum(1)
    by_logit_CV = q_CV * (gap_CV - from_m_C[:, None]) * (1 - beta)
    if kind == "reverse":
        return from_m_C, by_logit_CV
    return beta * (p_CV * (log_p_CV - log_m_CV)).sum(1) + (1 - beta) * from_m_C, by_logit_CV


@functools.cache
def _chunk_loss(on_gpu: bool) -> Callable[..., tuple[Any, Any]]:
    """Compile where a kernel of its own saves passes over memory."""
    return need("torch", extra="train").compile(_loss_and_gradient, dynamic=None) if on_gpu else _loss_and_gradient
