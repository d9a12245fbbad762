import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from quickstart_chain import quickstart
from sealed_chain import Chain, number, spread

from burnish.artifacts import Artifact, Measurement
from burnish.artifacts.digest import plain
from burnish.errors import RecipeError
from burnish.report.page import ReportConfig, write_report
from burnish.runtime import Run
from burnish.runtime.events import Warned
from burnish.runtime.workdir import fresh

CONFIG = ReportConfig(title="A small model on headlines")
EVIL = "</script></style><script>alert('x')</script><img src=https://example.com/x.png onerror=alert(1)>"


class Outline(HTMLParser):
    """Collect what matters of a page: the tags that are open, ids, and every attribute that could load something."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "srcset", "action", "data", "poster") and not (value or "").startswith("#"):
                self.loads.append(value or "")
            assert not name.startswith("on"), f"{tag} runs script by {name}"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def write(chain: Chain, artifacts: tuple[Artifact, ...], config: ReportConfig = CONFIG) -> str:
    write_report(fresh(chain.root / "report", "report", chain.log), *artifacts, config=config)
    return (chain.root / "report/payload/index.html").read_text(encoding="utf-8")


def sections(page: str) -> set[str]:
    return set(re.findall(r'<section id="(\w+)"', page))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return quickstart(tmp_path_factory.mktemp("chain"))


def test_the_page_is_whole_and_loads_nothing(chain: Chain) -> None:
    page = write(chain, chain.passed())
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.loads == ["data:,"]
    assert not {"script", "img", "iframe", "object", "embed"} & set(outline.tags)
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert sections(page) == {"compare", "records", "training", "parity", "lineage", "machine", "methods"}
    targets = set(re.findall(r'href="#(\w+)"', page))
    assert targets <= set(outline.ids)


def test_what_data_says_is_text_and_never_markup(tmp_path: Path) -> None:
    chain = quickstart(tmp_path, training_steps=8)
    facts = {"handovers": [], "examples": [{"prompt": EVIL, "base": EVIL, "tuned": EVIL, "served": "\ud800"}]}
    chain.seal(
        "parity",
        "burnish.evaluate.parity.check_parity",
        "report",
        (replace(number("ready_s", 1), how=EVIL, unit=EVIL),),
        files=(("parity.json", json.dumps(facts)),),
        environment={"hardware": {"cpu": EVIL}, "software": {EVIL: EVIL}},
    )
    chain.seal("clean", "burnish.data.clean.clean", "dataset", _curated(EVIL), parents="collect")
    page = write(chain, chain.passed(), ReportConfig(title=EVIL, price_note=EVIL))
    outline = Outline(page)
    assert outline.open == []
    assert outline.loads == ["data:,"]
    assert not {"script", "img"} & set(outline.tags)
    assert page.count("&lt;script&gt;") > 8


def _curated(rule: str) -> tuple[Measurement, ...]:
    return (number("records_in", 9), number("records_kept", 8), number(f"dropped_{rule}_records", 1))


def test_each_artifact_may_be_missing(chain: Chain) -> None:
    for label in chain.artifacts:
        Outline(write(chain, chain.passed(without=label)))
    assert "training" not in sections(write(chain, chain.passed(without="tuned")))
    assert "parity" not in sections(write(chain, chain.passed(without="parity")))
    curation = "collect general clean copies select split"
    assert "records" not in sections(write(chain, chain.passed(without=curation)))
    assert sections(write(chain, ())) == set()


def test_a_section_without_its_payload_file_is_left_out(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.seal("tuned", "burnish.train.finetune.finetune", "model")
    chain.seal("parity", "burnish.evaluate.parity.check_parity", "report")
    assert sections(write(chain, chain.passed())) == {"lineage", "machine"}


def test_the_page_stays_small_whatever_the_run(tmp_path: Path) -> None:
    chain = quickstart(tmp_path, training_steps=20_000, examples=400)
    facts = {"examples": [{"prompt": "x" * 300_000, "base": "y" * 300_000}] * 50}
    chain.seal(
        "parity",
        "burnish.evaluate.parity.check_parity",
        "report",
        files=(("parity.json", json.dumps(facts)),),
    )
    assert len(write(chain, chain.passed()).encode()) < 500_000


def test_equal_artifacts_give_equal_bytes(chain: Chain) -> None:
    assert write(chain, chain.passed()) == write(chain, chain.passed())


def test_the_table_is_there_as_json(chain: Chain) -> None:
    write(chain, chain.passed())
    report = json.loads((chain.root / "report/payload/report.json").read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in report["table"]}
    assert report["title"] == CONFIG.title
    assert report["concurrency"] == {"before": 8, "after": 8}
    assert rows["size_bytes"] | {"metric": ""} == {
        "metric": "",
        "name": "size_bytes",
        "group": "Footprint",
        "unit": "bytes",
        "before": 538090408,
        "after": 138204112,
        "before_interval": None,
        "after_interval": None,
        "change": 138204112 - 538090408,
        "is_better": True,
        "verdict": "better",
    }
    assert rows["accuracy_frac"]["after_interval"] == pytest.approx([0.8884, 0.9373], abs=1e-3)
    assert [gate["is_passed"] for gate in report["gates"]] == [True, True, True]
    assert len(rows) == 14


def test_loads_that_do_not_compare_are_called_out(tmp_path: Path) -> None:
    chain = quickstart(tmp_path, training_steps=8)
    chain.seal(
        "served_load", "burnish.evaluate.latency.load_served", "report", (number("concurrency", 32, "requests"),)
    )
    page = write(chain, chain.passed())
    assert "concurrency 8 before and 32 after; speeds do not compare" in page
    assert any("speeds do not compare" in event.message for event in chain.events if isinstance(event, Warned))


def test_a_torn_training_log_is_drawn_as_far_as_it_goes_and_said(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    log = '{"step": 1, "loss_nats": 2.0}\n{"step": 2, "loss_nats": NaN}\n[3]\n{"step": 4, "loss_nats": 1.0}\n{"ste'
    chain.seal("tuned", "burnish.train.finetune.finetune", "model", files=(("training_log.jsonl", log),))
    page = write(chain, chain.passed())
    assert "training loss from 2.00 at step 1 to 1.00 nats at step 4" in page
    assert "3 lines of training_log.jsonl held no finite loss and were left out" in page


def test_two_machines_are_told_apart(tmp_path: Path) -> None:
    chain = quickstart(tmp_path, training_steps=8)
    other = {"hardware": {"cpu": "another processor", "num_cores": 64}, "software": {"python": "3.12"}}
    chain.seal("base", "burnish.train.base.take_base", "model", environment=other)
    page = write(chain, chain.passed())
    assert "The run used 2 environments" in page
    assert "Made here: Base model." in page


def test_a_failed_gate_is_said_at_the_top(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    row = {
        "name": "merged_to_compressed",
        "top1_agreement_frac": 0.7,
        "kl_nats": 0.9,
        "num_positions": 50,
        "floor": 0.9,
    }
    files = (("parity.json", json.dumps({"handovers": [row], "template_tokens_equal_frac": 0.5})),)
    chain.seal("parity", "burnish.evaluate.parity.check_parity", "report", files=files)
    page = write(chain, chain.passed())
    assert "✗ Failed: top-1 agreement, merged → compressed." in page
    assert "failed</span>" in page
    assert "Chat-template tokens are equal for 50.0\u00a0% of the prompts" in page


def test_the_stage_runs_under_run_and_the_template_is_part_of_its_lineage(chain: Chain, tmp_path: Path) -> None:
    run = Run(chain.store, chain.log)
    sealed = run(write_report, *chain.passed(), config=CONFIG)
    assert sealed.kind == "report"
    assert sealed.measurement("worse_rows").value == 0
    assert sealed.measurement("page_bytes").value == (sealed.payload / "index.html").stat().st_size
    assert run(write_report, *chain.passed(), config=CONFIG).digest == sealed.digest
    other = tmp_path / "template.html"
    other.write_text("{{ config.title }}", encoding="utf-8")
    again = run(write_report, *chain.passed(), config=replace(CONFIG, template=other))
    assert again.digest != sealed.digest
    assert (again.payload / "index.html").read_text(encoding="utf-8") == CONFIG.title
    assert "content_sha256" in plain(CONFIG)["template"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"title": " "}, "title is empty"),
        ({"title": "t", "price_per_hour": -1.0}, "price_per_hour is -1.0; it must be a finite number, at least 0"),
        ({"title": "t", "price_per_hour": float("inf")}, "price_per_hour is inf"),
        ({"title": "t", "currency": "dollars"}, "currency is 'dollars'; it must be three capital letters"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)):
        ReportConfig(**values)  # type: ignore[arg-type]


def test_hand_overs_without_floors_have_no_gate_columns(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    row = {"name": "tuned_to_merged", "top1_agreement_frac": 1.0, "kl_nats": 0.0, "num_positions": 50}
    files = (("parity.json", json.dumps({"handovers": [row], "template_tokens_equal_frac": 1.0})),)
    chain.seal("parity", "burnish.evaluate.parity.check_parity", "report", files=files)
    page = write(chain, chain.passed())
    assert "tuned → merged" in page
    assert ">Floor</th>" not in page
    assert "no gate" not in page


def test_tasks_stand_beside_themselves_trained_alone(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    scores = {"tone": (0.81, 0.70, 0.157, 0.02), "topic": (0.60, 0.72, -0.167, 0.05), "script": (0.9, 0.89, 0.011, 0.1)}
    evidence = [number("validation_loss_nats", 0.5, "nats")]
    for name, (score, alone, gain, half) in scores.items():
        evidence += [
            number(f"accuracy_frac_{name}", 0.8, "1"),
            spread(f"macro_f1_frac_{name}", score, 0.03, "1", 9, ""),
        ]
        evidence += [number(f"control_macro_f1_frac_{name}", alone, "1")]
        evidence += [spread(f"macro_f1_gain_frac_{name}", gain, half, "1", 9, "")]
    chain.seal("tuned", "burnish.train.multitask.multitask", "model", tuple(evidence))
    page = write(chain, chain.passed()).replace("\u00a0", " ")
    assert Outline(page).open == []
    assert re.findall(r'<section id="(\w+)"', page.split("<main")[1]) == ["tasks", "lineage", "machine", "methods"]
    assert "macro-F1 of 81.0 % on tone, 60.0 % on topic, 90.0 % on script." in page
    assert "✗ Worse than trained alone: topic." in page.replace("</span>", "")
    report = json.loads((chain.root / "report/payload/report.json").read_text())
    assert [row["verdict"] for row in report["tasks"]] == ["better", "worse", "within noise"]


def test_tasks_without_controls_have_no_gain(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    evidence = (number("accuracy_frac_tone", 0.8, "1"), spread("macro_f1_frac_tone", 0.7, 0.03, "1", 9, ""))
    chain.seal("tuned", "burnish.train.multitask.multitask", "model", evidence)
    page = write(chain, chain.passed())
    assert "tasks" in sections(page)
    assert "Macro-F1 alone" not in page
