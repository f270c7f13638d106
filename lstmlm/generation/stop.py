"""Where a sample ends: before the first of some texts, no part of which is let through."""

from collections.abc import Sequence


class StopBefore:
    """One sample's text on its way, which is held back as long as it may be the beginning of a stop text.

    Args:
        stops: Texts, none of them empty.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.is_over = False

    def feed(self, piece: str) -> str:
        """Take what comes next; return what can be shown of the text by now."""
        if self.is_over:
            return ""
        text = self._held + piece
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.is_over, self._held = True, ""
            return text[: min(places)]
        n_held = max((_n_begun(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]

    def flush(self) -> str:
        """Return what was held back of a text that has ended without."""
        held, self._held = self._held, ""
        return held


def _n_begun(text: str, stop: str) -> int:
    """The number of last characters of `text` with which `stop` begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
