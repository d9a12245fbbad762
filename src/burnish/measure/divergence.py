"""How far two models' next-token distributions are apart.

Legend: T positions, V vocabulary.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def log_softmax(logits_TV: "np.ndarray") -> "np.ndarray":
    """Normalise logits to log-probabilities in float64, (T, V)."""
    import numpy as np

    shifted = logits_TV.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def kl_divergence(p_TV: "np.ndarray", q_TV: "np.ndarray") -> "np.ndarray":
    """Compute KL(p || q) at each position, in nats, (T).

    Args:
        p_TV: log-probabilities of the reference.
        q_TV: log-probabilities of the model under test.
    """
    import numpy as np

    divergence: np.ndarray = (np.exp(p_TV) * (p_TV - q_TV)).sum(axis=-1)
    divergence[divergence < 0] = 0.0  # rounding may leave -1e-17
    return divergence


def top1_agrees(p_TV: "np.ndarray", q_TV: "np.ndarray") -> "np.ndarray":
    """Tell at each position whether both put the same token first, bool (T)."""
    same: np.ndarray = p_TV.argmax(axis=-1) == q_TV.argmax(axis=-1)
    return same
