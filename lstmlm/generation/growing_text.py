"""A text that is read while it grows: what has been read stays read, so that more of it costs its own tokens only.

How a tokenizer cuts the last word may depend on what comes next. So a text has two parts: up to the last place between
words its tokens are settled, and the state there is kept; the rest is read on from it, and anew where more text has it
cut otherwise. White space at the end is not read before the word after it, to whose first token it may belong.
"""

from copy import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.corpus.reading.white_space import cut_before_spaces
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.corpus.tokenizers.tokenizer import LAST_BETWEEN_WORDS, require_utf8
from lstmlm.models.backbone import BackboneState
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import next_log_probabilities


@dataclass(frozen=True)
class Place:
    """A place between two tokens, up to which a text has been read."""

    last_id: int
    """The token before it."""
    state: BackboneState
    log_probabilities: Float[Tensor, " vocab"]
    """Of the token after it (nats)."""


class GrowingText:
    """The beginning of a text, read after the implicit start token from the zero state; empty at first."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._settled = self._read([tokenizer.start_id], model.initial_state(1))
        self.read = self._settled
        """Where it ends, but for `unread`."""
        self.unread = ""
        """The white space at its end, if it is within a line."""
        self._open_text, self._open_ids = "", list[int]()
        """What follows the settled place, and its tokens as far as they are read."""
        self._is_line_begun = False
        """Whether the settled place is within a line."""

    def feed(self, text: str) -> None:
        """Read on. Raises DataError if the text is not UTF-8."""
        text = self._open_text + require_utf8(text)
        if settled := LAST_BETWEEN_WORDS.match(text):
            self._settled = self.read = self._read_from_settled(self._encode(settled[0]))
            self._open_ids, self._is_line_begun = [], not settled[0].endswith("\n")
            text = text[settled.end() :]
        self._open_text, self.unread = text, cut_before_spaces(text)[-1]
        ids = self._encode(text.removesuffix(self.unread))
        self.read, self._open_ids = self._read_from_settled(ids), ids

    def copy(self) -> "GrowingText":
        """Return another text with the same beginning, to be continued by itself."""
        return copy(self)

    def _encode(self, text: str) -> list[int]:
        """Ids of what follows the settled place; the line that it begins or goes on is not ended."""
        return self.tokenizer.encode_open(text, is_line_begun=self._is_line_begun)

    def _read_from_settled(self, ids: list[int]) -> Place:
        """Read tokens after the settled place, of which those that come first may have been read already."""
        n_read = len(self._open_ids)
        is_as_before = ids[:n_read] == self._open_ids
        place, unread = (self.read, ids[n_read:]) if is_as_before else (self._settled, ids)
        return self._read(unread, place.state) if unread else place

    @torch.inference_mode()
    def _read(self, ids: list[int], state: BackboneState) -> Place:
        following, state = next_log_probabilities(self.model, torch.tensor(ids)[:, None], state)
        return Place(ids[-1], state, following[0])
