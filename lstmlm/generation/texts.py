"""Sampled texts: what is read of a prompt, the pieces of text that tokens add to it, and the text that ends it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.sampler import generate
from lstmlm.models.language_model import LanguageModel


def continue_prompt(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str, options: SamplingOptions, seeds: Sequence[int]
) -> Iterator[list["SampledText"]]:
    """Continue `prompt` once for each seed, side by side.

    Yields:
        The same samples, one a seed, each time that a token has been added to each of them that is not over.
    """
    continuations = [Continuation(tokenizer, prompt, options.stop, raw=options.raw) for _ in seeds]
    samples = [SampledText(continuation, seed) for continuation, seed in zip(continuations, seeds, strict=True)]
    opening, first_ids = continuations[0].opening, continuations[0].next_ids
    for step in generate(model, tokenizer, opening, options, seeds, first_ids):
        drawn = zip(step.ids.tolist(), step.log_probabilities.tolist(), strict=True)
        for sample, (token_id, log_probability) in zip(samples, drawn, strict=True):
            sample.take(token_id, log_probability)
        yield samples
        if all(sample.has_stopped for sample in samples):
            return
    for sample in samples:
        sample.end()
    yield samples


class SampledText:
    """A text that goes on from a prompt while tokens are drawn."""

    def __init__(self, continuation: "Continuation", seed: int) -> None:
        self.seed = seed
        self.text = ""
        """What the tokens add to the prompt, but for what may be the beginning of a stop text."""
        self.piece = ""
        """What the last token has added."""
        self.token_ids: list[int] = []
        """Once the sample has stopped, those that are whole before the stop text."""
        self.log_probabilities: list[float] = []
        """Of these tokens under the model's own distribution, before any filter (nats)."""
        self._continuation = continuation
        self._places = [0]
        """Where each token begins in the text, and where the last one ends."""

    @property
    def has_stopped(self) -> bool:
        """Whether a stop text has come."""
        return self._continuation.is_over

    def take(self, token_id: int, log_probability: float) -> None:
        """Add a token, unless the sample has stopped."""
        self.piece = ""
        if self.has_stopped:
            return
        self.token_ids.append(token_id)
        self.log_probabilities.append(log_probability)
        self._add(self._continuation.feed(token_id))
        self._places.append(self._continuation.n_chars)
        if self._continuation.is_over:
            n_begun = bisect_left(self._places, len(self.text))
            n_whole = min(n_begun, bisect_right(self._places, len(self.text)) - 1)
            del self.token_ids[n_whole:], self.log_probabilities[n_whole:]

    def end(self) -> None:
        """Add what was held back."""
        self._add(self._continuation.flush())

    def _add(self, piece: str) -> None:
        self.piece = piece
        self.text += piece


class Continuation:
    """The text that tokens add to a prompt.

    Args:
        tokenizer: What the tokens belong to.
        prompt: What the text goes on from.
        stops: Texts, none of them empty: it ends before the first of them.
        raw: Whether tokens are told as the vocabulary has them.
        is_read: Whether all of the prompt is read, also a blank at its end.
    """

    def __init__(
        self, tokenizer: Tokenizer, prompt: str, stops: Sequence[str] = (), *, raw: bool = False, is_read: bool = False
    ) -> None:
        self.opening = prompt if is_read else _without_open_blank(prompt, tokenizer)
        """What is to be read of the prompt before the first token."""
        self.n_chars = 0
        """Of the text that tokens have added, with what cannot be shown yet."""
        self._tokenizer = tokenizer
        self._given_blank = prompt[len(self.opening) :]
        self._joiner = (tokenizer.raw_joiner if raw else tokenizer.joiner)(self.opening)
        self._end = StopBefore(stops)

    @property
    def is_over(self) -> bool:
        """Whether a stop text has come."""
        return self._end.is_over

    @property
    def next_ids(self) -> list[int] | None:
        """The tokens that may come next: before the first one those that begin with a blank left to it; None is all."""
        return list(_beginning_with(self._given_blank, self._tokenizer)) if self._given_blank else None

    def feed(self, token_id: int) -> str:
        """Take the next token; return what can be shown of the text by now."""
        return self._end.feed(self._piece(self._joiner.feed(token_id)))

    def flush(self) -> str:
        """Return what was held back of a text that has ended."""
        return self._end.feed(self._joiner.flush()) + self._end.flush()

    def _piece(self, text: str) -> str:
        """Leave out the blank that the prompt has already."""
        piece = text.removeprefix(self._given_blank)
        if text:
            self._given_blank = ""
        self.n_chars += len(piece)
        return piece


def _without_open_blank(prompt: str, tokenizer: Tokenizer) -> str:
    """Leave a blank at the end of a prompt to the next token, where the tokens of words begin with one."""
    is_begun = prompt.endswith(" ") and any(
        tokenizer.content(token_id).strip() for token_id in _beginning_with(" ", tokenizer)
    )
    return prompt[:-1] if is_begun else prompt


def _beginning_with(blank: str, tokenizer: Tokenizer) -> Iterator[int]:
    content = blank.encode()
    return (token_id for token_id in range(tokenizer.vocab_size) if tokenizer.content(token_id).startswith(content))


class StopBefore:
    """One sample's text on its way, which is held back as long as it may be the beginning of a stop text.

    It ends before the first of them, of which no part is let through.

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
