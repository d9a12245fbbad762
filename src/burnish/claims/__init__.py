"""The claims ledger: figures that the field's guides publish, measured again here and printed beside ours."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burnish.claims.claim import Claim


def all_claims() -> "tuple[Claim, ...]":
    """Give every claim that can be measured, in the order of the feature table."""
    from burnish.claims import d1_valid_share, d3_domain_f1, d11_gate

    return d1_valid_share.CLAIM, d3_domain_f1.CLAIM, d11_gate.CLAIM
