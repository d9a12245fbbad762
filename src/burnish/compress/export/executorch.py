"""Write a decoder as an ExecuTorch program, for phones and other small devices.

The program reads a whole row at once and keeps no cache: it scores text, and generates only as fast as it can read the
row again for each token. Weights are float32, for XNNPACK's kernels.
"""

from pathlib import Path

from burnish.compress.export.source import Source, Written
from burnish.errors import BurnishError
from burnish.nn.weights import open_model, quiet_transformers
from burnish.runtime import need

FILE = "model.pte"


def save_executorch(source: Source, out: Path) -> Written:
    """Write `model.pte` into the folder `out`: `input_ids` (1, T) -> logits (1, T, vocabulary).

    Raises:
        BurnishError: a weight lies on a grid.
    """
    if source.placed:
        name, weight = next(iter(source.placed.items()))
        raise BurnishError(
            f"{len(source.placed)} weights lie on grids, such as {name} ({weight.grid}); this export writes float32 alone: "
            "export the model from before it was quantised, or export gguf, which phones run as well"
        )
    torch = need("torch", extra="executorch")
    exir = need("executorch.exir", extra="executorch")
    xnnpack = need("executorch.backends.xnnpack.partition.xnnpack_partitioner", extra="executorch")
    model = open_model(source.folder, precision="fp32", attention="eager").cpu()

    class Logits(torch.nn.Module):  # type: ignore[name-defined, misc]  # imported when needed
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: object) -> object:
            return self.model(input_ids=input_ids, use_cache=False).logits

    max_tokens = int(source.config["max_position_embeddings"])
    row = torch.zeros(1, 8, dtype=torch.int64)
    with quiet_transformers():
        shapes = {"input_ids": {1: torch.export.Dim("tokens", min=2, max=max_tokens - 1)}}
        exported = torch.export.export(Logits().eval(), (row,), dynamic_shapes=shapes)
        lowered = exir.to_edge_transform_and_lower(exported, partitioner=[xnnpack.XnnpackPartitioner()])
    (out / FILE).write_bytes(lowered.to_executorch().buffer)
    return Written(dict.fromkeys(source.files, "float32"))
