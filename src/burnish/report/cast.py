"""The cast: which sealed artifact plays which part in the report, told by the stage that made it."""

from dataclasses import dataclass

from burnish.artifacts import Artifact, Measurement

_COLLECT = "burnish.data.collect.collect"
_TUNED = tuple(f"burnish.train.{name}.{name}" for name in ("finetune", "pretrain", "converse", "prefer", "multitask"))

STAGE_WORDS = {
    _COLLECT: "Collected records",
    "burnish.data.clean.clean": "Cleaned records",
    "burnish.data.find_copies.find_copies": "Pairs of copies",
    "burnish.data.select.select": "Selected records",
    "burnish.data.semantic.deduplicate_semantic": "Without copies in other words",
    "burnish.data.grammar.gate_grammar": "Grammatical records",
    "burnish.data.domain.gate_domain": "Records of the domain",
    "burnish.data.adversarial.gate_adversarial": "Without adversarial samples",
    "burnish.data.model_quality.gate_model_quality": "Records a model finds good",
    "burnish.data.knowledge.inject_knowledge": "With facts",
    "burnish.data.augment.augment": "With copies in other words",
    "burnish.data.balance.balance": "Balanced classes",
    "burnish.data.mixture.mix": "Weighed mixture",
    "burnish.data.split.split": "Train, validation, test",
    "burnish.train.base.take_base": "Base model",
    "burnish.train.examples.take_examples": "Examples",
    "burnish.train.finetune.finetune": "Tuned model",
    "burnish.train.pretrain.pretrain": "Tuned model",
    "burnish.train.converse.converse": "Tuned model",
    "burnish.train.prefer.prefer": "Tuned model",
    "burnish.train.multitask.multitask": "Tuned model",
    "burnish.train.search.search": "Searched values",
    "burnish.train.merge.merge": "Merged model",
    "burnish.compress.vocabulary.trim_vocabulary": "Trimmed vocabulary",
    "burnish.compress.prune.prune": "Pruned model",
    "burnish.compress.student.make_student": "Student",
    "burnish.compress.distill.distill": "Distilled model",
    "burnish.compress.distill.control_tune": "Control",
    "burnish.compress.sparsify.sparsify": "Sparse model",
    "burnish.compress.quantize.quantize": "Quantised model",
    "burnish.compress.qat.qat": "Model trained on its grid",
    "burnish.compress.export.write.export": "Exported model",
    "burnish.evaluate.text_quality.compare_on_text": "Quality on text",
    "burnish.evaluate.served_text.read_text": "Base model, text read",
    "burnish.evaluate.served_text.compare_served": "Served model, text kept",
    "burnish.evaluate.exported.check_export": "Exported model, parity",
    "burnish.evaluate.speculative.measure_draft": "Student as draft",
    "burnish.evaluate.score.score_model": "Base model, quality",
    "burnish.evaluate.score.score_tuned": "Tuned model, quality",
    "burnish.evaluate.score.score_served": "Served model, quality",
    "burnish.evaluate.parity.check_parity": "Hand-over parity",
    "burnish.evaluate.latency.load_served": "Served model, load",
    "burnish.evaluate.race.race": "Base and answer in turn",
    "burnish.evaluate.generate.load_generate": "Base model, load",
}


@dataclass(frozen=True)
class Cast:
    """Hold the artifacts by part; a part that the run did not make is None and its section is left out.

    Attributes:
        served_quality: of the model behind its server; of the tuned model in memory where nothing was served.
    """

    everyone: tuple[Artifact, ...]
    collect: Artifact | None
    clean: Artifact | None
    select: Artifact | None
    split: Artifact | None
    base: Artifact | None
    base_quality: Artifact | None
    tuned: Artifact | None
    merged: Artifact | None
    quantized: Artifact | None
    compressed: Artifact | None
    parity: Artifact | None
    baseline_load: Artifact | None
    served_load: Artifact | None
    served_quality: Artifact | None

    @property
    def result(self) -> Artifact | None:
        """Give the model that the run is about: the last one made."""
        return self.compressed or self.merged or self.tuned


def assign(artifacts: tuple[Artifact, ...]) -> Cast:
    """Give every artifact its part.

    Where several artifacts come from `collect` (the domain's records and a general text), the one that
    the cleaning read is the domain's.
    """
    by_stage: dict[str, Artifact] = {}
    for artifact in artifacts:
        by_stage.setdefault(artifact.stage, artifact)
    clean = by_stage.get("burnish.data.clean.clean")
    read = {parent.digest for parent in clean.manifest.parents} if clean else set()
    collects = [artifact for artifact in artifacts if artifact.stage == _COLLECT]
    return Cast(
        everyone=artifacts,
        collect=next((artifact for artifact in collects if artifact.digest in read), by_stage.get(_COLLECT)),
        clean=clean,
        select=by_stage.get("burnish.data.select.select"),
        split=by_stage.get("burnish.data.split.split"),
        base=by_stage.get("burnish.train.base.take_base"),
        base_quality=by_stage.get("burnish.evaluate.score.score_model"),
        tuned=next((by_stage[stage] for stage in _TUNED if stage in by_stage), None),
        merged=by_stage.get("burnish.train.merge.merge"),
        quantized=by_stage.get("burnish.compress.quantize.quantize"),
        compressed=by_stage.get("burnish.compress.export.write.export"),
        parity=by_stage.get("burnish.evaluate.parity.check_parity"),
        baseline_load=by_stage.get("burnish.evaluate.generate.load_generate"),
        served_load=by_stage.get("burnish.evaluate.latency.load_served"),
        served_quality=by_stage.get(
            "burnish.evaluate.score.score_served", by_stage.get("burnish.evaluate.score.score_tuned")
        ),
    )


def words_for(stage: str) -> str:
    """Name an artifact by its stage; a stage this report does not know is named after its function."""
    return STAGE_WORDS.get(stage, stage.rsplit(".", 1)[-1].replace("_", " ").capitalize())


def look(artifact: Artifact | None, name: str) -> Measurement | None:
    """Find a measurement, or None where the artifact or the measurement is not there."""
    if artifact is None:
        return None
    return next((m for m in artifact.evidence if m.name == name), None)


def count(artifact: Artifact | None, name: str) -> int | None:
    """Find a count, or None."""
    found = look(artifact, name)
    return None if found is None else round(found.value)
