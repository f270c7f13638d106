"""The training stream: token ids laid out as columns, read epoch by epoch in windows. No token is left out.

Tokens are read where they are, such as in a memory-mapped file, when a window needs them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from lstmlm.config.data import DataOptions
from lstmlm.corpus.encoding import EncodedText
from lstmlm.errors import DataError
from lstmlm.metrics import NO_TARGET
from lstmlm.randomness import Randomness

# Merity et al. 2018, section 4.1. The last number is not theirs: it bounds the memory that a window can take.
SHARE_OF_WHOLE_WINDOWS, LENGTH_DEVIATION, SHORTEST_WINDOW, LONGEST_EXCESS = 0.95, 5, 5, 10


@dataclass(frozen=True)
class Window:
    """A (bptt, batch) slice of the stream."""

    inputs: Int[Tensor, "time batch"]
    """Tokens to read."""

    targets: Int[Tensor, "time batch"]
    """The token after each of them; `NO_TARGET` in the last row of a column that is one token shorter."""

    n_tokens: int
    """How many targets there are to predict in all columns of the window, also where it holds a part of them."""


class TrainingStream:
    """A token sequence cut into `batch_size` columns of almost equal length, read side by side in windows.

    Every token is a target exactly once an epoch, predicted from the token before it in the text; the first one from
    `start_id`. Where windows begin, and where a column does, is drawn for each epoch, from its number and `seed` alone.
    """

    def __init__(self, text: EncodedText, start_id: int, options: DataOptions, seed: int = 0) -> None:
        """Lay out `text`.

        Raises:
            DataError: the text has fewer than batch_size x (bptt + 1) tokens.
        """
        self.options = options
        self.seed = seed
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
        self.starts, self.lengths = starts[:-1], np.diff(starts)
        self.n_rows = int(self.lengths.max())
        # A plain view: indexing a memory map itself costs more, and yields maps.
        self._tokens = np.asarray(text.tokens)
        self._start_id = start_id

    def epoch(self, number: int) -> "Epoch":
        """Return the pass `number` over the stream, from 0."""
        randomness = Randomness(self.seed, number)
        starts: Sequence[int] = range(0, self.n_rows, self.options.bptt)
        if self.options.variable_bptt:
            starts = self._drawn_starts(random.Random(randomness.seed_of("data.variable_bptt")))
        rotation = None
        if self.options.partial_shuffle:
            draws = random.Random(randomness.seed_of("data.partial_shuffle"))
            rotation = np.array([draws.randrange(length) for length in self.lengths.tolist()])
        return Epoch(self, starts, rotation)

    def _drawn_starts(self, draws: random.Random) -> list[int]:
        bptt, starts, row = self.options.bptt, [], 0
        while row < self.n_rows:
            starts.append(row)
            mean = bptt if draws.random() < SHARE_OF_WHOLE_WINDOWS else bptt / 2
            length = max(SHORTEST_WINDOW, int(draws.normalvariate(mean, LENGTH_DEVIATION)))
            row += min(length, bptt + LONGEST_EXCESS)
        return starts

    def pairs_at(
        self, places: Int[np.ndarray, "time batch"]
    ) -> tuple[Int[np.ndarray, "time batch"], Int[np.ndarray, "time batch"]]:
        """Read the tokens at `places` of the text, each after the token before it."""
        inputs = self._tokens[places - 1].astype(np.int64)
        inputs[places == 0] = self._start_id
        return inputs, self._tokens[places].astype(np.int64)


@dataclass(frozen=True)
class Epoch:
    """One pass over the stream, window by window."""

    stream: TrainingStream

    starts: Sequence[int]
    """The first row of each window."""

    rotation: Int[np.ndarray, " batch"] | None
    """The place of each column that is read first; from its end the column goes on at its beginning (Press 2019)."""

    @property
    def n_windows(self) -> int:
        """Number of windows; the last may be shorter than the others."""
        return len(self.starts)

    def share_before(self, index: int) -> float:
        """Return which part of the pass is done before the window number `index`."""
        return self.starts[index] / self.stream.n_rows

    def window(self, index: int, part: int = 0, n_parts: int = 1) -> Window:
        """Read the window number `index`, from 0: all its columns, or one of `n_parts` equal parts of them, from 0."""
        stream = self.stream
        first = self.starts[index]
        last = self.starts[index + 1] if index + 1 < self.n_windows else stream.n_rows
        width = stream.batch_size // n_parts
        columns = slice(part * width, (part + 1) * width)
        starts, lengths = stream.starts[columns], stream.lengths[columns]
        rows = np.arange(first, last)[:, None]
        # Input and target turn together: a column's first token is still predicted from the one before it in the text,
        # not from the column's last.
        places = starts + (rows if self.rotation is None else (rows + self.rotation[columns]) % lengths)
        inputs, targets = stream.pairs_at(places)
        targets[rows >= lengths] = NO_TARGET
        n_ended = int((stream.lengths < stream.n_rows).sum()) if last == stream.n_rows else 0
        n_tokens = (last - first) * stream.batch_size - n_ended
        return Window(torch.from_numpy(inputs), torch.from_numpy(targets), n_tokens)
