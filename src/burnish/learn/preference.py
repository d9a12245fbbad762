"""Preference: learn which of two answers is the better one, measured against the model that training started from.

Both answers of a pair, and several pairs, share a packed row without seeing each other.

Legend: N pairs of a row, A answers of a row (2N: chosen and rejected in turn), P labelled positions, D width.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from burnish.errors import BurnishError, RecipeError
from burnish.learn.packing import IGNORED, Row, Sample, lay, place, place_once
from burnish.learn.preference_loss import PreferenceLoss, Sigmoid, pair_losses, strength
from burnish.learn.task import Measures
from burnish.nn.cross_entropy import linear_logprobs
from burnish.nn.forward import evaluating, head_of, hidden_at
from burnish.runtime import need


@dataclass(frozen=True)
class Pair:
    """Two answers to the same turns, the better one first; a token's weight tells whether it is the answer's.

    Attributes:
        reference: log-probability that the reference gives each answer, in nats; None: the model itself is asked,
            its adapter switched off.
    """

    id: str
    chosen: Sample
    rejected: Sample
    reference: tuple[float, float] | None = None

    @property
    def num_tokens(self) -> int:
        """Count the tokens of both, each with the turns before it."""
        return len(self.chosen.ids) + len(self.rejected.ids)

    @property
    def key(self) -> str:
        """Name the pair by its tokens."""
        tokens = repr((self.chosen.ids, self.rejected.ids, self.chosen.weights, self.rejected.weights))
        return hashlib.sha256(tokens.encode()).hexdigest()


@dataclass(frozen=True)
class PairRow:
    """Pairs in one packed row.

    Attributes:
        answer_tokens: (A) labelled tokens of each answer.
        references: (A) log-probabilities of the answers under the reference, in nats; empty: to be computed.
    """

    row: Row
    answer_tokens: list[int]
    references: list[float]

    @property
    def num_pairs(self) -> int:
        """Count the pairs."""
        return len(self.answer_tokens) // 2


def pack_pairs(pairs: Sequence[Pair], *, row_tokens: int, seed: int, is_filled: bool = False) -> Iterator[PairRow]:
    """Pack pairs endlessly as `packing.pack` does samples; a pair is never split.

    Args:
        is_filled: bring all rows to one length, for compiled code.
    """
    for places in place([pair.num_tokens for pair in pairs], row_tokens=row_tokens, seed=seed):
        yield _pair_row([pairs[index] for index in places], row_tokens if is_filled else 0)


def pack_pairs_once(pairs: Sequence[Pair], *, row_tokens: int, is_filled: bool = False) -> list[PairRow]:
    """Pack each pair once, in order."""
    rows = place_once([pair.num_tokens for pair in pairs], row_tokens=row_tokens)
    return [_pair_row([pairs[index] for index in places], row_tokens if is_filled else 0) for places in rows]


@dataclass(frozen=True)
class PreferenceTask:
    """Raise the chosen answers above the rejected ones, by how far both have moved from the reference.

    The loss is the mean over all pairs of a step, whatever rows they lie in, so that accumulating gradients changes
    nothing. The reference is the model without its adapter, or what the pairs bring along.

    Attributes:
        sft_weight: of the chosen answer's mean cross-entropy a token, added to a pair's loss; it keeps the chosen
            answer likely where the margin alone lets both sink. Source: Pang et al. 2024, arXiv 2404.19733, equation
            1, whose weight is 1; 0 leaves it out.
    """

    loss: PreferenceLoss = field(default_factory=Sigmoid)
    sft_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.sft_weight < 0:
            raise RecipeError(f"sft_weight is {self.sft_weight}; it must not be below 0, 0 leaves the term out")

    def num_tokens(self, item: PairRow) -> int:
        """Count the tokens of a row's pairs, filler left out."""
        return item.row.num_tokens

    def backward(self, model: Any, batch: Sequence[PairRow], scale: float) -> Measures:
        """Add the gradient of the mean loss of the batch's pairs."""
        num_pairs = sum(item.num_pairs for item in batch)
        total: Measures = {}
        for item in batch:
            loss_N, seen = self._losses(model, item)
            (loss_N.sum() * (scale / num_pairs)).backward()
            total = {name: total.get(name, 0.0) + value / num_pairs for name, value in seen.items()}
        return total

    def validate(self, model: Any, items: Sequence[PairRow]) -> Measures:
        """Measure held-out pairs as training's are, dropout off."""
        torch = need("torch", extra="train")
        num_pairs = sum(item.num_pairs for item in items)
        total: Measures = {}
        with evaluating(model), torch.no_grad():
            for item in items:
                _, seen = self._losses(model, item)
                total = {name: total.get(name, 0.0) + value / num_pairs for name, value in seen.items()}
        return {f"validation_{name}": value for name, value in total.items()}

    def state(self) -> dict[str, Any]:
        """Give nothing: this task remembers nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take nothing."""

    def _losses(self, model: Any, item: PairRow) -> tuple[Any, Measures]:
        """Give the loss of each pair, (N), and sums over the pairs of what is watched."""
        torch = need("torch", extra="train")
        reference_A = reference_logprobs(model, item)
        policy_A = answer_logprobs(model, item)
        moved_N2 = (policy_A - reference_A).view(-1, 2)
        margin_N = moved_N2[:, 0] - moved_N2[:, 1]
        a_token_N2 = policy_A.view(-1, 2) / torch.tensor(item.answer_tokens, device=policy_A.device).view(-1, 2)
        loss_N = pair_losses(self.loss, margin_N)
        if self.sft_weight:
            loss_N = loss_N - self.sft_weight * a_token_N2[:, 0]
        watched = {
            "loss_nats": loss_N,
            "reward_margin_nats": strength(self.loss) * margin_N,
            "preference_accuracy_frac": (margin_N > 0).double(),
            "chosen_logprob_nats_per_token": a_token_N2[:, 0],
            "rejected_logprob_nats_per_token": a_token_N2[:, 1],
        }
        sums = torch.stack([values.detach().sum() for values in watched.values()]).tolist()
        return loss_N, dict(zip(watched, sums, strict=True))


