"""Head comparison: what two models say at the same positions, chunk by chunk, without their full logits in memory.

Legend: P positions, C positions of a chunk, V vocabulary.
"""

import functools
from collections.abc import Callable
from typing import Any

from burnish.nn.cross_entropy import chunks
from burnish.nn.divergence_loss import Head, normalised
from burnish.runtime import need


def compare_heads(student: Head, teacher: Head, labels_P: Any) -> Any:
    """Compare what two models say at each position, at temperature 1, without a gradient.

    Returns:
        (4, P) float32: KL(teacher || student), the student's and the teacher's cross-entropy, all in nats, and 1 where
        both put the same token first.
    """
    torch = need("torch", extra="train")
    found_4P = torch.empty(4, len(labels_P), dtype=torch.float32, device=labels_P.device)
    compared = _comparison(student.hidden_PD.is_cuda)
    with torch.no_grad():
        for part in chunks(student.hidden_PD, student.weight_VD):
            rows = compared(_precise_logits(student, part), _precise_logits(teacher, part), labels_P[part])
            found_4P[:, part] = torch.stack(rows)
    return found_4P


def _compared(logits_CV: Any, other_CV: Any, labels_C: Any) -> tuple[Any, Any, Any, Any]:
    """Give what `compare_heads` does for a chunk; compiled, so it asks for no module, which would break the graph."""
    log_q_CV, log_p_CV = normalised(logits_CV), normalised(other_CV)
    at_C1 = labels_C.clamp_min(0)[:, None]
    return (
        (log_p_CV.exp() * (log_p_CV - log_q_CV)).sum(1),
        -log_q_CV.gather(1, at_C1)[:, 0],
        -log_p_CV.gather(1, at_C1)[:, 0],
        (logits_CV.argmax(1) == other_CV.argmax(1)).float(),
    )


def _precise_logits(head: Head, part: slice) -> Any:
    """Give a chunk's logits in float32, so that 16 bits round neither their difference nor which is largest."""
    torch = need("torch", extra="train")
    hidden_CD, weight_DV = head.hidden_PD[part], head.weight_VD.T
    if hidden_CD.is_cuda and hidden_CD.dtype != torch.float32:
        return torch.mm(hidden_CD, weight_DV, out_dtype=torch.float32)
    return hidden_CD.float() @ weight_DV.float()


@functools.cache
def _comparison(on_gpu: bool) -> Callable[..., Any]:
    """Compile where a kernel of its own saves passes over memory."""
    return need("torch", extra="train").compile(_compared, dynamic=None) if on_gpu else _compared
