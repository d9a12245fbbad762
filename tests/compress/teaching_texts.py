"""Text records of two languages, for stages that teach."""

from burnish.artifacts import DatasetArtifact
from burnish.runtime import Run
from conftest import sealed_records

DOCUMENTS = (
    "Sea levels are rising faster than expected, a study finds. " * 6,
    "央行宣布下调存款准备金率，释放长期资金。" * 5,
    "Short.",
    "The area man defends what he imagines the constitution to be. " * 4,
)


def text_data(run: Run) -> DatasetArtifact:
    """Seal them; all but the first are held out too."""
    rows = [{"id": f"d{n}", "text": text, "label": None} for n, text in enumerate(DOCUMENTS)]
    return sealed_records(run, {"train": rows, "validation": rows[1:], "test": rows})
