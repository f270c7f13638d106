"""The one thread that computes: it answers some questions, then writes a token of every text under way, and so on.

Texts of a model are written side by side, one step a token for all of them (continuous batching): one joins as soon
as its prompt is read, and leaves when it ends. A prompt is read by itself, and the number of columns of a step is a
multiple of `COLUMNS_TOGETHER`, so that what a text becomes does not depend on the others.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.generation.filters import FILTERS, OF_TEXT
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.sampler import draw, uniform_numbers
from lstmlm.generation.texts import Continuation
from lstmlm.models.backbone import BackboneState, join_states
from lstmlm.models.cells.cell import map_state
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import next_log_probabilities
from lstmlm.serving.prompts import Namer, Token
from lstmlm.serving.requests import Limits

COLUMNS_TOGETHER = 16
"""Products of matrices round otherwise for other numbers of rows."""

ENGINE = "engine"
"""What its thread is called."""

STOP_SECONDS = 1.0
"""For what is under way when nobody waits for it any more."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Piece:
    """What a text has grown by."""

    text: str
    tokens: list[Token]
    n_tokens: int
    finish_reason: str | None
    """None while the text goes on."""


class Column:
    """One text that is being written.

    Args:
        continuation: Turns tokens into text.
        prompt_ids: The tokens that it goes on from, for filters that consider them.
        options: How to draw.
        seed: The same gives the same text.
        tell: Is called in the server's loop with each piece, or with the exception that has ended the text.
        is_streamed: Whether every token is told; else all of it at the end.
        namer: Names tokens where log-probabilities are wanted.
        n_top: How many of the likeliest tokens to name.
        offset: How many characters there are before the text, and before its first token.
    """

    def __init__(
        self,
        continuation: Continuation,
        prompt_ids: Sequence[int],
        options: SamplingOptions,
        seed: int,
        tell: Callable[[Piece | Exception], None],
        *,
        is_streamed: bool,
        namer: Namer | None,
        n_top: int,
        offset: tuple[int, int],
    ) -> None:
        self.options = options
        self.seed = seed
        self.tell = tell
        self.position = 0
        """Tokens drawn so far."""
        self.drawn_ids: list[int] = []
        self._prompt_ids = prompt_ids
        self.is_over = False
        self.is_cancelled = False
        self.continuation = continuation
        self._is_streamed = is_streamed
        self._namer = namer
        self._n_top = n_top
        self._n_untold = 0
        self._text = ""
        self._text_end, self._token_start = offset
        self._tokens: list[Token] = []

    @property
    def text_ids(self) -> list[int]:
        """Of the prompt, which many choices may share, and of what is drawn; none where no filter considers them."""
        is_considered = any(getattr(self.options, name) is not None for name in OF_TEXT)
        return [*self._prompt_ids, *self.drawn_ids] if is_considered else []

    def take(self, token_id: int, log_probability: float, row: Float[Tensor, " vocab"]) -> Piece | None:
        """Take the next token; return what is to be told by now."""
        self.position += 1
        self._n_untold += 1
        self.drawn_ids.append(token_id)
        if self._namer is not None:
            self._name(self._namer, token_id, log_probability, row)
        self._text += self.continuation.feed(token_id)
        is_last = self.position == self.options.max_tokens
        if is_last:
            self._text += self.continuation.flush()
        if self.continuation.is_over:
            return self._end("stop")
        if is_last:
            return self._end("length")
        if not self._is_streamed or not self._text:
            return None
        return self._piece(None)

    def _name(self, namer: Namer, token_id: int, log_probability: float, row: Float[Tensor, " vocab"]) -> None:
        text, top = namer.name(token_id), None
        if self._n_top:
            best = row.topk(min(self._n_top, len(row)))
            pairs = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
            top = namer.top(token_id, text, log_probability, pairs)
        self._tokens.append(Token(text, self._token_start, -log_probability, top))
        self._token_start += len(namer.feed(token_id))

    def _end(self, reason: str) -> Piece:
        self.is_over = True
        return self._piece(reason)

    def _piece(self, finish_reason: str | None) -> Piece:
        """Take what has not been told: tokens that are whole in the text told, and all where no stop text ends it."""
        text, self._text = self._text, ""
        self._text_end += len(text)
        ends = [*(token.offset for token in self._tokens[1:]), self._token_start]
        told = [
            token
            for token, end in zip(self._tokens, ends, strict=False)
            if token.offset < self._text_end >= end or finish_reason == "length"
        ]
        self._tokens = self._tokens[len(told) :]
        n_tokens, self._n_untold = self._n_untold, 0
        return Piece(text, told, n_tokens, finish_reason)


