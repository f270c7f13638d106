"""The training stream: token ids laid out as columns, read epoch by epoch in windows. No token is left out.

On a processor tokens are read where they are, such as in a memory-mapped file, when a window needs them. A GPU holds
all of them where they fit, and cuts windows itself: nothing is copied to it at each step.
"""

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor

from lstmlm.config.data import DataOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.errors import ShortTextError
from lstmlm.metrics import NO_TARGET
from lstmlm.randomness import Randomness

# Merity et al. 2018, section 4.1. The last number is not theirs: it bounds the memory that a window can take.
SHARE_OF_WHOLE_WINDOWS, LENGTH_DEVIATION, SHORTEST_WINDOW, LONGEST_EXCESS = 0.95, 5, 5, 10

CPU = torch.device("cpu")

SHARE_OF_GPU = 0.25
"""Which part of a GPU's free memory a corpus may take; a larger one stays where it is."""

TOKENS_COPIED_AT_ONCE = 1 << 24

SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32}


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

    def __init__(
        self, text: EncodedText, start_id: int, options: DataOptions, seed: int = 0, device: torch.device = CPU
    ) -> None:
        """Lay out `text`, for windows on `device`, or on the processor where it does not fit there.

        Raises:
            DataError: the text has fewer than batch_size x (bptt + 1) tokens.
        """
        self.options = options
        self.seed = seed
        self.n_tokens = len(text.tokens)
        self.batch_size = batch_size = options.batch_size
        needed = batch_size * (options.bptt + 1)
        if self.n_tokens < needed:
            most = self.n_tokens // (options.bptt + 1)
            advice = f"Lower data.batch_size to {most}." if most else "Take a longer text."
            if not most and self.n_tokens > 1:
                advice = f"Lower data.bptt to {self.n_tokens - 1} and data.batch_size to 1, or take a longer text."
            raise ShortTextError(
                f"{text.name}: {self.n_tokens} tokens, but batch_size {batch_size} × (bptt {options.bptt} + 1) needs "
                f"{needed}. {advice}"
            )
        self._tokens = _resident(text.tokens, device) if _fits(text.tokens, device) else _in_place(text.tokens)
        # Column c predicts tokens[starts[c]:starts[c + 1]]; lengths differ by one at the most.
        bounds = torch.arange(batch_size + 1) * self.n_tokens // batch_size
        lengths = bounds.diff()
        self.n_rows = int(lengths.max())
        self.n_shorter = int((lengths < self.n_rows).sum())
        self.starts, self.lengths = (numbers.to(self._tokens.device) for numbers in (bounds[:-1], lengths))
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
            drawn = [draws.randrange(length) for length in self.lengths.tolist()]
            rotation = torch.tensor(drawn, device=self.lengths.device)
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
        self, places: Int[Tensor, "time batch"]
    ) -> tuple[Int[Tensor, "time batch"], Int[Tensor, "time batch"]]:
        """Read the tokens at `places` of the text, each after the token before it."""
        inputs = self._read((places - 1).clamp(min=0)).masked_fill_(places == 0, self._start_id)
        return inputs, self._read(places)

    def _read(self, places: Int[Tensor, "time batch"]) -> Int[Tensor, "time batch"]:
        stored = self._tokens.dtype
        # torch selects signed numbers only, and is ten times slower where it need not be told along which axis.
        selected = self._tokens.view(SIGNED.get(stored, stored)).index_select(0, places.flatten())
        return selected.view(stored).long().view(places.shape)


def _fits(tokens: Integer[np.ndarray, " tokens"], device: torch.device) -> bool:
    """Return whether a GPU has room for `tokens`; a processor reads them where they are."""
    if device.type != "cuda":
        return False
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return len(tokens) * torch.int32.itemsize <= SHARE_OF_GPU * free_bytes


def _resident(tokens: Integer[np.ndarray, " tokens"], device: torch.device) -> Int[Tensor, " tokens"]:
    """Copy all `tokens` to `device`, a part at a time: they may be mapped from files larger than the memory."""
    resident = torch.empty(len(tokens), dtype=torch.int32, device=device)
    for first in range(0, len(tokens), TOKENS_COPIED_AT_ONCE):
        part = slice(first, first + TOKENS_COPIED_AT_ONCE)
        resident[part] = torch.from_numpy(tokens[part].astype(np.int32))
    return resident


def _in_place(tokens: Integer[np.ndarray, " tokens"]) -> Integer[Tensor, " tokens"]:
    """Return a view of `tokens`, which may be mapped from files."""
    with warnings.catch_warnings():
        # A tensor knows no protection against writing; nobody writes here.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(tokens))


@dataclass(frozen=True)
class Epoch:
    """One pass over the stream, window by window."""

    stream: TrainingStream

    starts: Sequence[int]
    """The first row of each window."""

    rotation: Int[Tensor, " batch"] | None
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
        rows = torch.arange(first, last, device=starts.device)[:, None]
        # Input and target turn together: a column's first token is still predicted from the one before it in the text,
        # not from the column's last.
        places = starts + (rows if self.rotation is None else (rows + self.rotation[columns]) % lengths)
        inputs, targets = stream.pairs_at(places)
        targets.masked_fill_(rows >= lengths, NO_TARGET)
        n_ended = stream.n_shorter if last == stream.n_rows else 0
        return Window(inputs, targets, (last - first) * stream.batch_size - n_ended)
