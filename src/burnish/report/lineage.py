"""The lineage: every artifact by its digest, what it was made from, and what making it took."""

from dataclasses import dataclass

from burnish.artifacts import Artifact
from burnish.artifacts.manifest import Parent
from burnish.report.cast import Cast, words_for
from burnish.report.figures import show_bytes, show_seconds
from burnish.report.svg import Drawing

_ROW = 56.0
_RAIL = 100.0
_NEAR, _FAR = 78.0, 5.0  # where the shortest and the longest arc run


@dataclass(frozen=True)
class Node:
    """Hold one artifact; one that is known only as a parent has no times.

    Attributes:
        parents: positions of its parents in the list of nodes.
        is_trunk: whether the model that the run is about descends from it (or is it).
    """

    words: str
    kind: str
    digest: str
    stage: str
    parents: tuple[int, ...]
    is_trunk: bool
    seconds: float | None
    peak_memory_bytes: int | None
    seconds_frac: float = 0.0
    memory_frac: float = 0.0

    @property
    def time(self) -> str:
        """Show how long the stage took."""
        return "–" if self.seconds is None else show_seconds(self.seconds)

    @property
    def memory(self) -> str:
        """Show the stage's peak memory."""
        return "" if self.peak_memory_bytes is None else show_bytes(self.peak_memory_bytes)


def lineage(cast: Cast) -> tuple[Node, ...]:
    """List the artifacts so that parents stand above their children, in the order given where there is a choice."""
    known = {artifact.digest: artifact for artifact in cast.everyone}
    order: list[str] = []
    outside: dict[str, Parent] = {}
    for artifact in cast.everyone:
        _visit(artifact, known, outside, order)
    trunk = _ancestors(cast.result, known) if cast.result else set()
    place = {digest: index for index, digest in enumerate(order)}
    seconds = max((artifact.manifest.seconds for artifact in known.values()), default=0.0) or 1.0
    memory = max((artifact.manifest.peak_memory_bytes for artifact in known.values()), default=0) or 1
    return tuple(
        _inside(known[digest], place, seconds, memory, words=_words(known[digest], cast), is_trunk=digest in trunk)
        if digest in known
        else _outside(outside[digest], words=_words(outside[digest], cast), is_trunk=digest in trunk)
        for digest in order
    )


def rail(nodes: tuple[Node, ...]) -> str:
    """Draw an arc from every parent to its child, beside the list; the line of the model that the run is about stands out."""
    edges = [(parent, child) for child, node in enumerate(nodes) for parent in node.parents]
    longest = max((child - parent for parent, child in edges), default=1)
    drawing = Drawing(_RAIL, _ROW * len(nodes), "", "rail")
    drawing.root.attrib.pop("aria-label")
    drawing.root.attrib.pop("role")
    drawing.root.set("aria-hidden", "true")
    drawing.root.set("preserveAspectRatio", "none")
    for parent, child in sorted(edges, key=lambda edge: nodes[edge[1]].is_trunk):
        start, end = _ROW * (parent + 0.5), _ROW * (child + 0.5)
        reach = _NEAR - (_NEAR - _FAR) * (max(0, child - parent - 2) / max(1, longest - 2)) ** 0.7
        if child - parent == 1:
            data = f"M{_RAIL:g} {start:g}V{end:g}"
        else:
            bend = min(_ROW * 0.6, (end - start) / 2)
            data = (
                f"M{_RAIL:g} {start:g}C{reach:.1f} {start:g} {reach:.1f} {start:g} {reach:.1f} {start + bend:g}"
                f"V{end - bend:g}C{reach:.1f} {end:g} {reach:.1f} {end:g} {_RAIL:g} {end:g}"
            )
        css = "edge trunk" if nodes[child].is_trunk else "edge"
        hover = f"{nodes[parent].words} → {nodes[child].words}"
        drawing.path(data, css, hover, **{"data-edge": f"{parent} {child}"})
    return drawing.markup()


def _visit(artifact: Artifact, known: dict[str, Artifact], outside: dict[str, Parent], order: list[str]) -> None:
    if artifact.digest in order:
        return
    for parent in artifact.manifest.parents:
        if parent.digest in known:
            _visit(known[parent.digest], known, outside, order)
        elif parent.digest not in order:
            outside[parent.digest] = parent
            order.append(parent.digest)
    order.append(artifact.digest)


def _ancestors(artifact: Artifact, known: dict[str, Artifact]) -> set[str]:
    found = {artifact.digest}
    for parent in artifact.manifest.parents:
        found |= _ancestors(known[parent.digest], known) if parent.digest in known else {parent.digest}
    return found


def _words(made: Artifact | Parent, cast: Cast) -> str:
    """Name an artifact; a second collection beside the domain's is the general text."""
    domain = cast.collect
    is_second = domain is not None and made.stage == domain.stage and made.digest != domain.digest
    return "General text" if is_second else words_for(made.stage)


def _inside(
    artifact: Artifact, place: dict[str, int], seconds: float, memory: int, *, words: str, is_trunk: bool
) -> Node:
    manifest = artifact.manifest
    return Node(
        words=words,
        kind=artifact.kind,
        digest=artifact.digest[:12],
        stage=_short(artifact.stage),
        parents=tuple(sorted({place[parent.digest] for parent in manifest.parents})),
        is_trunk=is_trunk,
        seconds=manifest.seconds,
        peak_memory_bytes=manifest.peak_memory_bytes,
        seconds_frac=manifest.seconds / seconds,
        memory_frac=manifest.peak_memory_bytes / memory,
    )


def _outside(parent: Parent, *, words: str, is_trunk: bool) -> Node:
    return Node(words, parent.kind, parent.digest[:12], _short(parent.stage), (), is_trunk, None, None)


def _short(stage: str) -> str:
    return ".".join(stage.split(".")[-2:])
