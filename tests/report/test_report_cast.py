import ast
import importlib.util
from pathlib import Path

import pytest
from sealed_chain import Chain, number

from burnish.report.cast import STAGE_WORDS, assign, count, look, words_for


@pytest.mark.parametrize("stage", STAGE_WORDS)
def test_every_stage_that_the_report_knows_is_there(stage: str) -> None:
    """A stage that moves without the report would lose its section in silence."""
    module, name = stage.rsplit(".", 1)
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_an_unknown_stage_is_named_after_its_function() -> None:
    assert words_for("my.own.prune_heads") == "Prune heads"


def test_what_was_not_measured_is_none_and_not_zero(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    base = chain.seal("base", "burnish.train.base.take_base", "model", (number("size_bytes", 7.0, "bytes"),))
    cast = assign((base,))
    assert cast.base == base
    assert cast.compressed is None
    assert count(cast.base, "size_bytes") == 7
    assert look(cast.base, "num_parameters") is None
    assert count(cast.compressed, "size_bytes") is None
