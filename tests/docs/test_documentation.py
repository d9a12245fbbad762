"""The documentation names real commands, real files and real recipe keys."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it brings no types
from click.testing import CliRunner

from burnish.cli.main import burnish
from burnish.cli.recipes import compose_recipe
from burnish.loop.chain import ChainRecipe
from burnish.loop.compress_chain import CompressRecipe
from burnish.runtime.recipes import fill

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in {*re.findall(r"^burnish (\w+)", text, re.MULTILINE), *re.findall(r"`burnish (\w+)", text)}:
        result = CliRunner().invoke(burnish, [command, "--help"])
        assert result.exit_code == 0, f"{page.name} names `burnish {command}`"
    for script in re.findall(r"\bscripts/[\w./]+\w", text):
        assert (ROOT / script).exists(), f"{page.name} names {script}"


def test_the_overrides_that_the_readme_shows_fill() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^burnish run recipes/quickstart\.yaml +(\S+=\S+)", text, re.MULTILINE)
    assert shown
    for override in shown:
        fill(ChainRecipe, compose_recipe(ROOT / "recipes/quickstart.yaml", (override,)).values)


def test_the_recipes_that_the_documentation_shows_fill(tmp_path: Path) -> None:
    """A YAML block of a how-to, laid over the quickstart, is a recipe."""
    for page in (ROOT / "docs/how-to").glob("*.md"):
        if page.name == "compress.md":
            continue
        for values in _blocks(page):
            quickstart = yaml.safe_load((ROOT / "recipes/quickstart.yaml").read_text(encoding="utf-8"))
            del quickstart["defaults"]
            recipe = tmp_path / "shown.yaml"
            recipe.write_text(yaml.safe_dump(quickstart | {k: v for k, v in values.items() if k != "train"}))
            for source in values.get("collect", {}).get("sources", []):
                if "path" in source:
                    (tmp_path / Path(source["path"]).name).touch()
            filled = fill(ChainRecipe, compose_recipe(recipe, ()).values)
            assert filled.train.task.labels


def test_the_compression_that_the_documentation_shows_fills() -> None:
    blocks = _blocks(ROOT / "docs/how-to/compress.md")
    assert blocks
    for values in blocks:
        shown = tuple(
            f"{key}={yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()}"
            for key, value in values.items()
        )
        filled = fill(CompressRecipe, compose_recipe(ROOT / "recipes/compress/sparse.yaml", shown).values)
        assert filled.quantize is not None


def _blocks(page: Path) -> list[dict[str, Any]]:
    return [
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
