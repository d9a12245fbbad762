"""The claims ledger: figures that the field's guides publish, measured again here and printed beside ours."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burnish.claims.claim import Claim


def all_claims() -> "tuple[Claim, ...]":
    """Give every claim that can be measured, in the order of the feature table."""
    from burnish.claims import (
        a1_sparse_attention,
        c1_pruning,
        c2_qat,
        c3_matrix,
        c4_four_bit_inputs,
        c5_distillation,
        c8_search,
        d1_valid_share,
        d3_domain_f1,
        d11_gate,
        m2_methods,
        m3_multitask,
        t1_precision,
        t6_clipping,
        t7_memory,
        z2_chain,
    )

    return (
        d1_valid_share.CLAIM,
        d3_domain_f1.CLAIM,
        d11_gate.CLAIM,
        m2_methods.CLAIM,
        m3_multitask.CLAIM,
        a1_sparse_attention.CLAIM,
        t1_precision.CLAIM,
        t6_clipping.CLAIM,
        t7_memory.CLAIM,
        c1_pruning.CLAIM,
        c2_qat.CLAIM,
        c3_matrix.CLAIM,
        c4_four_bit_inputs.CLAIM,
        c5_distillation.CLAIM,
        c8_search.CLAIM,
        z2_chain.CLAIM,
    )
