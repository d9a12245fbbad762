"""FGSM: train on inputs moved, in embedding space, the way that raises the loss fastest.

The move is made where the model looks its tokens up, so nothing of the text or of its tokens changes, and any
architecture takes part. Each packed example is moved by its own gradient and its own length.

Legend: T tokens of a row, D width of the embeddings.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from burnish.errors import RecipeError
from burnish.runtime import need

Form = Literal["length", "sign"]
Loss = Callable[[], Any]  # runs the model on one row


@dataclass(frozen=True)
class Fgsm:
    """Train on each row twice: as it is, and with its embeddings moved against it.

    Training loss: (1 - weight) · clean + weight · adversarial.

    Source: Goodfellow et al. 2015, arXiv:1412.6572, section 6: the loss, with weight 0.5, and the sign form;
    Miyato et al. 2017, arXiv:1605.07725, section 3: the length form, r = ε·g/‖g‖ over the whole text. There ε is
    absolute and embeddings are normalised to unit variance; ours is a share of the example's own length, so that
    one number serves any model: the 5 of their code on 400 words of 256 normalised numbers is a share of 0.016.

    Attributes:
        epsilon_frac: length of the move, as a share of the length of the example's embeddings, in [0, 1]; both
            forms move equally far. 0 moves nothing: a control that costs as much and learns what it would without.
        form: "length" moves along the gradient, mostly the tokens that matter; "sign" moves every number equally far.
        weight: of the adversarial loss, in (0, 1).
    """

    epsilon_frac: float = 0.02
    form: Form = "length"
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon_frac <= 1 or not 0 < self.weight < 1:
            raise RecipeError(
                f"epsilon_frac is {self.epsilon_frac}, weight {self.weight}; the first must lie in [0, 1], the second "
                "above 0 and below 1"
            )


def move(embedded_TD: Any, gradient_TD: Any, positions: Sequence[int], config: Fgsm) -> Any:
    """Give the move of a packed row's embeddings, (T, D) in their precision.

    Args:
        gradient_TD: of the loss by the embeddings; an example that it does not touch stays where it is.
        positions: T positions, restarting at 0 with each example.
    """
    torch = need("torch", extra="train")
    lengths = _lengths(positions)
    pairs = zip(embedded_TD.float().split(lengths), gradient_TD.float().split(lengths), strict=True)
    return torch.cat([_move_one(x, g, config) for x, g in pairs]).to(embedded_TD.dtype)


def backward(model: Any, positions: Sequence[int], loss_of: Loss, config: Fgsm) -> tuple[float, float]:
    """Add the gradient of the training loss of one row to the parameters'.

    Both passes draw the same dropout, so that the network attacked is the one whose gradient shows the way.

    Args:
        model: in training; its embeddings may be frozen.
        positions: of the row that `loss_of` runs.

    Returns:
        clean and adversarial loss, unweighted.
    """
    random = _random_state()
    with _embedded(model) as seen:
        clean = loss_of()
        ((1 - config.weight) * clean).backward()
    (embedded,) = seen
    shift = move(embedded.detach()[0], embedded.grad[0], positions, config)[None]
    _restore_random(random)
    with _shifted(model, shift):
        adversarial = loss_of()
        (config.weight * adversarial).backward()
    return float(clean.detach()), float(adversarial.detach())


def attack(model: Any, positions: Sequence[int], loss_of: Loss, config: Fgsm) -> float:
    """Measure the loss of one row under attack; no parameter's gradient changes."""
    torch = need("torch", extra="train")
    with _embedded(model) as seen:
        loss = loss_of()
        (embedded,) = seen
        (gradient,) = torch.autograd.grad(loss, embedded)
    shift = move(embedded.detach()[0], gradient[0], positions, config)[None]
    with torch.no_grad(), _shifted(model, shift):
        return float(loss_of())


def _move_one(embedded: Any, gradient: Any, config: Fgsm) -> Any:
    torch = need("torch", extra="train")
    largest = gradient.abs().max()
    if not largest > 0:
        return torch.zeros_like(embedded)
    reach = config.epsilon_frac * embedded.norm()
    match config.form:
        case "length":
            scaled = gradient / largest  # squares of tiny gradients would vanish
            return reach * scaled / scaled.norm()
        case "sign":
            return reach * gradient.sign() / embedded.numel() ** 0.5
        case _:
            assert_never(config.form)


def _lengths(positions: Sequence[int]) -> list[int]:
    starts = [index for index, position in enumerate(positions) if position == 0]
    return [end - start for start, end in zip(starts, [*starts[1:], len(positions)], strict=True)]


@contextmanager
def _embedded(model: Any) -> Iterator[list[Any]]:
    """Keep what the embedding layer gives, with its gradient, whether the layer trains or not."""
    seen: list[Any] = []

    def keep(_module: Any, _given: Any, embedded: Any) -> None:
        if embedded.requires_grad:
            embedded.retain_grad()
        else:
            embedded.requires_grad_()
        seen.append(embedded)

    hook = _embedding_layer(model).register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


@contextmanager
def _shifted(model: Any, shift: Any) -> Iterator[None]:
    hook = _embedding_layer(model).register_forward_hook(lambda _module, _given, embedded: embedded + shift)
    try:
        yield
    finally:
        hook.remove()


def _embedding_layer(model: Any) -> Any:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.get_input_embeddings()


def _random_state() -> tuple[Any, Any]:
    torch = need("torch", extra="train")
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


def _restore_random(state: tuple[Any, Any]) -> None:
    torch = need("torch", extra="train")
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
