"""Losses of a pair of answers, from how much more than the reference the policy prefers the better one.

Legend: N pairs.
"""

from dataclasses import dataclass
from typing import Any, assert_never

from burnish.errors import RecipeError
from burnish.runtime import need


@dataclass(frozen=True)
class Sigmoid:
    """DPO: -(1 - ε) log σ(β m) - ε log σ(-β m), m being how much more the policy prefers the chosen answer.

    m = log(policy / reference) of the chosen answer less that of the rejected one, summed over the answers' tokens.

    Source: Rafailov et al. 2023, arXiv 2305.18290, equation 7, and 0.1 from its appendix B; ε is conservative DPO's
    (Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO").

    Attributes:
        beta: how dear it is to leave the reference, above 0; smaller lets the model go further.
        label_smoothing_frac: share of the pairs that are thought to be the wrong way round, in [0, 0.5).
    """

    beta: float = 0.1
    label_smoothing_frac: float = 0.0

    def __post_init__(self) -> None:
        _check_strength("beta", self.beta)
        if not 0 <= self.label_smoothing_frac < 0.5:
            raise RecipeError(
                f"label_smoothing_frac is {self.label_smoothing_frac}; it must lie in [0, 0.5): at a half the pairs "
                "say nothing"
            )


@dataclass(frozen=True)
class Ipo:
    """IPO: (m - 1 / (2τ))², m as of `Sigmoid`: it wants a certain margin and no more, which resists overfitting.

    Source: Azar et al. 2023, arXiv 2310.12036, equation 17. Log-probabilities are summed over an answer's tokens as
    there; TRL's `ipo` averages them, which makes its τ another one. 0.1 as for `Sigmoid`.
    """

    tau: float = 0.1

    def __post_init__(self) -> None:
        _check_strength("tau", self.tau)


@dataclass(frozen=True)
class Hinge:
    """Hinge: max(0, 1 - β m), m as of `Sigmoid`: pairs that are clear enough teach nothing more.

    Source: SLiC's loss (Zhao et al. 2023, arXiv 2305.10425) against a reference: "hinge-norm" of Liu et al. 2023,
    arXiv 2309.06657. 0.1 as for `Sigmoid`.
    """

    beta: float = 0.1

    def __post_init__(self) -> None:
        _check_strength("beta", self.beta)


PreferenceLoss = Sigmoid | Ipo | Hinge


def pair_losses(loss: PreferenceLoss, margin_N: Any) -> Any:
    """Give the loss of each pair from how much more than the reference the policy prefers its chosen answer, (N)."""
    functional = need("torch.nn.functional", extra="train")
    match loss:
        case Sigmoid(beta=beta, label_smoothing_frac=wrong):
            right_N, wrong_N = functional.logsigmoid(beta * margin_N), functional.logsigmoid(-beta * margin_N)
            return -(1 - wrong) * right_N - wrong * wrong_N
        case Ipo(tau=tau):
            return (margin_N - 1 / (2 * tau)) ** 2
        case Hinge(beta=beta):
            return functional.relu(1 - beta * margin_N)
        case _:
            assert_never(loss)


def strength(loss: PreferenceLoss) -> float:
    """Give what a margin is multiplied by to be one of rewards."""
    return loss.tau if isinstance(loss, Ipo) else loss.beta


def _check_strength(name: str, value: float) -> None:
    if value <= 0:
        raise RecipeError(f"{name} is {value}; it must be above 0, 0.1 is common")
