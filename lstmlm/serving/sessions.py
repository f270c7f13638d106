"""Sessions: texts that are read once, and kept as the state after them."""

import asyncio
import secrets
import time
from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.api.state import normalized_after
from lstmlm.corpus.reading.white_space import is_white, words_of
from lstmlm.generation.growing_text import GrowingText
from lstmlm.generation.next_word import NextWords, find_following_words
from lstmlm.models.backbone import BackboneState
from lstmlm.scoring import next_log_probabilities
from lstmlm.serving.completions import Choice, Completion, new_column, require_few, seed_of
from lstmlm.serving.engine import Engine
from lstmlm.serving.errors import RequestError, busy
from lstmlm.serving.models import ServedModel, ServedModels
from lstmlm.serving.questions import next_words, require_short
from lstmlm.serving.requests import FeedRequest, Limits, SessionGenerateRequest, SessionNextRequest, SessionRequest

LINE_CHARS = 1 << 16
"""Kept of a session's last line, on which quotes, spaces and what counts as repeated depend: it may never end."""


WORD_CHARS = 1 << 10
"""Of a word that is fed in parts, of which parts are not to be told as unknown: none is longer."""


class Session:
    """A text on its way, of one model."""

    def __init__(self, name: str, served: ServedModel, text: str) -> None:
        self.name = name
        self.served = served
        self.used = time.monotonic()
        self.n_chars = 0
        self.text = GrowingText(served.model.model, served.tokenizer)
        self.line = ""
        """The end of its last one, on whose quotes and words the spaces of what follows depend."""
        self._last = ""
        """Its last character as it was given, which may be the first half of a line end."""
        self.feed(text)

    def describe(self) -> dict[str, Any]:
        """Return what its requests are answered with."""
        return {"id": self.name, "object": "session", "model": self.served.name, "n_chars": self.n_chars}

    def feed(self, text: str) -> tuple[str, str]:
        """Read on; return the word that it goes on, and what of a text has been read."""
        begun = "" if is_white(self.line[-1:] or " ") else words_of(self.line[-WORD_CHARS:])[-1]
        read = self.served.model.beginning(normalized_after(self._last, text))
        self._last = text[-1:] or self._last
        self.text.feed(read)
        self.n_chars += len(read)
        self.line = (self.line + read).rpartition("\n")[2][-max(LINE_CHARS, len(self.text.unread)) :]
        return begun, read

    def find_next_words(self, k: int) -> tuple[NextWords, str]:
        """Find what follows; return it with the line that it follows, as the next question may feed more."""
        return find_following_words(self.text, k), self.line

    def begin(self, engine: Engine, completion: Completion, request: SessionGenerateRequest) -> None:
        """Begin a text that goes on from here."""
        listener, n_before = completion.listener(0), self.n_chars - len(self.line)
        line_ids = self.served.tokenizer.encode_prompt(self.line)
        column = new_column(self.served, request, self.line, line_ids, seed_of(request), listener, n_before)
        completion.choices.append(Choice("", [], column))
        if completion.is_cancelled:  # meanwhile
            return
        engine.begin(
            self.served.model.model, self.served.tokenizer.unk_id, [column], *self._place(column.continuation.opening)
        )

    def _place(self, opening: str) -> tuple[Float[Tensor, "1 vocab"], BackboneState]:
        """Return what follows the opening of the last line, and the state there: white space at its end is read."""
        place, tokenizer = self.text.read, self.served.tokenizer
        ids = tokenizer.encode_prompt(opening[len(self.line) - len(self.text.unread) :])
        if not ids:
            return place.log_probabilities[None], place.state
        return next_log_probabilities(self.served.model.model, torch.tensor(ids)[:, None], place.state)


class Sessions:
    """All of them; each method answers a path."""

    def __init__(self, engine: Engine, models: ServedModels, limits: Limits) -> None:
        self._engine = engine
        self._models = models
        self._limits = limits
        self._by_name: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        self._forget()
        return len(self._by_name)

    async def create(self, request: SessionRequest) -> dict[str, Any]:
        """`POST /v1/sessions`."""
        self._require_room()
        served = self._models.find(request.model)
        await require_short(served, request.text, self._limits)
        session = await self._engine.ask(partial(Session, secrets.token_urlsafe(16), served, request.text))
        self._require_room()  # others may have come meanwhile
        self._by_name[session.name] = session
        return {**session.describe(), **await session.served.warnings(normalized_after("", request.text))}

    def _require_room(self) -> None:
        if len(self) >= self._limits.sessions:
            message = f"{self._limits.sessions:,} sessions are open. Delete one: DELETE /v1/sessions/ID"
            raise busy(message, "too_many_sessions")

    def describe(self, name: str) -> dict[str, Any]:
        """`GET /v1/sessions/{id}`."""
        return self._find(name).describe()

    def delete(self, name: str) -> dict[str, Any]:
        """`DELETE /v1/sessions/{id}`."""
        del self._by_name[self._find(name).name]
        return {"id": name, "object": "session", "deleted": True}

    async def feed(self, name: str, request: FeedRequest) -> dict[str, Any]:
        """`POST /v1/sessions/{id}/feed`."""
        session = self._find(name)
        await require_short(session.served, request.text, self._limits)
        begun, read = await self._engine.ask(partial(session.feed, request.text))
        return {**session.describe(), **await session.served.warnings(read, begun)}

    async def next(self, name: str, request: SessionNextRequest) -> dict[str, Any]:
        """`POST /v1/sessions/{id}/next`."""
        session = self._find(name)
        found, line = await self._engine.ask(partial(session.find_next_words, request.k))
        return await asyncio.to_thread(next_words, session.served, found, line, "")

    async def generate(self, name: str, request: SessionGenerateRequest) -> Completion:
        """`POST /v1/sessions/{id}/generate`."""
        session = self._find(name)
        require_few(1, 0, request.max_tokens, self._limits)
        completion = Completion(session.served, request, 0, self._limits.answer_seconds, {})
        if request.max_tokens == 0:
            completion.choices.append(Choice("", [], None))
        else:
            try:
                await self._engine.ask(partial(session.begin, self._engine, completion, request))
            except BaseException:
                completion.cancel()
                raise
        return completion

    def _find(self, name: str) -> Session:
        self._forget()
        session = self._by_name.get(name)
        if session is None:
            message = (
                f"session: {name[:40]!r} is none, or was not used for {self._limits.session_seconds:,.0f} seconds."
            )
            raise RequestError(f"{message} Create one.", status=404, code="session_not_found", param="session")
        session.used = time.monotonic()
        self._by_name.move_to_end(name)
        return session

    def _forget(self) -> None:
        """Forget sessions that were not used for long, the oldest of which come first."""
        oldest = time.monotonic() - self._limits.session_seconds
        while self._by_name and next(iter(self._by_name.values())).used < oldest:
            self._by_name.popitem(last=False)
