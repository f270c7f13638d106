"""How far a model has read a text: kept, copied and continued, at the cost of what is new."""

from collections.abc import Callable

from lstmlm.api.arguments import require_number, require_text
from lstmlm.corpus.reading.decoding import normalized
from lstmlm.generation.growing_text import GrowingText
from lstmlm.generation.next_word import NextWords, find_following_words


class State:
    """What a model knows after it has read the beginning of a text; `Model.state` makes one.

    The beginning is read after the implicit `<eos>` from the zero state, as every text is. To read another word takes a
    step for each of its tokens, however long the text is by then. Fed in parts, a text is what it would be as a whole.
    """

    def __init__(self, text: GrowingText, beginning: Callable[[str], str], last: str = "") -> None:
        self._text = text
        self._beginning = beginning
        """As `TrainedModel.beginning`."""
        self._last = last
        """The last character that was fed, which may be the first half of a line end."""

    def feed(self, text: str) -> None:
        """Read on. A word may go on in what is fed next; so a blank is due between two words.

        Raises:
            DataError: it is no text.
        """
        self._text.feed(self._beginning(normalized_after(self._last, require_text("text", text))))
        self._last = text[-1:] or self._last

    def next_words(self, k: int = 10) -> NextWords:
        """Find the `k` most likely next words; the last one that was read counts as complete. See `Model.next_words`.

        Raises:
            ConfigError: `k` is no number above 0.
            DataError: the model's tokens do not tell where words end.
        """
        return find_following_words(self._text, require_number("k", k))

    def copy(self) -> "State":
        """Return another state with the same beginning, to be continued by itself; nothing is read again."""
        return State(self._text.copy(), self._beginning, self._last)


def normalized_after(last: str, piece: str) -> str:
    """Return a piece of a text by the rules of a file; `last` is the character before it, "" at the beginning."""
    return normalized(last + piece)[len(normalized(last)) :]
