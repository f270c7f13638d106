"""The training stream: token ids laid out as columns, read window by window. No token is left out."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from lstmlm.config.data import DataOptions
from lstmlm.corpus.datasets import EncodedText
from lstmlm.errors import DataError
from lstmlm.metrics import NO_TARGET


@dataclass(frozen=True)
class Window:
    """A (bptt, batch) slice of the stream."""

    inputs: Int[Tensor, "time batch"]
    """Tokens to read."""

    targets: Int[Tensor, "time batch"]
    """The token after each of them; `NO_TARGET` in the last row of a column that is one token shorter."""

    n_tokens: int
    """How many targets there are to predict."""


class TrainingStream:
    """A token sequence cut into `batch_size` columns of almost equal length, read side by side in windows.

    Every token is a target exactly once an epoch. The first token of a column is predicted from the token before it in
    the text; that of the whole text from `start_id`. Windows are views: nothing is copied.
    """

    def __init__(self, text: EncodedText, start_id: int, options: DataOptions) -> None:
        """Lay out `text`.

        Raises:
            DataError: the text has fewer than batch_size x (bptt + 1) tokens.
        """
        self.bptt = options.bptt
        self.n_tokens = len(text.tokens)
        self.batch_size = batch_size = options.batch_size
        needed = batch_size * (options.bptt + 1)
        if self.n_tokens < needed:
            raise DataError(
                f"{text.name}: {self.n_tokens} tokens, but batch_size {batch_size} × (bptt {options.bptt} + 1) needs "
                f"{needed}. Lower data.batch_size."
            )
        # Column c predicts tokens[starts[c]:starts[c + 1]]; lengths differ by one at the most.
        starts = np.arange(batch_size + 1) * self.n_tokens // batch_size
        self.n_rows = int(np.diff(starts).max())
        preceded = np.concatenate([[start_id], text.tokens])
        columns = np.full((self.n_rows + 1, batch_size), NO_TARGET, dtype=np.int64)
        for column, (start, end) in enumerate(pairwise(starts)):
            columns[: end - start + 1, column] = preceded[start : end + 1]
        self._columns = torch.from_numpy(columns)
        self._n_ended = int((np.diff(starts) < self.n_rows).sum())

    @property
    def n_windows(self) -> int:
        """Number of windows of an epoch; the last may be shorter than the others."""
        return -(-self.n_rows // self.bptt)

    def window(self, index: int) -> Window:
        """Return the window number `index` of an epoch, from 0."""
        first, last = index * self.bptt, min((index + 1) * self.bptt, self.n_rows)
        targets = self._columns[first + 1 : last + 1]
        n_ended = self._n_ended if last == self.n_rows else 0
        return Window(self._columns[first:last], targets, targets.numel() - n_ended)
