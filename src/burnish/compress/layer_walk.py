"""Walk: rows of tokens on their way through a decoder, one layer at a time, so that layers can change as they pass.

Legend: T tokens of a row, D model width.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from burnish.nn.forward import decoder_of, hidden_at, layers_of
from burnish.runtime import need


class _Stop(Exception):  # nothing went wrong
    """The first layer has been reached."""


class LayerWalk:
    """Hold the rows' hidden states before a layer.

    Args:
        model: a transformers causal language model.
        rows: token ids, all rows of one length.

    Attributes:
        layers: of the decoder, first one first.
        hidden: one (1, T, D) tensor a row, as the next layer gets it.
    """

    def __init__(self, model: Any, rows: Sequence[Sequence[int]]) -> None:
        self.layers = layers_of(model)
        self.norm = decoder_of(model).norm
        self.hidden: list[Any] = []
        self._options: list[Mapping[str, Any]] = []  # of each layer: mask, positions and their rotation
        hooks = [layer.register_forward_pre_hook(self._note, with_kwargs=True) for layer in self.layers]
        try:
            for row in rows:
                self._enter(model, row)
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, model: Any, row: Sequence[int]) -> None:
        torch = need("torch", extra="compress")
        nowhere = torch.zeros(len(row), dtype=torch.bool)
        try:
            with torch.no_grad():
                hidden_at(model, row, range(len(row)), nowhere)
        except _Stop:
            pass

    def _note(self, layer: Any, given: tuple[Any, ...], options: dict[str, Any]) -> None:
        if layer is self.layers[0]:
            self.hidden.append(given[0])
            if len(self.hidden) > 1:
                raise _Stop
        self._options.append(options)

    def through(self, hidden: Iterable[Any], first: int, last: int) -> list[Any]:
        """Take hidden states through layers `first` to `last`, both included; the walk itself stays where it is."""
        torch = need("torch", extra="compress")
        found = []
        with torch.no_grad():
            for state in hidden:
                for index in range(first, last + 1):
                    given = self.layers[index](state, **self._options[index])
                    state = given[0] if isinstance(given, tuple) else given
                found.append(state)
        return found

    def step(self, index: int) -> None:
        """Take the walk's own hidden states through layer `index`, as the layer is now."""
        for at, state in enumerate(self.hidden):  # one by one: the old state goes as the new one comes
            self.hidden[at] = self.through([state], index, index)[0]

    def linears(self, index: int) -> dict[str, Any]:
        """Give the linear layers of layer `index` by their names in the model."""
        torch = need("torch", extra="compress")
        return {
            f"model.layers.{index}.{name}": module
            for name, module in self.layers[index].named_modules()
            if isinstance(module, torch.nn.Linear)
        }
