"""Refit: what was cut off is made good, as far as it goes, by the weights that stay; least squares in closed form.

A linear layer reads X and gives X Wᵀ. With the columns S of X left, the new weight V minimises, over the calibration
tokens,

    ‖X Wᵀ - X_S Vᵀ‖² + λ ‖V - W_S‖²,    so    Vᵀ = W_Sᵀ + (G_SS + λI)⁻¹ G_SR W_Rᵀ,

with G = XᵀX and R the columns that go. V = W_S, the plain cut, is among the candidates, so the error on these tokens
never grows; λ keeps what stays near its old values and makes the system solvable.

Source: the L2 compensation of pruning guides, solved exactly as in Frantar and Alistarh 2022 (arXiv 2208.11580,
section 3); the penalty is on the change and not on the size of the weight, which is where ours differs.

Legend: T tokens, I inputs, O outputs, S inputs that stay, R inputs that go.
"""

from dataclasses import dataclass
from typing import Any

from burnish.errors import RecipeError
from burnish.runtime import need


@dataclass(frozen=True)
class LeastSquares:
    """Refit the matrix that reads what was pruned (down_proj, o_proj) on calibration text.

    Attributes:
        ridge_frac: λ as a share of the mean diagonal of G_SS, above 0. More than GPTQ's damping of 0.01 (Frantar et al.
            2022, arXiv 2210.17323, section 3.3): a whole matrix is fitted to few rows of text, which a small λ overfits.
    """

    ridge_frac: float = 0.1

    def __post_init__(self) -> None:
        if not self.ridge_frac > 0:
            raise RecipeError(f"ridge_frac is {self.ridge_frac}; it must be above 0, 0.1 is common")


def refit(weight_OI: Any, gram_II: Any, kept: Any, ridge_frac: float) -> Any:
    """Give the weight of the columns that stay, (O, S), in the dtype of `weight_OI`; solved in float64.

    Args:
        kept: indices of the columns that stay.
    """
    torch = need("torch", extra="compress")
    is_kept = torch.zeros(weight_OI.shape[1], dtype=torch.bool, device=weight_OI.device)
    is_kept[kept] = True
    gone = (~is_kept).nonzero()[:, 0]
    gram_SS = gram_II[kept][:, kept].double()
    mean = float(gram_SS.diagonal().mean())
    if mean == 0:
        return weight_OI[:, kept].clone()  # the layer read nothing but zeros
    gram_SS.diagonal().add_(ridge_frac * mean)
    missing_SO = gram_II[kept][:, gone].double() @ weight_OI[:, gone].double().T
    change_SO = torch.cholesky_solve(missing_SO, torch.linalg.cholesky(gram_SS))
    return (weight_OI[:, kept].double() + change_SO.T).to(weight_OI.dtype)


def output_error(weight_OI: Any, new_OS: Any, gram_II: Any, kept: Any) -> float:
    """Give ‖X Wᵀ - X_S Vᵀ‖² over the tokens of the Gram matrix, or its mean where that is one, in float64."""
    difference_OI = weight_OI.detach().double().clone()
    difference_OI[:, kept] -= new_OS.double()
    return float(((difference_OI @ gram_II.double()) * difference_OI).sum())
