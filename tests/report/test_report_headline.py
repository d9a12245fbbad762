from pathlib import Path

import pytest
from quickstart_chain import quickstart
from sealed_chain import Chain, number, spread

from burnish.artifacts import Artifact
from burnish.report.headline import plain_text
from burnish.report.view import View, read_view


def view_of(artifacts: tuple[Artifact, ...]) -> View:
    return read_view(artifacts, title="t", price_per_hour=0.1, currency="USD")


def test_the_headline_says_what_was_made_and_what_it_changed(tmp_path: Path) -> None:
    view = view_of(quickstart(tmp_path).passed())
    assert plain_text(view.headline) == (
        "A model with 135 million parameters, tuned on 402,188 tokens and compressed to 8.0 bits a weight, now writes "
        "4.4× as many tokens per second, is 3.9× smaller on disk, and labels 91.6 % of the unseen records right "
        "(95 % interval 88.8 – 93.7 %), up from 51.4 %."
    )
    assert plain_text(view.caveat).strip() == "None of 14 figures got worse; 1 changed within noise."


def test_what_got_worse_is_said_first_and_in_full(tmp_path: Path) -> None:
    view = view_of(quickstart(tmp_path, is_worse=True).passed())
    said = plain_text(view.headline)
    assert "28 % fewer tokens per second" in said
    assert "labels 40.2 % of the unseen records right (95 % interval 36.0 – 44.6 %), down from 51.4 %" in said
    caveat = plain_text(view.caveat)
    assert caveat.startswith("✗ Worse than before: accuracy (−11.2 points); F1 (−6.6 points); bits per byte")
    assert "cost of a million output tokens (+38.5 %)" in caveat
    assert "✗ 3 of 208 served requests failed." in caveat


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            1.30,
            1.31,
            "predicts the domain's text at 1.310 bits/byte (95 % interval 1.290 – 1.330), 1.300 before, which",
        ),
        (1.30, 1.10, "at 1.100 bits/byte (95 % interval 1.080 – 1.120), down from 1.300"),
        (1.30, 1.50, "at 1.500 bits/byte (95 % interval 1.480 – 1.520), up from 1.300"),
    ],
)
def test_without_a_task_metric_the_headline_speaks_of_the_text(
    tmp_path: Path, before: float, after: float, said: str
) -> None:
    chain = Chain(tmp_path)
    for label, value in (("score_model", before), ("score_served", after)):
        evidence = (spread("domain_bits_per_byte", value, 0.02, "bits/byte", 50, "bootstrap"),)
        chain.seal(label, f"burnish.evaluate.score.{label}", "report", evidence)
    assert said in plain_text(view_of(chain.passed()).headline)


@pytest.mark.parametrize(
    ("tokens_per_s", "half", "said"),
    [
        (102.0, 5.0, "writes tokens as fast as before within noise"),
        (108.0, 0.1, "writes 8 % more tokens per second"),
        (20.0, 0.1, "writes 80 % fewer tokens per second"),
    ],
)
def test_speed_is_said_in_the_words_that_fit(tmp_path: Path, tokens_per_s: float, half: float, said: str) -> None:
    chain = Chain(tmp_path)
    loads = (("generate.load_generate", 100.0), ("latency.load_served", tokens_per_s))
    for name, value in loads:
        evidence = (spread("throughput_tokens_per_s", value, half, "tokens/s", 50, "wall time"),)
        chain.seal(name, f"burnish.evaluate.{name}", "report", evidence)
    assert said in plain_text(view_of(chain.passed()).headline)


def test_a_run_that_measured_nothing_on_both_sides_says_so(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.seal("base", "burnish.train.base.take_base", "model", (number("num_parameters", 5000, "1"),))
    view = view_of(chain.passed())
    assert plain_text(view.headline) == "A model with 5,000 parameters. Nothing was measured both before and after."
    assert view.caveat == ()


def test_a_model_that_grew_is_called_larger(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.seal("base", "burnish.train.base.take_base", "model", (number("size_bytes", 100, "bytes"),))
    chain.seal("grown", "burnish.compress.export.write.export", "model", (number("size_bytes", 250, "bytes"),))
    view = view_of(chain.passed())
    assert plain_text(view.headline) == "A model, compressed, now is 2.5× larger on disk."
    assert plain_text(view.caveat) == "✗ Worse than before: size on disk (2.5× higher). "
