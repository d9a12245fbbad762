"""Linear divergence: torch's own loss and gradients for every divergence, whatever the chunks, widths and masks."""

from typing import Any

import pytest
import torch

from burnish.errors import RecipeError
from burnish.nn import cross_entropy, divergence_loss, head_comparison
from burnish.nn.divergence_loss import (
    Cosine,
    Divergence,
    ForwardKl,
    Head,
    JensenShannon,
    Matching,
    MeanSquare,
    ReverseKl,
    hidden_loss,
    linear_divergence,
)
from burnish.nn.head_comparison import compare_heads
from burnish.nn.weights import device

NUM, WIDTH, TEACHER_WIDTH, VOCABULARY = 23, 16, 24, 50


def naive(student: Any, teacher: Any, labels: Any, weights: Any, matching: Matching) -> Any:
    """The loss as the papers write it, from whole logits."""
    functional, heat = torch.nn.functional, matching.temperature
    log_q, log_p = (student / heat).log_softmax(1), (teacher / heat).log_softmax(1)

    def kl(log_a: Any, log_b: Any) -> Any:
        return functional.kl_div(log_b, log_a, reduction="none", log_target=True).sum(1)

    match matching.divergence:
        case ForwardKl():
            apart = kl(log_p, log_q)
        case ReverseKl():
            apart = kl(log_q, log_p)
        case JensenShannon(beta=beta):
            log_m = (beta * log_p.exp() + (1 - beta) * log_q.exp()).log()
            apart = beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m)
    said = functional.cross_entropy(student, labels, reduction="none", ignore_index=-100)
    each = (1 - matching.ce_frac) * heat**2 * apart + matching.ce_frac * said
    return (each * weights * (labels >= 0)).sum()


@pytest.mark.parametrize("divergence", [ForwardKl(), ReverseKl(), JensenShannon(0.5), JensenShannon(0.1)])
@pytest.mark.parametrize(("chunk", "ce_frac", "heat"), [(1, 0.0, 1.0), (7, 0.3, 2.0), (100, 0.0, 4.0), (7, 1.0, 2.0)])
def test_loss_and_gradients_are_torchs(
    monkeypatch: pytest.MonkeyPatch, divergence: Divergence, chunk: int, ce_frac: float, heat: float
) -> None:
    for name in ("_CHUNK_BYTES", "_CPU_CHUNK_BYTES"):
        monkeypatch.setattr(cross_entropy, name, chunk * 4 * VOCABULARY)
    torch.manual_seed(0)
    hidden, head = torch.randn(NUM, WIDTH, device=device()), torch.randn(VOCABULARY, WIDTH, device=device()) / 4
    teacher = Head(torch.randn(NUM, TEACHER_WIDTH, device=device()), torch.randn(VOCABULARY, TEACHER_WIDTH, device=device()) / 4)  # fmt: skip
    labels, weights = torch.randint(0, VOCABULARY, (NUM,), device=device()), torch.rand(NUM, device=device())
    labels[3], weights[5] = -100, 0.0
    matching = Matching(divergence, heat, ce_frac)
    found, expected = ([hidden.clone().requires_grad_(), head.clone().requires_grad_()] for _ in range(2))
    mine = linear_divergence(Head(found[0], found[1]), teacher, labels, weights, matching)
    theirs = naive(expected[0] @ expected[1].T, teacher.hidden_PD @ teacher.weight_VD.T, labels, weights, matching)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    (3 * mine).backward()
    (3 * theirs).backward()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)
    assert found[0].grad is not None
    assert not found[0].grad[3].any()
    assert not found[0].grad[5].any()
    assert found[0].grad[4].any()


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(NUM, WIDTH).requires_grad_(), torch.randn(VOCABULARY, WIDTH)
    both = Head(hidden, head)
    for divergence in (ForwardKl(), ReverseKl(), JensenShannon()):
        loss = linear_divergence(both, both, torch.zeros(NUM, dtype=torch.int64), torch.ones(NUM), Matching(divergence))
        (gradient,) = torch.autograd.grad(loss, hidden)
        assert float(loss.detach()) == pytest.approx(0, abs=1e-4)
        assert gradient.abs().max() < 1e-5


