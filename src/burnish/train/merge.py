"""Merge an adapter into its base model."""

from dataclasses import dataclass

from burnish.artifacts import Draft, Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.nn.attention import attention_of
from burnish.nn.weights import copy_tokenizer, open_model, quiet_transformers, save_model
from burnish.runtime import Workdir, need
from burnish.train.base import folder_bytes


@dataclass(frozen=True)
class MergeConfig:
    """Nothing to choose: merging is done in float32 into the full base, whatever the training's precision was.

    An adapter that was trained on a base in 8 or 4 bits (`Lora.base_bits`) is added to the full base all the same: what
    it learnt to make up for the base's rounding stays in it.
    """


def merge(out: Workdir, base: ModelArtifact, adapter: ModelArtifact, *, config: MergeConfig) -> Draft[ModelArtifact]:
    """Add the adapter to the base's weights and save the result as a model that any tool opens.

    Raises:
        RecipeError: the adapter was trained on another base.
    """
    del config
    peft = need("peft", extra="train")
    trained_on = adapter.manifest.parents[0].digest
    if trained_on != base.digest:
        raise RecipeError(
            f"the adapter was trained on base {trained_on[:12]}, not on {base.digest[:12]}; pass that one"
        )
    with out.progress("merging", total=None, unit="layers"), quiet_transformers():
        model = peft.PeftModel.from_pretrained(
            open_model(base.payload, precision="fp32", sees=attention_of(adapter.payload)), adapter.payload
        )
        save_model(model.merge_and_unload(), out.payload)
    copy_tokenizer(base.payload, out.payload)
    size = Measurement("size_bytes", folder_bytes(out.payload), "bytes", 1, how="all files, float32 safetensors")
    return Draft(ModelArtifact, (size,), f"{base.digest[:12]} with adapter {adapter.digest[:12]} merged in, float32.")
