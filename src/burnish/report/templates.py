"""Templates: how a page is rendered from its jinja2 template and what all pages share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.errors import RecipeError

if TYPE_CHECKING:
    from markupsafe import Markup

DESK, PHONE = 940.0, 327.0
SHARED = Path(__file__).with_name("shared.html")


@dataclass(frozen=True)
class PageConfig:
    """Choose how a page looks.

    Attributes:
        title: of the page.
        template: the page's jinja2 template; its content is part of the lineage.
        style: the template of what all pages share, head and style; likewise.
    """

    title: str
    template: Path
    style: Path = SHARED

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise RecipeError("title is empty; give the report a title")


def render_template(config: PageConfig, **values: object) -> bytes:
    """Render a page as UTF-8; its template may import the style as "shared.html". Values that are no markup are escaped.

    Args:
        config: is in the template under this name.
        **values: likewise.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader({"shared.html": config.style.read_text(encoding="utf-8")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.from_string(config.template.read_text(encoding="utf-8"))
    return page.render(config=config, **values).encode("utf-8", errors="replace")  # a lone surrogate becomes "?"


def at_both_widths(draw: Callable[[float], str], desk_width: float = DESK) -> "Markup":
    """Draw a chart twice, for a desk and for a phone, so that its text keeps its size; the style shows one of them.

    Args:
        draw: gives a chart of that width as SVG, whose text is escaped.
    """
    from markupsafe import Markup

    wide, narrow = draw(desk_width), draw(PHONE)
    return Markup(f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>')  # noqa: S704  # svg escapes