def test_the_comparison_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_CHUNK_BYTES", "_CPU_CHUNK_BYTES"):
        monkeypatch.setattr(cross_entropy, name, 5 * 4 * VOCABULARY)
    torch.manual_seed(0)
    student = Head(torch.randn(NUM, WIDTH, device=device()), torch.randn(VOCABULARY, WIDTH, device=device()))
    teacher = Head(student.hidden_PD + 0.5 * torch.randn(NUM, WIDTH, device=device()), student.weight_VD)
    labels = torch.randint(0, VOCABULARY, (NUM,), device=device())
    kl, mine, theirs, same = compare_heads(student, teacher, labels)
    q, p = (each.hidden_PD @ each.weight_VD.T for each in (student, teacher))
    functional = torch.nn.functional
    expected = functional.kl_div(q.log_softmax(1), p.softmax(1), reduction="none").sum(1)
    torch.testing.assert_close(kl, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mine, functional.cross_entropy(q, labels, reduction="none"), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(theirs, functional.cross_entropy(p, labels, reduction="none"), atol=1e-5, rtol=1e-4)
    assert same.tolist() == (q.argmax(1) == p.argmax(1)).float().tolist()
    assert 0 < same.mean() < 1


def test_hidden_states_are_compared_at_their_own_size() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, WIDTH), torch.randn(5, TEACHER_WIDTH)
    projection, weights = torch.randn(TEACHER_WIDTH, WIDTH), torch.tensor([1.0, 1, 0, 2, 1])
    mapped = student @ projection.T
    square = ((mapped - teacher) ** 2).sum(1) / (teacher**2).sum(1)
    cosine = 1 - (mapped * teacher).sum(1) / mapped.norm(dim=1) / teacher.norm(dim=1)
    for kind, expected in ((MeanSquare(), square), (Cosine(), cosine)):
        found = hidden_loss(student, teacher, weights, kind, projection)
        torch.testing.assert_close(found, (expected * weights).sum(), atol=1e-4, rtol=1e-5)
    wild = teacher.clone()
    wild[0] *= 1000
    assert float(hidden_loss(0 * wild, wild, torch.ones(5), MeanSquare())) == pytest.approx(5)
    assert float(hidden_loss(wild * 3, wild, torch.ones(5), Cosine())) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"ce_frac": 1.5}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Matching(**wrong)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="beta"):
        JensenShannon(1.0)


@pytest.mark.parametrize("divergence", [ForwardKl(), ReverseKl(), JensenShannon()])
def test_the_compiled_chunk_is_one_program(divergence: Divergence) -> None:
    """What a GPU runs: traced whole, and the same numbers."""
    torch.manual_seed(0)
    student, teacher = torch.randn(NUM, VOCABULARY), torch.randn(NUM, VOCABULARY)
    labels, weights, tokens = torch.randint(0, VOCABULARY, (NUM,)), torch.rand(NUM), torch.arange(VOCABULARY)
    how = (*divergence_loss._named(divergence), 2.0, 0.3)
    given = (student, teacher, labels, weights, tokens, how)
    compiled = torch.compile(divergence_loss._loss_and_gradient, backend="aot_eager", fullgraph=True)
    for found, expected in zip(compiled(*given), divergence_loss._loss_and_gradient(*given), strict=True):
        torch.testing.assert_close(found, expected)
    both = torch.compile(head_comparison._compared, backend="aot_eager", fullgraph=True)(student, teacher, labels)
    for found, expected in zip(both, head_comparison._compared(student, teacher, labels), strict=True):
        torch.testing.assert_close(found, expected)
