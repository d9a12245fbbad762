"""Rows as tensors on the device, sent there without making it wait, and the forward pass over them.

Where several models read the same row, or steps are short, what `hidden_at` sends and waits for at each call shows.

Legend: T tokens of a row, P positions that count, D width.
"""

from dataclasses import dataclass
from typing import Any

from burnish.learn.packing import IGNORED, Row
from burnish.nn import varlen
from burnish.nn.forward import decoder_of
from burnish.runtime import need

_MIN_CHOSEN_FRAC = 0.9  # above it all positions are taken, so that compiled code meets one shape


@dataclass(frozen=True)
class RowTensors:
    """A packed row on a model's device.

    Attributes:
        ids_1T: token ids.
        positions_1T: restarting at 0 with each example.
        index_P: positions that count; None where nearly all do, and then P is T.
        labels_P: what each of them predicts, or `IGNORED`.
        weights_P: what its loss counts, float32; 0 where ignored.
        borders: where examples lie, for packed attention; the row is said to be the longest, since each other length
            would be another program, of both models.
    """

    ids_1T: Any
    positions_1T: Any
    index_P: Any
    labels_P: Any
    weights_P: Any
    borders: dict[str, Any]

    def at_chosen(self, hidden_1TD: Any) -> Any:
        """Give the hidden states of the positions that count, (P, D)."""
        return hidden_1TD[0] if self.index_P is None else hidden_1TD[0].index_select(0, self.index_P)


def row_tensors(row: Row, place: Any) -> RowTensors:
    """Send a row to a device."""
    torch = need("torch", extra="train")
    labels = torch.tensor(row.labels)
    weights = torch.tensor(row.weights)
    index = (labels != IGNORED).nonzero()[:, 0]
    is_most = len(index) >= _MIN_CHOSEN_FRAC * len(labels)
    if not is_most:
        labels, weights = labels[index], weights[index]
    borders = varlen.packed(row.positions, "cpu") | {"max_length_q": 1 << (len(row.ids) - 1).bit_length()}

    def sent(tensor: Any) -> Any:
        return tensor.pin_memory().to(place, non_blocking=True) if torch.device(place).type == "cuda" else tensor

    return RowTensors(
        sent(torch.tensor([row.ids])),
        sent(torch.tensor([row.positions])),
        None if is_most else sent(index),
        sent(labels),
        sent(weights),
        {name: sent(value) if hasattr(value, "shape") else value for name, value in borders.items()},
    )


def read_row(model: Any, row: RowTensors) -> Any:
    """Run a decoder over a row; give its last hidden states, normalised for the head, (1, T, D)."""
    decoder = decoder_of(model)
    borders = row.borders if varlen.is_varlen(decoder.config) else {}
    return decoder(input_ids=row.ids_1T, position_ids=row.positions_1T, use_cache=False, **borders).last_hidden_state
