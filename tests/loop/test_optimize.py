"""The search over the whole chain on a small model: real stages, a server that is made up except where it is marked slow."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it brings no types

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact, counted
from burnish.cli.recipes import compose_recipe
from burnish.compress.gptq import Gptq
from burnish.compress.prune import PruneConfig
from burnish.compress.quantize import QuantizeConfig
from burnish.compress.rounding import Nearest
from burnish.errors import GateFailed, RecipeError
from burnish.evaluate.latency import LoadConfig
from burnish.evaluate.race import RaceConfig
from burnish.evaluate.score import ScoreConfig
from burnish.evaluate.served_text import ServedTextConfig
from burnish.loop.optimize_chain import OptimizeRecipe, optimize_chain, search_key
from burnish.loop.optimizing import way
from burnish.loop.optimizing.budget import Budget
from burnish.loop.optimizing.quality import Judge
from burnish.runtime import Run, Workdir, code
from burnish.runtime.events import Event, Noted, Progress, StageCached, StageSealed, Warned
from burnish.runtime.recipes import fill
from conftest import HEADLINES, make_model

CALIBRATION = {"num_rows": 2, "row_tokens": 32}
LOOP = {"row_tokens": 64, "rows_per_step": 1, "num_steps": 2, "validate_every_steps": 2}
INT4 = {"kind": "quantize", "bits": {"kind": "uniform", "head": {"kind": "int_grid"}}}
FP32 = {"precision": "fp32", "teacher_precision": "fp32"}


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A recipe's values: lines in a file, a small model in a folder."""
    records = [
        {"id": f"{copy}-{at}", "text": f"{text}, {copy} times over. {text}"}
        for copy in ("once", "twice", "thrice", "often")
        for at, (text, _) in enumerate(HEADLINES)
    ]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    model = make_model(tmp_path / "model", num_hidden_layers=3, intermediate_size=128)
    return {
        "collect": {"sources": [{"kind": "files", "path": str(tmp_path / "lines.jsonl"), "id_key": "id"}]},
        "clean": {"languages": ["en", "zh"], "shingle": {"kind": "bytes", "length": 3}},
        "select": {"min_words": 1, "copies": {"min_similarity": 0.99}, "min_language_score": 0.0},
        "split": {"sizes": {"kind": "by_count", "validation": 4, "test": 6}},
        "base": {"source": {"kind": "local_model", "path": str(model)}},
        "space": {
            "ffn_frac": [0.0, 0.5],
            "layers_dropped": [0],
            "heal_steps": [0],
            "bits": {"int8": {"kind": "quantize"}, "int4": INT4},
            "prune": {"step_frac": None, "held_out_records": 2, "calibration": CALIBRATION},
            "heal": {"loop": LOOP, "validation_records": 2} | FP32,
        },
        "quality": {"kind": "text_kept", "text": {"num_documents": 4, "max_tokens": 24, "precision": "fp32"}},
        "proxy": {"num_documents": 2, "max_tokens": 16},
        "load": {"concurrency": 2, "num_requests": 4, "max_tokens": 4, "threads": 1},
        "num_rounds": 0,
        "max_seconds": None,
    }


@dataclass
class Server:
    """Stand in for the server: figures by formula, time by a clock of its own."""

    now_s: float = 0.0
    served: list[str] = field(default_factory=list)
    stops_at: int = 0
    sleeps_at: int = 0
    failed: int = 0

    def __call__(self) -> float:
        return self.now_s

    def load(self, model: ModelArtifact, config: LoadConfig) -> tuple[Measurement, ...]:
        self.now_s += 100
        self.served.append(model.digest)
        if len(self.served) == self.stops_at:
            raise KeyboardInterrupt
        if len(self.served) == self.sleeps_at:
            sys.stdout.write("asleep\n")
            sys.stdout.flush()
            time.sleep(120)
        size = model.measurement("size_bytes").value
        rows = (
            ("latency_p99_ms", size / 5000, "ms"),
            ("throughput_tokens_per_s", 1e7 / size * (config.threads or 2), "tokens/s"),
            ("memory_bytes", 1e8 + size, "bytes"),
            ("failed_requests", self.failed * (len(self.served) > 1), "1"),
        )
        return tuple(Measurement(name, value, unit, 4) for name, value, unit in rows)


SERVER = Server()


