"""SVG by hand: an element tree, so that every text and attribute is escaped by its serialiser."""

from dataclasses import dataclass, field
from xml.etree import ElementTree as ET


@dataclass
class Drawing:
    """Draw in pixels from the upper left corner; colours come from the page's style by class.

    Args:
        width: of the view box; the page may scale it.
        height: of the view box.
        label: what the drawing shows, in words, for those who do not see it.
        css: class of the svg element.
    """

    width: float
    height: float
    label: str
    css: str = ""
    root: ET.Element = field(init=False)

    def __post_init__(self) -> None:
        self.root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {_number(self.width)} {_number(self.height)}",
                "role": "img",
                "aria-label": self.label,
                "class": self.css,
            },
        )

    def path(self, data: str, css: str, hover: str = "", **attributes: str) -> None:
        """Draw a path; `hover` is shown by the browser under the pointer."""
        self._add("path", css, hover, {"d": data, **attributes})

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """Draw a straight line."""
        self._add("line", css, "", _numbers(x1=x1, y1=y1, x2=x2, y2=y2))

    def rect(self, x: float, y: float, width: float, height: float, css: str, hover: str = "") -> None:
        """Draw a rectangle."""
        self._add("rect", css, hover, _numbers(x=x, y=y, width=width, height=height))

    def circle(self, x: float, y: float, radius: float, css: str, hover: str = "") -> None:
        """Draw a circle."""
        self._add("circle", css, hover, _numbers(cx=x, cy=y, r=radius))

    def text(self, x: float, y: float, content: str, css: str, anchor: str = "start") -> None:
        """Write text whose baseline is at `y`."""
        element = ET.SubElement(self.root, "text", {**_numbers(x=x, y=y), "class": css, "text-anchor": anchor})
        element.text = content

    def markup(self) -> str:
        """Give the SVG as markup for an HTML page."""
        return ET.tostring(self.root, encoding="unicode")

    def _add(self, tag: str, css: str, hover: str, attributes: dict[str, str]) -> None:
        element = ET.SubElement(self.root, tag, {**attributes, "class": css})
        if hover:
            ET.SubElement(element, "title").text = hover


def polyline(points: list[tuple[float, float]]) -> str:
    """Give the path data of straight lines through points."""
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _numbers(**values: float) -> dict[str, str]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
