"""How words and sentences that are no text by themselves are read, so that a model meets them as its own text."""

from collections.abc import Callable
from typing import NamedTuple

from lstmlm.config.data import EosPlace


class Reading(NamedTuple):
    """What makes words a sentence, and sentences a text."""

    join: str = " "
    """What stands between words that are given by themselves."""
    eos: EosPlace = "line"
    """Where `<eos>` stood in what the model has learnt."""
    spell: Callable[[str], str] = str
    """Writes a word as the model has learnt to read it; of some nothing may be left."""

    @property
    def line_end(self) -> str:
        """What ends a sentence that is a text of its own: where lines did not end, the blank that stood there."""
        return " " if self.eos == "never" else "\n"


AS_LINES = Reading()
"""Words with a blank between them, a sentence a line."""