def load_served(
    out: Workdir, model: ModelArtifact, prompts: DatasetArtifact, *, config: LoadConfig
) -> Draft[ReportArtifact]:
    (out / "requests.jsonl").write_text("")
    return Draft(ReportArtifact, SERVER.load(model, config), "made up")


def compare_served(
    out: Workdir, reading: ReportArtifact, model: ModelArtifact, *, config: ServedTextConfig
) -> Draft[ReportArtifact]:
    kept = 0.96 if model.measurement("size_bytes").value > 340_000 else 0.7
    (out / "documents.jsonl").write_text("")
    return Draft(ReportArtifact, (Measurement("text_kept_frac", kept, "1", 4, kept - 0.05, kept + 0.05),), "made up")


def score_served(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, general: DatasetArtifact, *, config: ScoreConfig
) -> Draft[ReportArtifact]:
    (out / "predictions.jsonl").write_text("")
    return Draft(ReportArtifact, (counted("accuracy_frac", 90, of=100),), "made up")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A fresh made-up server in place of the real one."""
    for name, value in vars(Server()).items():
        setattr(SERVER, name, value)
    monkeypatch.setattr(way, "load_served", load_served)
    monkeypatch.setattr("burnish.runtime.run.give_memory_back", lambda: None)  # it looks through all that torch holds
    monkeypatch.setattr("burnish.loop.optimizing.quality.compare_served", compare_served)
    return SERVER


def optimized(run: Run, values: dict[str, Any], **changes: Any) -> ReportArtifact:
    return optimize_chain(run, fill(OptimizeRecipe, values | changes), clock=SERVER)


def sealed(events: list[Event]) -> list[str]:
    return [event.label for event in events if isinstance(event, StageSealed)]


def test_the_answer_is_the_best_within_the_limits_and_best_yaml_makes_it_again(
    run: Run, values: dict[str, Any], events: list[Event], server: Server, tmp_path: Path
) -> None:
    report = optimized(run, values, limits={"max_p99_ms": 1000})
    body = report.read_json("report.json")
    assert body["ended"] == "every candidate of the space was tried"
    assert [each["number"] for each in body["candidates"]] == [0, 1, 2, 3, 4]
    within = {each["number"]: each for each in body["candidates"][1:] if each["is_within"]}
    rate = {number: each["figures"]["throughput_tokens_per_s"]["value"] for number, each in within.items()}
    assert body["answer"]["number"] == max(rate, key=rate.__getitem__)
    best = within[body["answer"]["number"]]
    assert "50% of the FFN gone, int4" in best["words"]
    assert report.measurement("answer_text_kept_frac").value == best["figures"]["quality"]["value"]
    assert report.measurement("size_times").value > 1
    assert run.store.find(body["answer"]["served"]) is not None

    events.clear()
    path = tmp_path / "best.yaml"
    path.write_bytes((report.payload / "best.yaml").read_bytes())
    again = optimize_chain(run, fill(OptimizeRecipe, compose_recipe(path, ()).values), clock=server)
    assert sealed(events) == ["report"]
    assert again.read_json("report.json")["answer"] == {**body["answer"], "number": 1}


def test_base_and_answer_are_loaded_in_turn_at_the_end(
    run: Run, values: dict[str, Any], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, RaceConfig]] = []

    def raced(
        out: Workdir, first: ModelArtifact, second: ModelArtifact, data: DatasetArtifact, *, config: RaceConfig
    ) -> Draft[ReportArtifact]:
        asked.append((first.digest, second.digest, config))
        (out / "loads.json").write_text("[]")
        return Draft(ReportArtifact, (Measurement("speed_ratio", 2.51, "1", 2, 2.4, 2.6),), "made up")

    monkeypatch.setattr("burnish.loop.optimize_chain.race", raced)
    report = optimized(run, values, num_rounds=2)
    body = report.read_json("report.json")
    base, answer = (body["candidates"][number] for number in (0, body["answer"]["number"]))
    ((first, second, config),) = asked
    assert (first, second) == (base["digests"]["served"], answer["digests"]["served"])
    assert config.num_rounds == 2
    assert "2.5× the throughput (2.4 to 2.6 in 2 rounds in turn)" in body["headline"]
    assert report.measurement("throughput_times").value == 2.51
    assert body["race"][:12] in (report.payload / "index.html").read_text(encoding="utf-8")
    assert run.store.open(body["race"]).stage.endswith("raced")


def test_the_low_end_of_the_quality_decides(run: Run, values: dict[str, Any], server: Server) -> None:
    # the made-up server measures 0.96, low end 0.91, for what is large, and 0.7 for what is small
    report = optimized(run, values, limits={"min_quality": 0.9}, proxy={"margin_frac": 1.0})
    body = report.read_json("report.json")
    assert {each["shown"]["quality"] for each in body["candidates"][1:]} == {"0.960", "0.700"}
    answer = body["candidates"][body["answer"]["number"]]
    assert answer["shown"]["quality"] == "0.960"
    with pytest.raises(GateFailed, match="quality binds"):
        optimized(run, values, limits={"min_quality": 0.92}, proxy={"margin_frac": 1.0})


def test_without_a_candidate_it_says_which_limit_binds_and_by_how_much(
    run: Run, values: dict[str, Any], events: list[Event], server: Server
) -> None:
    with pytest.raises(GateFailed) as failed:
        optimized(run, values, limits={"max_memory_gb": 0.1, "max_p99_ms": 1000})
    assert failed.value.exit_code == 3
    said = str(failed.value)
    assert "None of 4 candidates meets the limits: memory binds. The nearest, number" in said
    assert "at most 0.1 GB is asked" in said
    page = Path(said.rpartition("The page: ")[2])
    assert not (page.parent / "best.yaml").exists()
    body = json.loads((page.parent / "report.json").read_text())
    assert body["answer"] is None
    assert said.startswith(body["headline"])
    # what is measured counts under other limits
    events.clear()
    optimized(run, values, limits={"max_memory_gb": 1.0})
    assert sealed(events) == ["report"]


def test_a_proxy_saves_the_server(run: Run, values: dict[str, Any], events: list[Event], server: Server) -> None:
    space = values["space"] | {"heal_steps": [2]}
    with pytest.raises(
        GateFailed, match=r"none came as far as the server: number \d .*rejected: quality .* by the proxy"
    ):
        optimized(run, values, space=space, limits={"min_quality": 5.0})
    assert len(server.served) == 1  # the base alone
    labels = sealed(events)
    assert "2 rough proxy" in labels or "3 rough proxy" in labels
    assert not any("healed" in label for label in labels)
    with pytest.raises(GateFailed, match=r"weights of .* MB, out of reach of 0.001 MB"):
        optimized(run, values, limits={"max_size_mb": 0.001})


def test_the_budget_is_kept(run: Run, values: dict[str, Any], server: Server) -> None:
    report = optimized(run, values, max_seconds=350.0)  # a load takes 100 s, all else no time at all
    assert len(server.served) == 3  # base and two candidates; a fourth load would end at 400 s
    assert "the next 2 candidates would not end in time" in report.read_json("report.json")["ended"]
    assert server.now_s == 300
    report = optimized(run, values, max_seconds=350.0)
    assert len(server.served) == 4  # the base's is cached, 200 s of candidates are spent, one more fits
    with pytest.raises(GateFailed, match="No candidate was tried: the next candidate would not end in time"):
        optimized(run, values, max_seconds=50.0, load=values["load"] | {"seed": 1})


def test_ctrl_c_goes_on_with_the_candidate_where_it_was(
    run: Run, values: dict[str, Any], events: list[Event], server: Server
) -> None:
    server.stops_at = 3
    with pytest.raises(KeyboardInterrupt):
        optimized(run, values)
    before = sealed(events)
    events.clear()
    server.stops_at = 0
    optimized(run, values)
    after = sealed(events)
    assert after[0] == "2 load"
    assert not set(before) & set(after)
    assert not any(isinstance(event, Warned) and "journal" in event.message for event in events)


KILLED = """
import json, sys
sys.path[:0] = {path!r}
from pathlib import Path
import test_optimize as made
from burnish.artifacts import Store
from burnish.loop.optimizing import quality, way
from burnish.runtime import Run
from burnish.runtime.events import EventLog
way.load_served, quality.compare_served = made.load_served, made.compare_served
made.SERVER.sleeps_at = 3
made.optimized(Run(Store(Path({store!r})), EventLog(Path({log!r}))), json.loads({values!r}))
"""


def test_kill_9_goes_on_with_the_candidate_where_it_was(
    run: Run, values: dict[str, Any], events: list[Event], server: Server, tmp_path: Path
) -> None:
    path, log = [str(Path(__file__).parent), *sys.path], str(tmp_path / "killed.jsonl")
    code = KILLED.format(path=path, store=str(run.store.root), log=log, values=json.dumps(values))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asleep\n"  # while the second candidate is served
    process.kill()
    process.communicate()
    report = optimized(run, values)
    assert sealed(events)[0] == "2 load"
    assert len(server.served) == 3  # the second, third and fourth candidate; the base and the first are sealed
    assert report.measurement("measured_candidates").value == 4


def test_what_is_lost_from_the_store_is_measured_again(run: Run, values: dict[str, Any], server: Server) -> None:
    report = optimized(run, values)
    lost = report.read_json("report.json")["candidates"][2]["digests"]["load"]
    run.store.set_aside(lost)
    again = optimized(run, values)
    assert len(server.served) == 6
    assert {each["words"] for each in again.read_json("report.json")["candidates"]} == {
        each["words"] for each in report.read_json("report.json")["candidates"]
    }


def test_tuning_healing_and_training_on_the_grid_go_the_whole_way(
    run: Run, values: dict[str, Any], events: list[Event], server: Server
) -> None:
    lora = {"kind": "pretrain", "method": {"kind": "lora", "rank": 2}, "loop": LOOP, "precision": "fp32"}
    qat = {"kind": "qat", "bits": INT4["bits"], "loop": LOOP, "validation_records": 2} | FP32
    space = values["space"] | {
        "tunings": {"lora": lora | {"validation_records": 2}},
        "ffn_frac": [0.5],
        "layers_dropped": [1],
        "heal_steps": [2],
        "bits": {"qat": qat, "float32": None},
        "threads": [None, 1],
    }
    proxy = values["proxy"] | {"margin_frac": 1.0, "healing_margin_frac": 1.0}
    report = optimized(run, values, space=space, proxy=proxy, limits={"min_quality": 0.01})
    labels = [
        event.label.split(" ", 1)[1] for event in events if isinstance(event, StageSealed) and event.label[0] == "1"
    ]
    assert labels == [
        "tuned lora", "merged", "pruned", "rough qat", "rough proxy", "healed", "qat", "proxy", "export", "load", "quality"
    ]  # fmt: skip
    assert report.measurement("measured_candidates").value == 4
    notes = [event.message for event in events if isinstance(event, Noted)]
    assert len(notes) == 4
    assert any("tuned by lora, 50% of the FFN gone, 1 layer dropped, 2 steps of healing, qat" in note for note in notes)


def test_a_labelled_task_may_be_the_quality(
    run: Run,
    values: dict[str, Any],
    events: list[Event],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    labelled = [
        {"id": f"{copy}-{at}", "text": f"{text}, {copy} times over. {text}", "label": label}
        for copy in ("once", "twice", "thrice", "often")
        for at, (text, label) in enumerate(HEADLINES)
    ]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    sources = {"sources": [values["collect"]["sources"][0] | {"label_key": "label"}]}
    monkeypatch.setattr("burnish.loop.optimizing.quality.score_served", score_served)
    score = {
        "task": {"instruction": "Which?", "labels": ["serious", "sarcastic"]},
        "test_records": 4,
        "precision": "fp32",
    }
    quality = {"kind": "task_accuracy", "score": score, "general": sources}
    report = optimized(
        run,
        values,
        collect=sources,
        quality=quality,
        limits={"min_quality": 0.5},
        proxy={"margin_frac": 1.0, "max_tokens": 16},
    )
    assert report.measurement("answer_accuracy_frac").value == 0.9
    assert "accuracy 0.900 (95 % interval" in report.read_json("report.json")["headline"]
    assert "1 proxy" in sealed(events)
    with pytest.raises(GateFailed, match="quality binds"):
        optimized(
            run,
            values,
            collect=sources,
            quality=quality,
            limits={"min_quality": 0.89},
            proxy={"margin_frac": 1.0, "max_tokens": 16},
        )


def test_a_candidate_that_cannot_be_made_is_recorded(run: Run, values: dict[str, Any], server: Server) -> None:
    space = values["space"] | {"layers_dropped": [0, 7], "ffn_frac": [0.0], "bits": {"int8": {"kind": "quantize"}}}
    rows = optimized(run, values, space=space).read_json("report.json")["candidates"]
    assert [row["state"] for row in rows] == ["base", "within", "failed"]
    assert "num_layers_dropped" in rows[2]["reason"]


def test_a_server_that_leaves_requests_is_no_answer(run: Run, values: dict[str, Any], server: Server) -> None:
    server.failed = 2
    with pytest.raises(GateFailed, match="failed: its server left 2 of 4 requests without an answer"):
        optimized(run, values, max_candidates=1)


def test_what_failed_is_tried_again_once_what_the_warning_names_is_deleted(
    run: Run, values: dict[str, Any], events: list[Event], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prune_without_memory(
        out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: PruneConfig
    ) -> Draft[ModelArtifact]:
        raise RuntimeError("CUDA out of memory")

    def warnings() -> list[str]:
        return [event.message for event in events if isinstance(event, Warned) and "failed" in event.message]

    server.failed = 2
    with monkeypatch.context() as patched:
        patched.setattr(way, "prune", prune_without_memory)
        with pytest.raises(GateFailed, match="none came as far as the server"):
            optimized(run, values)
    (warning,) = warnings()
    assert warning.startswith("candidates that failed, of 4: 4; this search does not try them again")
    folders = [Path(word.rstrip(",")) for word in warning.split() if word.startswith("/")]
    assert len(folders) == 3  # the journal, and the loads of two candidates
    events.clear()
    server.failed = 0
    with pytest.raises(GateFailed):
        optimized(run, values)
    assert warnings() == [warning]
    for folder in folders:
        shutil.rmtree(folder)
    events.clear()
    assert optimized(run, values).measurement("measured_candidates").value == 4
    assert warnings() == []
    assert not {"1 int8", "1 export"} & set(sealed(events))  # what is sealed is not made again


def test_a_search_is_named_by_the_code_of_every_stage_that_a_candidate_may_go_through(
    run: Run, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = {"method": {"kind": "lora", "rank": 2}, "loop": LOOP, "precision": "fp32"}
    task = {"instruction": "Which?", "labels": ["serious", "sarcastic"]}
    tunings = {
        "labels": lora | {"kind": "finetune", "task": task},
        "text": lora | {"kind": "pretrain"},
        "chats": lora | {"kind": "converse"},
        "pairs": lora | {"kind": "prefer"},
    }
    qat = {"kind": "qat", "bits": INT4["bits"], "loop": LOOP, "validation_records": 2} | FP32
    space = values["space"] | {"tunings": tunings, "heal_steps": [0, 2], "bits": {"int4": INT4, "qat": qat}}
    labelled = {"kind": "task_accuracy", "score": {"task": task}, "general": values["collect"]}
    for quality in (values["quality"], labelled):
        recipe = fill(OptimizeRecipe, values | {"space": space, "quality": quality, "limits": {"min_quality": 0.5}})
        dry = replace(run, is_dry=True, steps=[])
        data, base = DatasetArtifact("0" * 64, "a.stage", None), ModelArtifact("0" * 64, "a.stage", None)
        judge = Judge.prepare(partial(dry, label="base reading"), recipe.quality, recipe.proxy, base, data)
        dry.steps.clear()
        tried = way.Way(dry, recipe.space, base, data, judge, recipe.limits, recipe.load, Budget())
        for candidate in recipe.space.candidates():
            tried.attempt(1, candidate, [])
        stages = {step.stage for step in dry.steps}
        assert len(stages) == 13  # four tunings, merge, prune, distill, quantize, qat, export, load, quality and proxy
        before = search_key(recipe, judge)
        assert before == search_key(recipe, judge)
        for module in {stage.rpartition(".")[0] for stage in stages}:
            with monkeypatch.context() as patched:
                patched.setattr(code, "_read", changed(module))
                assert search_key(recipe, judge) != before, f"a change of {module} is not seen"


def changed(module: str) -> Callable[..., Any]:
    """Read modules as they are, but for one that reads as if it were edited."""
    read = code._read

    def reading(path: Path, mtime_ns: int, name: str) -> Any:
        digest, imports, texts = read(path, mtime_ns, name)
        return ("another" if name == module else digest), imports, texts

    return reading


def test_what_quality_is_measured_against_names_the_search(run: Run, values: dict[str, Any]) -> None:
    recipe = fill(OptimizeRecipe, values)
    data, base = DatasetArtifact("0" * 64, "a.stage", None), ModelArtifact("0" * 64, "a.stage", None)
    beside = [ReportArtifact(digit * 64, "a.stage", None) for digit in "12"]
    keys = {search_key(recipe, Judge(recipe.quality, recipe.proxy, base, data, each)) for each in beside}
    assert len(keys) == 2


def test_time_that_is_up_ends_a_stage_from_within(
    run: Run, values: dict[str, Any], events: list[Event], server: Server
) -> None:
    class Slow:
        """A reader that lets time pass while a candidate is quantised."""

        def __call__(self, event: Event) -> None:
            if isinstance(event, Progress) and event.task == "quantising":
                server.now_s += 200

    run.events.readers = (*run.events.readers, Slow())
    with pytest.raises(
        GateFailed, match=r"No candidate was tried: the next candidate would not end in time \(0 s of 250 s"
    ):
        optimized(run, values, max_seconds=250.0)
    assert len(server.served) == 1
    assert not any(event.label == "1 int8" for event in events if isinstance(event, StageSealed))
    run.events.readers = run.events.readers[:-1]
    optimized(run, values, max_seconds=None)
    assert any(event.label == "1 int8" for event in events if isinstance(event, StageSealed))


def test_a_dry_run_makes_nothing(run: Run, values: dict[str, Any], events: list[Event], server: Server) -> None:
    dry = replace(run, is_dry=True)
    optimized(dry, values)
    assert sealed(events) == []
    assert not any(isinstance(event, StageCached) for event in events)
    assert [step.label for step in dry.steps][-4:] == ["1 int8", "1 export", "1 load", "1 quality"]


def test_what_cannot_be_is_refused(values: dict[str, Any]) -> None:
    for changes, words in (
        ({"max_seconds": 0.0}, "budget is 0.0 s"),
        ({"max_candidates": 0}, "max_candidates is 0"),
        ({"limits": {"min_quality": -1.0}}, "limits.min_quality is -1.0"),
        ({"prefer": "price"}, "prefer is 'price'"),
        ({"proxy": {"margin_frac": 2.0}}, "margin_frac is 2.0"),
    ):
        with pytest.raises(RecipeError, match=words):
            fill(OptimizeRecipe, values | changes)


@pytest.mark.parametrize("profile", ["full", "tiny"])
def test_the_recipe_fills_and_best_yaml_of_each_candidate_gives_it_back(profile: str) -> None:
    from burnish.loop.optimizing.answer import best_recipe

    recipe = fill(
        OptimizeRecipe, compose_recipe(Path("recipes/optimize/quickstart.yaml"), (f"profile={profile}",)).values
    )
    assert recipe.seed == recipe.load.seed == 17
    assert (recipe.load.num_requests == 4) == (profile == "tiny")
    for label, rounded in recipe.space.bits.items():  # a label that names a rounding names its own
        assert isinstance(rounded, QuantizeConfig)
        assert ("gptq" in label) <= isinstance(rounded.rounding, Gptq)
        assert ("nearest" in label) <= isinstance(rounded.rounding, Nearest)
    assert (len(recipe.space.candidates()), recipe.max_candidates) == ((3, 2) if profile == "tiny" else (54, None))
    for candidate in recipe.space.candidates():
        narrowed = fill(OptimizeRecipe, yaml.safe_load(best_recipe(recipe, candidate)))
        assert narrowed == replace(recipe, space=recipe.space.only(candidate))


@pytest.mark.slow
def test_the_real_server_measures(run: Run, values: dict[str, Any]) -> None:
    report = optimize_chain(run, fill(OptimizeRecipe, values | {"max_candidates": 1, "limits": {"max_memory_gb": 4.0}}))
    body = report.read_json("report.json")
    base, int8 = (each["figures"] for each in body["candidates"])
    assert base["quality"]["value"] == pytest.approx(1.0, abs=0.03)
    assert int8["size_bytes"]["value"] < 0.6 * base["size_bytes"]["value"]
    assert int8["quality"]["low"] <= int8["quality"]["value"] <= int8["quality"]["high"]
    assert int8["latency_p99_ms"]["value"] > 0
    assert "<svg" in (report.payload / "index.html").read_text(encoding="utf-8")
