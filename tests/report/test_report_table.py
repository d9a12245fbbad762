import io
from pathlib import Path

import pytest
from quickstart_chain import quickstart
from sealed_chain import Chain, number

from burnish.report.table import print_table, rows_for_terminal
from burnish.report.view import as_json, read_view


@pytest.fixture
def report(tmp_path: Path) -> dict[str, object]:
    view = read_view(quickstart(tmp_path).passed(), title="[red]t[/red]", price_per_hour=0.1, currency="USD")
    return as_json(view)


def test_the_terminal_says_what_the_page_says(report: dict[str, object]) -> None:
    rows = {row[0]: row[1:] for row in rows_for_terminal(report)}
    assert rows["Accuracy"] == ("51.4 % (47.0 – 55.8)", "91.6 % (88.8 – 93.7)", "+40.2 points", "✓ better")
    assert rows["Size on disk"] == ("538 MB", "138 MB", "3.9× lower", "✓ better")
    assert rows["Bits per byte, general text"][3] == "≈ within noise"


def test_a_wide_terminal_shows_intervals_and_a_narrow_one_says_where_they_are(report: dict[str, object]) -> None:
    wide, narrow = io.StringIO(), io.StringIO()
    print_table(report, file=wide, width=120)
    print_table(report, file=narrow, width=80)
    assert "88.8 – 93.7" in wide.getvalue()
    assert "(88.8" not in narrow.getvalue().split("A model")[0]
    assert "intervals are in the report" in narrow.getvalue()
    assert max(len(line) for line in narrow.getvalue().splitlines()) <= 80


def test_markup_in_a_title_is_text(report: dict[str, object]) -> None:
    printed = io.StringIO()
    print_table(report, file=printed, width=100)
    assert "[red]t[/red]" in printed.getvalue()


def test_a_side_that_was_not_measured_is_a_dash(tmp_path: Path) -> None:
    chain = quickstart(tmp_path)
    view = read_view(chain.passed(without="served_quality"), title="t", price_per_hour=0.1, currency="USD")
    rows = {row[0]: row[1:] for row in rows_for_terminal(as_json(view))}
    assert rows["Accuracy"] == ("51.4 % (47.0 – 55.8)", "–", "", "– one side only")


def test_a_training_that_measured_nothing_else_has_no_table(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.seal("base", "burnish.train.base.take_base", "model", (number("size_bytes", 5e8, "bytes"),))
    chain.seal(
        "tuned",
        "burnish.train.converse.converse",
        "model",
        (number("validation_loss_nats", 3.42, "nats"),),
        parents="base",
    )
    view = read_view(chain.passed(), title="Dialogues", price_per_hour=0.1, currency="USD")
    printed = io.StringIO()
    print_table(as_json(view), file=printed, width=200)
    assert printed.getvalue().splitlines() == [
        "Dialogues",
        "A model, tuned, with a validation loss of 3.42 nats at the end. Nothing was measured both before and after.",
    ]
    assert [node.words for node in view.nodes if node.is_trunk] == ["Base model", "Tuned model"]
    assert view.result_words == "tuned model"
