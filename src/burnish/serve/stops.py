"""Stop strings in a text that comes in pieces."""

from collections.abc import Sequence


class StopFinder:
    """Let text through up to the first stop string, holding back what may become the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.is_found = False

    def add(self, text: str) -> str:
        """Take a piece; give what is certain not to belong to a stop string."""
        if not self._stops or not text:
            return text
        text = self._held + text
        # The first one that is whole, and of those the longest: the same however the text is cut.
        found = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            self.is_found, self._held = True, ""
            return text[: min(found)[1]]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Give what is held back: the completion has ended without a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Count the characters at the end of `text` with which `stop` begins."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