def answer_logprobs(model: Any, item: PairRow) -> Any:
    """Sum the log-probabilities of each answer's tokens, in nats: (A), float64 so that close sums can be subtracted."""
    torch = need("torch", extra="train")
    labels = torch.tensor(item.row.labels)
    chosen = labels != IGNORED
    hidden_PD = hidden_at(model, item.row.ids, item.row.positions, chosen)
    logprobs_P = linear_logprobs(hidden_PD, head_of(model).weight, labels[chosen].to(hidden_PD.device)).double()
    return torch.stack([part.sum() for part in logprobs_P.split(item.answer_tokens)])


def reference_logprobs(model: Any, item: PairRow) -> Any:
    """Give each answer's log-probability under the reference, (A): what the row brings, else asked of the base.

    Raises:
        BurnishError: the row brings none, and the model has no adapter to switch off.
    """
    torch = need("torch", extra="train")
    if item.references:
        place_of = head_of(model).weight.device
        return torch.tensor(item.references, dtype=torch.float64, device=place_of)
    if not hasattr(model, "disable_adapter"):
        raise BurnishError(
            "the pairs bring no reference log-probabilities, and the model has no adapter whose base could give them; "
            "give each Pair its `reference`"
        )
    with _base_alone(model) as base, torch.no_grad():
        return answer_logprobs(base, item)


@contextmanager
def _base_alone(model: Any) -> Iterator[Any]:
    """Give the base without what training adds, and without dropout."""
    with evaluating(model), model.disable_adapter():
        yield model.get_base_model()


def _pair_row(pairs: Sequence[Pair], fill_to: int) -> PairRow:
    answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
    return PairRow(
        lay(answers, fill_to=fill_to),
        [sum(weight > 0 for weight in answer.weights[1:]) for answer in answers],
        [logprob for pair in pairs for logprob in pair.reference or ()],
    )
