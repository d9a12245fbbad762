from pathlib import Path

import pytest
from small_chain import SmallRecipe, small_chain

from burnish.artifacts import Store
from burnish.cli.main import burnish, exit_code
from burnish.cli.run import Order, run_recipe
from burnish.cli.store import find_run, newest_runs
from burnish.errors import GateFailed


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURNISH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "line.yaml").write_text("")
    return tmp_path / "line.yaml"


def run(recipe: Path, *overrides: str) -> Path:
    run_recipe(Order(recipe, overrides, recipe.parent / "store"), SmallRecipe, small_chain)
    return find_run(recipe.parent / "store")


def type_command(*arguments: object) -> int:
    typed = [str(argument) for argument in arguments]
    return exit_code(lambda: burnish.main(typed, prog_name="burnish", standalone_mode=False))


def test_the_latest_runs_report(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe)
    run(recipe, "page.title=The second line")
    capsys.readouterr()
    assert type_command("report") == 0
    shown = capsys.readouterr().out
    assert "The second line" in shown
    assert "slope [fit]" in shown  # not taken for markup
    path = Path(shown.splitlines()[-1].removeprefix("report: "))
    assert path.read_text().startswith("<!doctype html>")


def test_a_cached_report_is_found_too_and_another_run_by_its_id(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(recipe)
    run(recipe, "page.title=Other")
    again = run(recipe)
    capsys.readouterr()
    for name in (first.name, again.name, "latest"):
        assert type_command("report", name) == 0
        assert "A line" in capsys.readouterr().out


def test_a_report_by_its_digest_and_a_copy_of_its_page(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe)
    digest = next((recipe.parent / "store" / "report").iterdir()).name
    out = recipe.parent / "report.html"
    assert type_command("report", digest[:10], "--out", out) == 0
    assert "<title>A line</title>" in out.read_text()
    assert f"copied to {out}" in capsys.readouterr().out
    assert type_command("report", digest[:10], "--out", recipe.parent / "none" / "report.html") == 1
    assert "choose another --out" in capsys.readouterr().err


def test_what_is_no_report_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe)
    digest = next((recipe.parent / "store" / "model").iterdir()).name
    assert type_command("report", digest[:10]) == 1
    assert f"model fit {digest[:12]} is no report page" in capsys.readouterr().err


def test_a_run_without_a_report_says_what_to_do(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateFailed):
        run(recipe, "min_kept_frac=1.0")
    assert type_command("report") == 1
    assert "has not come to its report; give its command again" in capsys.readouterr().err


def test_no_run_yet_is_said(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(recipe.parent / "store")
    assert type_command("report") == 1
    assert "no run yet in" in capsys.readouterr().err


def test_runs_are_found_by_an_unambiguous_start(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = run(recipe), run(recipe)
    assert newest_runs(recipe.parent / "store") == sorted([first, second], reverse=True)
    assert type_command("report", first.name[:-1]) == 0
    assert type_command("report", first.name[:4]) == 1
    assert "matches more than one run" in (shown := capsys.readouterr().err)
    assert first.name in shown


def test_the_page_opens_in_the_browser(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe)
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(url)
        return 0

    monkeypatch.setattr("click.launch", launch)
    assert type_command("report", "--open") == 0
    assert opened[0].startswith("file:///")
    assert opened[0].endswith("payload/index.html")
    monkeypatch.setattr("click.launch", lambda _url: 1)
    assert type_command("report", "--open") == 1
    assert "no browser could be started; open /" in capsys.readouterr().err
