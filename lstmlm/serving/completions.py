"""`/v1/completions`: prompts are read, texts written beside those of other requests, and told as OpenAI tells them."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lstmlm import __version__
from lstmlm.generation.texts import Continuation
from lstmlm.serving.engine import Column, Engine, Piece
from lstmlm.serving.errors import RequestError, told_of, too_large
from lstmlm.serving.models import ServedModel
from lstmlm.serving.prompts import Namer, Token, TokenizedPrompt, echo, logprobs_of, measure, read_prompt
from lstmlm.serving.requests import CompletionRequest, Limits, Prompt, Sampling

DONE = "data: [DONE]\n\n"

JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""Its `iterencode` writes a long answer by parts: at once nobody else would have a turn meanwhile."""


@dataclass
class Choice:
    """A choice of an answer: what it begins with, and the text that is being written, if one is."""

    prompt: str
    """Its text where it is echoed."""
    prompt_tokens: list[Token]
    column: Column | None
    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    n_tokens: int = 0
    finish_reason: str | None = None


class Completion:
    """A request on its way to an answer.

    Args:
        served: Who answers.
        request: How to write.
        n_read: How many tokens of prompts were read.
        seconds: How long it may take.
        extra: What else the answer has.
    """

    def __init__(
        self, served: ServedModel, request: Sampling, n_read: int, seconds: float, extra: dict[str, Any]
    ) -> None:
        self._request = request
        self._n_read = n_read
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._extra = extra
        self._pieces: asyncio.Queue[tuple[int, Piece | Exception]] = asyncio.Queue()
        self.choices: list[Choice] = []
        self.is_cancelled = False
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": f"lstmlm-{__version__}-{served.step or 0:08}",
        }

    def listener(self, index: int) -> Callable[[Piece | Exception], None]:
        """Return what takes the pieces of a choice."""
        return lambda piece: self._pieces.put_nowait((index, piece))

    def cancel(self) -> None:
        """Let nobody write on."""
        self.is_cancelled = True
        for choice in self.choices:
            if choice.column is not None:
                choice.column.is_cancelled = True

    async def answer(self) -> dict[str, Any]:
        """Wait for all texts, and return the answer."""
        async for _ in self._events():
            pass
        told = [
            self._choice(index, choice.prompt + choice.text, choice.prompt_tokens + choice.tokens, choice.finish_reason)
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head, "choices": told, "usage": self._usage(), **self._extra}

    async def stream(self) -> AsyncIterator[str]:
        """Yield the events of a streamed answer."""
        wants_usage = self._request.stream_options.include_usage
        head = {**self._head, **self._extra, **({"usage": None} if wants_usage else {})}
        for index, choice in enumerate(self.choices):
            if choice.prompt or choice.prompt_tokens or choice.column is None:
                reason = None if choice.column else "length"
                told = {**head, "choices": [self._choice(index, choice.prompt, choice.prompt_tokens, reason)]}
                yield await asyncio.to_thread(_long_event, told)
        async for index, piece in self._events():
            yield _event({**head, "choices": [self._choice(index, piece.text, piece.tokens, piece.finish_reason)]})
        if wants_usage:
            yield _event({**head, "choices": [], "usage": self._usage()})
        yield DONE

    async def _events(self) -> AsyncIterator[tuple[int, Piece]]:
        """Yield what the choices grow by until all have ended."""
        n_open = sum(choice.column is not None for choice in self.choices)
        for choice in self.choices:
            if choice.column is None:
                choice.finish_reason = "length"
        while n_open:
            index, piece = await self._next_piece()
            if isinstance(piece, Exception):
                raise piece
            choice = self.choices[index]
            choice.text += piece.text
            choice.tokens += piece.tokens
            choice.n_tokens += piece.n_tokens
            choice.finish_reason = piece.finish_reason
            n_open -= piece.finish_reason is not None
            yield index, piece

    async def _next_piece(self) -> tuple[int, Piece | Exception]:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._pieces.get()
        except TimeoutError:
            message = f"the answer took more than {self._seconds:g} seconds. Ask for less, or when fewer ask."
            raise RequestError(message, status=408, code="timeout") from None

    def _choice(self, index: int, text: str, tokens: Sequence[Token], finish_reason: str | None) -> dict[str, Any]:
        n_top = self._request.logprobs
        logprobs = None if n_top is None else logprobs_of(tokens, n_top)
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}

    def _usage(self) -> dict[str, int]:
        n_written = sum(choice.n_tokens for choice in self.choices)
        counts = (self._n_read, n_written, self._n_read + n_written)
        return dict(zip(("prompt_tokens", "completion_tokens", "total_tokens"), counts, strict=True))


def _event(content: dict[str, Any]) -> str:
    return f"data: {JSON.encode(content)}\n\n"


def _long_event(content: dict[str, Any]) -> str:
    """Return the same in parts joined, between which other threads have their turn."""
    return f"data: {''.join(JSON.iterencode(content))}\n\n"


