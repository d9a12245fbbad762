"""Narrowing: cut every layer of a model to its best channels and groups, refitting what reads them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from burnish.compress.calibration import watched
from burnish.compress.layer_walk import LayerWalk
from burnish.compress.pruning.cut import best, cut_channels, cut_groups, resize
from burnish.compress.pruning.layout import Shape, columns_of_groups
from burnish.compress.pruning.refit import LeastSquares, output_error, refit
from burnish.compress.sensitivity import Scores
from burnish.nn.forward import layers_of
from burnish.runtime import need


@dataclass(frozen=True)
class Refitted:
    """How far the refit went: squared errors of the readers' outputs, mean over calibration tokens, added over the cuts.

    Attributes:
        plain: with the weights that stay as they were.
        error: with them refitted; never more.
    """

    plain: float
    error: float


@dataclass(frozen=True)
class _Cut:
    """One matrix that loses inputs.

    Attributes:
        reader: the linear layer.
        columns: indices of the inputs that stay.
        apply: cuts the reader and what writes its inputs.
    """

    reader: Any
    columns: Any
    apply: Callable[[], None]


def narrow(
    model: Any,
    scores: Scores,
    shape: Shape,
    rows: Sequence[Sequence[int]],
    reconstruction: LeastSquares | None,
    *,
    seen: Callable[[], object] = lambda: None,
) -> Refitted | None:
    """Cut a model to a shape's channels and groups, in place; its layers stay.

    A layer is refitted on what it reads once the layers before it are cut, so that errors do not add up unseen.

    Args:
        rows: all of one length.
        seen: called after each layer.

    Returns:
        None where nothing was refitted.
    """
    torch = need("torch", extra="compress")
    plain, error = 0.0, 0.0
    walk = None if reconstruction is None else LayerWalk(model, rows)
    with torch.no_grad():
        for index, layer in enumerate(layers_of(model)):
            cuts = list(_cuts(layer, index, model.config, scores, shape))
            if reconstruction is not None and walk is not None:
                with watched(
                    {str(at): cut.reader for at, cut in enumerate(cuts)}, lambda x_TI: x_TI.T @ x_TI
                ) as inputs:
                    walk.through(walk.hidden, index, index)
                grams = inputs.means()
                for at, cut in enumerate(cuts):
                    before, after = _refit(cut, grams[str(at)][0], reconstruction)
                    plain, error = plain + before, error + after
            for cut in cuts:
                cut.apply()
            if walk is not None:
                walk.step(index)
            seen()
    resize(model, ffn_channels=shape.ffn_channels, kv_groups=shape.kv_groups)
    return None if plain == 0 else Refitted(plain, error)


def _refit(cut: _Cut, gram_II: Any, how: LeastSquares) -> tuple[float, float]:
    """Refit a reader's columns that stay; give the error of a plain cut and its own."""
    weight_OI = cut.reader.weight.detach()
    plain_OS, new_OS = weight_OI[:, cut.columns], refit(weight_OI, gram_II, cut.columns, how.ridge_frac)
    errors = [output_error(weight_OI, each, gram_II, cut.columns) for each in (plain_OS, new_OS)]
    cut.reader.weight[:, cut.columns] = new_OS
    return errors[0], errors[1]


def _cuts(layer: Any, index: int, config: Any, scores: Scores, shape: Shape) -> Iterator[_Cut]:
    """Give what of a layer is cut: its FFN, its attention, both or neither."""
    now = Shape.of(config)
    if shape.ffn_channels < now.ffn_channels:
        kept = best(scores.ffn_F[index], shape.ffn_channels)
        yield _Cut(layer.mlp.down_proj, kept, partial(cut_channels, layer, kept))
    if shape.kv_groups < now.kv_groups:
        kept = best(scores.kv_K[index], shape.kv_groups)
        columns = columns_of_groups(config, kept)
        yield _Cut(layer.self_attn.o_proj, columns, partial(cut_groups, layer, config, kept))
