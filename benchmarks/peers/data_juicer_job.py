"""data-juicer's local executor with the operators of its own text recipes, two languages in one pass.

Its rules are lighter than Gopher's: no n-gram repetition below ten characters, no stop words. Filters and deduplication
are two runs of the executor on one dataset in memory, so that what each of them drops can be told apart.
"""

import os
import shutil
from pathlib import Path
from typing import Any

# One worker, no cache of earlier runs, no network: all must be set before Hugging Face's libraries are imported.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")

import yaml
from data_juicer.config import init_configs
from data_juicer.core import DefaultExecutor
from reading import Reading, arguments, write_filtered

# Bounds are the operators' defaults but for the repetition of words, whose default (half of all ten-word runs) lets tables
# of one line pass. No tokenizer models: they would be downloaded.
FILTERS: list[dict[str, Any]] = [
    {"fix_unicode_mapper": {}},
    {"clean_email_mapper": {"repl": "<EMAIL>"}},
    {"clean_ip_mapper": {"repl": "<IP>"}},
    {"text_length_filter": {"min_len": 50}},
    {"alphanumeric_filter": {"min_ratio": 0.25}},
    {"special_characters_filter": {"max_ratio": 0.6}},
    {"character_repetition_filter": {"rep_len": 10, "max_ratio": 0.5}},
    {"word_repetition_filter": {"rep_len": 10, "max_ratio": 0.3}},
]

# `space`, the default, would give a Chinese text hardly any shingle, and texts without one all count as copies.
DEDUPLICATORS: list[dict[str, Any]] = [
    {"document_deduplicator": {}},
    {"document_minhash_deduplicator": {"tokenization": "character", "window_size": 5, "jaccard_threshold": 0.7}},
]


def main() -> None:
    """Run the job and write its reading."""
    reading = Reading()
    corpus, out = arguments(__doc__)
    work = out / "work"
    # Kept apart for each run: a second run of an equal recipe would read the first one's results from this cache.
    os.environ["HF_HOME"] = str(work / "hf")
    filtered = _execute(FILTERS, corpus, out, work / "filters").run(skip_export=True)
    _execute(DEDUPLICATORS, corpus, out, work / "copies").run(dataset=filtered, skip_return=True)
    reading.stop()
    (out / "kept" / "part-000_stats.jsonl").unlink()  # the exporter puts its statistics beside the texts
    write_filtered(out, filtered["id"])
    shutil.rmtree(work)
    reading.report(
        out,
        ("py-data-juicer", "datasets", "ftfy", "numpy", "pyarrow"),
        {"process": FILTERS + DEDUPLICATORS},
    )


def _execute(process: list[dict[str, Any]], corpus: Path, out: Path, work: Path) -> DefaultExecutor:
    work.mkdir(parents=True)
    recipe = {
        "project_name": "curation",
        "dataset_path": str(corpus / "jsonl"),
        "export_path": str(out / "kept" / "part-000.jsonl"),
        "work_dir": str(work),
        "ds_cache_dir": str(work / "cache"),
        "np": 1,
        "use_cache": False,
        "skip_op_error": False,
        # `np` alone is not heeded: an operator starts a process for each core unless it is told otherwise.
        "process": [{name: {**options, "num_proc": 1}} for step in process for name, options in step.items()],
    }
    path = work / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return DefaultExecutor(init_configs(["--config", str(path)]))


if __name__ == "__main__":
    main()
