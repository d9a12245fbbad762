"""Tuning between steps: the project's one training loop over the cut model, on running text."""

import shutil
from pathlib import Path

from burnish.artifacts import DatasetArtifact
from burnish.errors import RecipeError
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import pack
from burnish.learn.running_text import Ends, Pieces, records_with_text
from burnish.learn.task import TokenTask
from burnish.nn.compiled import compile_layers
from burnish.nn.weights import open_model, open_tokenizer, save_model
from burnish.runtime import Workdir, need

BROKEN = "broken"  # as the loop calls its folder


class Tuner:
    """Trains all weights of a model.

    Args:
        whole: folder of the model before pruning, for its tokenizer.
        split: of the dataset, whose text is learnt.
        config: num_steps are those of one tuning.
    """

    def __init__(
        self, out: Workdir, whole: Path, data: DatasetArtifact, *, split: str, config: LoopConfig, seed: int
    ) -> None:
        if config.row_tokens < 2:
            raise RecipeError(f"tuning.row_tokens is {config.row_tokens}; it must be at least 2")
        documents = Ends.of(open_tokenizer(whole), None).documents(out, split, records_with_text(data, split))
        self._pieces = Pieces(documents, row_tokens=config.row_tokens)
        self._out, self._config, self._seed = out, config, seed

    def __call__(self, source: Path, target: Path, number: int) -> int:
        """Train the model in `source` after step `number` and write it to `target`; a killed run goes on.

        Returns:
            how many steps were left out; their batches are kept in `out.snapshots`, where the others' are.
        """
        torch = need("torch", extra="compress")
        config = self._config
        place = Workdir(self._out.snapshots / f"tuning-{number}", f"{self._out.stage}.step-{number}", self._out.events)
        torch.manual_seed(self._seed)
        model = open_model(source, precision="fp32")
        if config.should_compile:
            compile_layers(model)
        seed = self._seed + number
        items = pack(self._pieces, row_tokens=config.row_tokens, seed=seed, is_filled=config.should_compile)
        fitted = fit(model, items, [], TokenTask(), config, place)
        save_model(model, target)
        fitted.write_log(target)
        if fitted.num_skipped:
            kept = self._out.snapshots / BROKEN / f"tuning_{number}"
            shutil.copytree(place.payload / BROKEN, kept, dirs_exist_ok=True)
        return fitted.num_skipped