async def begin_completion(
    engine: Engine, served: ServedModel, request: CompletionRequest, limits: Limits
) -> Completion:
    """Read the prompts of a request and begin its texts. Raises RequestError if they are too many or too long."""
    # Seconds for long ones, in which others are answered.
    prompts = await asyncio.to_thread(lambda: [_tokenized(served, prompt, request) for prompt in request.prompt])
    n_texts, n_read = len(prompts) * request.n, sum(len(prompt.ids) for prompt in prompts)
    require_few(n_texts, n_read, request.max_tokens, limits)
    if request.echo and request.logprobs is not None:
        _require_few_echoed(n_read, request.n, limits)
    warnings = await served.warnings(" ".join(prompt for prompt in request.prompt if isinstance(prompt, str)))
    completion = Completion(served, request, n_read, limits.answer_seconds, warnings)
    echoed: list[list[Token]] = [[] for _ in prompts]
    model = served.model.model
    if request.echo and request.logprobs is not None:
        measured = await engine.ask(partial(measure, model, prompts, request.logprobs))
        # Others are answered while tokens are named: for all that a request may have it takes seconds.
        named = partial(echo, n_top=request.logprobs)
        echoed = await asyncio.to_thread(lambda: [*map(named, prompts, measured)])
    try:
        for number, (prompt, tokens) in enumerate(zip(prompts, echoed, strict=True)):
            # The line that a prompt ends in is gone over for each: seconds, too.
            choices = await asyncio.to_thread(_choices, completion, request, served, number, prompt, tokens)
            completion.choices += choices
            columns = [choice.column for choice in choices if choice.column is not None]
            if columns:
                await engine.ask(partial(_begin, engine, served, prompt, columns))
    except BaseException:
        completion.cancel()
        raise
    return completion


def _tokenized(served: ServedModel, prompt: Prompt, request: CompletionRequest) -> TokenizedPrompt:
    if isinstance(prompt, str):
        prompt = served.model.beginning(prompt)
        opening = Continuation(served.tokenizer, prompt).opening if request.max_tokens > 0 else prompt
        return TokenizedPrompt(served.tokenizer, opening, prompt)
    return TokenizedPrompt(served.tokenizer, prompt)


def require_few(n_texts: int, n_read: int, max_tokens: int, limits: Limits) -> None:
    """Refuse what is more than a request may ask for. Raises RequestError."""
    if n_texts > limits.texts:
        message = f"n: {n_texts:,} texts are asked for, prompts times n. At most {limits.texts:,} are written at once."
        raise too_large(message, "n")
    n_tokens = n_read + n_texts * max_tokens
    if n_tokens > limits.tokens:
        raise too_large(
            f"max_tokens: {n_read:,} tokens are to be read and {n_texts * max_tokens:,} written. "
            f"A request has {limits.tokens:,} at most.",
            "max_tokens" if n_read <= limits.tokens else "prompt",
        )


def _require_few_echoed(n_read: int, n: int, limits: Limits) -> None:
    if n_read * n > limits.tokens:
        message = (
            f"n: {n_read:,} tokens of prompts are to be told of {n:,} times. A request has {limits.tokens:,} at most."
        )
        raise too_large(message, "n")


def _choices(
    completion: Completion,
    request: CompletionRequest,
    served: ServedModel,
    number: int,
    prompt: TokenizedPrompt,
    tokens: list[Token],
) -> list[Choice]:
    """Return the choices of a prompt, of which number k draws with seed + k."""
    first_seed = seed_of(request)
    choices = []
    for k in range(request.n):
        column = None
        if request.max_tokens > 0:
            listener = completion.listener(number * request.n + k)
            seed, is_read = first_seed + k, prompt.is_read
            column = new_column(served, request, prompt.text, prompt.read, seed, listener, is_read=is_read)
        choices.append(Choice(prompt.text if request.echo else "", tokens, column))
    return choices


def seed_of(request: Sampling) -> int:
    """Return the seed of a request's first text."""
    return secrets.randbelow(1_000_000) if request.seed is None else request.seed


def new_column(
    served: ServedModel,
    request: Sampling,
    prompt: str,
    prompt_ids: Sequence[int],
    seed: int,
    tell: Callable[[Piece | Exception], None],
    n_before: int = 0,
    *,
    is_read: bool = False,
) -> Column:
    """Return a text to be written, which goes on from a prompt with so many characters before it.

    Where the prompt `is_read`, a blank at its end is too, and none is left to the first token.
    """
    continuation = Continuation(served.tokenizer, prompt, request.stop, is_read=is_read)
    namer = Namer(served.tokenizer, served.tokenizer.joiner(continuation.opening))
    return Column(
        continuation,
        prompt_ids,
        request.options,
        seed,
        tell,
        is_streamed=request.stream,
        namer=None if request.logprobs is None else namer,
        n_top=request.logprobs or 0,
        offset=(n_before + len(prompt), n_before + len(continuation.opening)),
    )


def _begin(engine: Engine, served: ServedModel, prompt: TokenizedPrompt, columns: Sequence[Column]) -> None:
    following, state = read_prompt(served.model.model, prompt)
    engine.begin(served.model.model, served.tokenizer.unk_id, columns, following, state)


def error_event(error: Exception) -> str:
    """Write an error that comes when an answer has begun."""
    return _event(told_of(error).body)