class Batch:
    """The texts of one model that are written side by side."""

    def __init__(self, model: LanguageModel, unk_id: int | None, n_columns: int) -> None:
        self._model = model
        self._unk_id = unk_id
        self._n_columns = n_columns
        self._waiting: deque[tuple[Column, BackboneState]] = deque()
        self._columns: list[Column] = []
        self._state = model.initial_state(0)

    def __len__(self) -> int:
        """How many texts are under way."""
        return len(self._columns) + len(self._waiting)

    @property
    def columns(self) -> list[Column]:
        """The texts under way; not those that are over."""
        return [column for column in (*self._columns, *(column for column, _ in self._waiting)) if not column.is_over]

    @property
    def n_running(self) -> int:
        """How many of them are being written; not those that are over and leave with the next step."""
        return sum(not column.is_over for column in self._columns)

    @property
    def n_waiting(self) -> int:
        """How many of them wait for a column."""
        return len(self._waiting)

    def begin(
        self, columns: Sequence[Column], following: Float[Tensor, "1 vocab"], state: BackboneState
    ) -> list[tuple[Column, Piece | Exception]]:
        """Begin texts that go on from one place, with their first token."""
        told = self._draw(columns, following.expand(len(columns), -1), columns[0].continuation.next_ids)
        self._waiting.extend((column, state) for column in columns if not column.is_over)
        return told

    def step(self) -> list[tuple[Column, Piece | Exception]]:
        """Write one token of every text; return what is to be told."""
        self._change_columns()
        if not self._columns:
            return []
        tokens = [column.drawn_ids[-1] for column in self._columns]
        n_idle = len(self._state[0][0]) - len(tokens)
        inputs = torch.tensor([tokens + [0] * n_idle])
        following, self._state = next_log_probabilities(self._model, inputs, self._state)
        return self._draw(self._columns, following[: len(tokens)])

    def _change_columns(self) -> None:
        """Let texts leave that are over or that nobody waits for, and others join."""
        kept = [index for index, column in enumerate(self._columns) if not (column.is_over or column.is_cancelled)]
        joining: list[tuple[Column, BackboneState]] = []
        while self._waiting and len(kept) + len(joining) < self._n_columns:
            column, state = self._waiting.popleft()
            if not column.is_cancelled:
                joining.append((column, state))
        if len(kept) == len(self._columns) and not joining:
            return
        n_idle = -(len(kept) + len(joining)) % COLUMNS_TOGETHER
        staying = tuple(map_state(lambda tensor: tensor[kept], layer) for layer in self._state)
        self._state = join_states([staying, *(state for _, state in joining), self._model.initial_state(n_idle)])
        self._columns = [*(self._columns[index] for index in kept), *(column for column, _ in joining)]

    def _draw(
        self, columns: Sequence[Column], following: Float[Tensor, "columns vocab"], only: Sequence[int] | None = None
    ) -> list[tuple[Column, Piece | Exception]]:
        """Draw a token for each column: at once for all that draw alike."""
        alike: dict[Any, list[int]] = {}
        for index, column in enumerate(columns):
            alike.setdefault(tuple(map(vars(column.options).get, FILTERS)), []).append(index)
        told: list[tuple[Column, Piece | Exception]] = []
        for indices in alike.values():
            group = [columns[index] for index in indices]
            rows = following if len(indices) == len(columns) else following[indices]
            uniform = uniform_numbers((column.seed, column.position) for column in group)
            try:
                texts = [column.text_ids for column in group]
                sampled = draw(rows, uniform, group[0].options, self._unk_id, texts, only)
            except Exception as error:  # noqa: BLE001 - whoever waits for these texts is told
                for column in group:
                    column.is_over = True
                told += [(column, error) for column in group]
                continue
            drawn = zip(group, sampled.ids.tolist(), sampled.log_probabilities.tolist(), rows, strict=True)
            pieces = ((column, column.take(*of_column)) for column, *of_column in drawn)
            told += [(column, piece) for column, piece in pieces if piece is not None]
        return told


