"""Templates: how a page is rendered from its jinja2 template and what all pages share."""

from pathlib import Path

SHARED = Path(__file__).with_name("shared.html")


def render_template(page: Path, shared: Path, **values: object) -> bytes:
    """Render a page as UTF-8; its template may import `shared` as "shared.html". Values that are no markup are escaped."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader({"shared.html": shared.read_text(encoding="utf-8")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.from_string(page.read_text(encoding="utf-8")).render(**values)
    return text.encode("utf-8", errors="replace")  # a lone surrogate in a model's answer becomes "?"
