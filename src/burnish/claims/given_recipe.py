"""Recipes that a claim runs as they stand in the checkout, and what they made: what is claimed is what a user runs."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from burnish.artifacts import Artifact
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill

T = TypeVar("T")


def given_recipe(kind: type[T], path: str, **changes: Any) -> T:
    """Fill a recipe from its file, its profile left out.

    Args:
        path: from the root of the checkout.
        **changes: in place of the file's values at its top.

    Raises:
        RecipeError: there is no such file here.
    """
    from omegaconf import OmegaConf

    if not Path(path).is_file():
        raise RecipeError(f"there is no {path} in {Path.cwd()}; run this claim in the project's checkout")
    written = OmegaConf.create({**dict(OmegaConf.load(path)), **changes})
    values: Any = OmegaConf.to_container(written, resolve=True)
    values.pop("defaults", None)
    return fill(kind, values)


def parents_of(run: Run, page: Artifact) -> list[Artifact]:
    """Open what a page was made from."""
    return [run.store.open(parent.digest) for parent in page.manifest.parents]


def made_by(stage: Callable[..., Any], artifacts: Iterable[Artifact]) -> list[Any]:
    """Give those that a stage made, in their order."""
    name = f"{stage.__module__}.{stage.__qualname__}"
    return [each for each in artifacts if each.stage == name]