class Engine:
    """The thread that computes. Its methods are called in the server's loop, but for `begin`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._questions: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._batches: dict[LanguageModel, Batch] = {}
        self._wake = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name=ENGINE, daemon=True)

    def start(self) -> None:
        """Begin, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End with the question or step that is under way, or before it where that takes long."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        self._thread.join(STOP_SECONDS)

    @property
    def n_running(self) -> int:
        """How many texts are being written."""
        return sum(batch.n_running for batch in list(self._batches.values()))

    @property
    def n_waiting(self) -> int:
        """How many questions and texts wait for their turn."""
        n_questions = sum(not future.done() for _, future in list(self._questions))
        return n_questions + sum(batch.n_waiting for batch in list(self._batches.values()))

    async def ask(self, question: Callable[[], Answer]) -> Answer:
        """Call something in the thread, and return what it returns. Raises TimeoutError if its turn does not come."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        with self._wake:
            self._questions.append((question, future))
            self._wake.notify()
        async with asyncio.timeout(self._limits.answer_seconds):
            return await future

    def begin(
        self,
        model: LanguageModel,
        unk_id: int | None,
        columns: Sequence[Column],
        following: Float[Tensor, "1 vocab"],
        state: BackboneState,
    ) -> None:
        """Begin texts that go on from one place; called within a question."""
        batch = self._batches.setdefault(model, Batch(model, unk_id, self._limits.columns))
        self._tell(batch.begin(columns, following, state))

    def _run(self) -> None:
        with torch.inference_mode():
            while self._has_work():
                # Those that come at once begin at once, and nobody keeps the texts waiting for long.
                for _ in range(min(len(self._questions), COLUMNS_TOGETHER)):
                    if self._is_stopping:
                        return
                    self._answer(*self._questions.popleft())
                for model, batch in list(self._batches.items()):
                    try:
                        self._tell(batch.step())
                    except Exception as error:  # noqa: BLE001 - whoever waits for these texts is told
                        del self._batches[model]
                        self._tell([(column, error) for column in batch.columns])

    def _has_work(self) -> bool:
        """Wait for something to do; False once the thread is to end."""
        with self._wake:
            self._wake.wait_for(lambda: self._is_stopping or self._questions or any(self._batches.values()))
            return not self._is_stopping

    def _answer(self, question: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            return
        try:
            answer = question()
        except Exception as error:  # noqa: BLE001 - the request's, which is told
            self._call(partial(_settle, future, None, error))
        else:
            self._call(partial(_settle, future, answer, None))

    def _tell(self, told: Sequence[tuple[Column, Piece | Exception]]) -> None:
        if told:
            self._call(partial(_tell_all, told))

    def _call(self, function: Callable[[], None]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)


def _settle(future: "asyncio.Future[Any]", answer: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(answer)
    else:
        future.set_exception(error)


def _tell_all(told: Sequence[tuple[Column, Piece | Exception]]) -> None:
    for column, piece in told:
        column.tell(piece)
