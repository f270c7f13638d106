"""A trained model that answers in Python: every figure is that of the command line for a file with the same text.

A text is a str of any length. A newline ends a line, and with it a sentence; it is `<eos>`, or the newline itself where
characters or bytes are tokens. The first token is predicted after an implicit one, read in the zero state.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from typing import Any, NamedTuple, Self, Unpack

import numpy as np
from jaxtyping import Float, Integer

from lstmlm import questions, workflows
from lstmlm.api.arguments import (
    Sampling,
    StrPath,
    flags_as_arguments,
    path_of,
    require_context,
    require_number,
    require_text,
    sampling_options,
)
from lstmlm.api.state import State
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.loading import encode_string
from lstmlm.corpus.reading.decoding import normalized
from lstmlm.errors import DataError, shown
from lstmlm.evaluation.perplexity.perplexity import evaluate_perplexity
from lstmlm.evaluation.report import Value
from lstmlm.evaluation.surprisal.formats import records
from lstmlm.evaluation.surprisal.stimuli import lines_of_text, one_document
from lstmlm.evaluation.surprisal.surprisal import FirstWord, WordContext
from lstmlm.generation.growing_text import GrowingText
from lstmlm.generation.next_word import NextWords
from lstmlm.scoring import score, score_each
from lstmlm.workflows import TrainedModel, generate_texts


class TokenScore(NamedTuple):
    """A token in its context, in the order of KenLM, whose second value is the length of the n-gram that it found.

    A recurrent network finds none, as all tokens before this one count: the token itself is in that place.
    """

    log10_probability: float
    token: str
    oov: bool
    """Whether it is `<unk>`, so that the probability is that of all unknown words together."""


class Model(TrainedModel):
    """A model with its best weights, its tokenizer and what it can be asked; `lstmlm.load` returns one.

    Asking changes nothing in it. What is wrong with what it is given raises one of `lstmlm.errors`: `DataError` where
    a text is none, `ConfigError` where an option is.
    """

    @classmethod
    def load(cls, run: StrPath | None = None) -> Self:
        """Load the best weights of a run with their tokenizer, verified; see `lstmlm.load`."""
        return cls(**vars(workflows.load(None if run is None else path_of("run", run))))

    def __repr__(self) -> str:
        backbone = self.run.config.model.backbone
        return f"<lstmlm {backbone.name} of {self.name}: {self.tokenizer.vocab_size:,} types>"

    def score(self, text: str, bos: bool = True, eos: bool = True) -> float:
        """Return the log10 of the probability of a text, as `score` of KenLM does.

        Args:
            text: One line or more; whether the last one has its newline makes no difference.
            bos: Predict the first token after the implicit one, as every command does; else from the zero state itself,
                before anything is read.
            eos: The last line ends, and its end counts; else more of it may follow. With both, the figure is in another
                unit the nats that `lstmlm eval perplexity` reports of a file with these lines.

        Raises:
            DataError: it is no text, or without its end nothing is left of it.
        """
        return _log10(float(self._nats(self._ids(text, eos=eos), bos=bos).sum()))

    def full_scores(self, text: str, bos: bool = True, eos: bool = True) -> list[TokenScore]:
        """Return the log10 of the probability of each token of a text; they sum to `score`, whose arguments these are.

        Raises:
            DataError: as `score` does.
        """
        ids = self._ids(text, eos=eos)
        scored = zip(ids.tolist(), self._nats(ids, bos=bos).tolist(), strict=True)
        unk_id, token = self.tokenizer.unk_id, self.tokenizer.token
        return [TokenScore(_log10(nats), token(token_id), token_id == unk_id) for token_id, nats in scored]

    def perplexity(self, text: str) -> float:
        """Return the perplexity of a text per token: of words, characters, bytes or parts of words.

        Raises:
            DataError: it is no text, or empty.
        """
        perplexity = self.report(text)["perplexity"]
        assert isinstance(perplexity, float)
        return perplexity

    def report(self, text: str) -> Mapping[str, Value]:
        """Return what `lstmlm eval perplexity --json` reports of a text, by the same names.

        Raises:
            DataError: it is no text, or empty.
        """
        encoded, eos = self._encoded(text), self.run.config.data.eos
        return evaluate_perplexity(self.model, encoded, self.tokenizer, self.name, eos=eos).values

    def surprisal(
        self,
        sentences: str | Iterable[str | Sequence[str]],
        *,
        context: WordContext = "document",
        first_word: FirstWord = "after-eos",
        join: str | None = None,
    ) -> list[dict[str, Any]]:
        """Measure each word and the end of each sentence in its context.

        Args:
            sentences: A text with a sentence a line, or sentences: each a str of one line, or the words of one.
            context: What a word is given: all of the "document" before it, all of its "sentence" before it, or so many
                tokens.
            first_word: How the first word of a context is predicted: "after-eos", from "zero-state", or not: "skip".
            join: What stands between words that are given one by one; by default a blank if the training text has any.

        Returns:
            A row for each, with the columns of `lstmlm eval surprisal`, whose units their names say. An empty value is
            None. `pandas.DataFrame(rows)` is a table of them.

        Raises:
            ConfigError: an option is wrong.
            DataError: there are no sentences, or the model's tokens do not tell where words end.
        """
        context = require_context(context, first_word, join)
        stimuli = one_document(_sentences(sentences))
        words, _ = questions.measure_surprisal(self, stimuli, context=context, first_word=first_word, join=join)
        return list(records(words))

    def next_words(self, prefix: str = "", k: int = 10, *, complete: bool = False) -> NextWords:
        """Find the `k` most likely words after the beginning of a text; see `lstmlm next`.

        Args:
            prefix: The beginning; its last word is complete.
            k: How many words.
            complete: The last word of `prefix` is the beginning of the word that is looked for.

        Returns:
            Words with their probabilities, the likeliest first, and what is known of those that are not among them.

        Raises:
            ConfigError: `k` is no number above 0, or no word is begun that could be completed.
            DataError: `prefix` is no text, or the model's tokens do not tell where words end.
        """
        read = normalized(require_text("prefix", prefix))
        with flags_as_arguments():
            return questions.next_words(self, read, require_number("k", k), complete=complete)

    def generate(self, prompt: str = "", *, seed: int | None = None, **options: Unpack[Sampling]) -> str:
        """Continue a prompt, as `lstmlm generate` does; return the prompt and its continuation.

        Args:
            prompt: The beginning of a text; its last line goes on.
            seed: The same one gives the same text, also on the command line; by default a new one.
            options: `max_tokens`, `temperature`, `top_k`, `top_p`, `min_p`, `typical_p`, `repetition_penalty`,
                `no_repeat_ngram_size`, `stop`, `raw`, `allow_unk`, `precision`; see `SamplingOptions`, which has their
                defaults.

        Raises:
            ConfigError: an option is wrong.
            DataError: the prompt is no text.
            DivergenceError: the training of the model had diverged, so that it has no probabilities.
        """
        return prompt + "".join(self.stream(prompt, seed=seed, **options))

    def stream(self, prompt: str = "", *, seed: int | None = None, **options: Unpack[Sampling]) -> Iterator[str]:
        """Continue a prompt as `generate` does, and yield each piece of the continuation as soon as it is drawn.

        Raises:
            ConfigError: as `generate` does; and DataError, at once.
        """
        read = normalized(require_text("prompt", prompt))
        settled = sampling_options(options)
        if seed is None:
            seed = secrets.randbelow(1_000_000)
        seed = require_number("seed", seed, least=-(2**63))
        return (sample.piece for [sample] in generate_texts(self, read, settled, [seed]))

    def state(self, text: str = "") -> State:
        """Begin to read a text, with what is known of it, and return the state after it.

        Raises:
            DataError: it is no text.
        """
        state = State(GrowingText(self.model, self.tokenizer), self.beginning)
        state.feed(text)
        return state

    def _encoded(self, text: str) -> EncodedText:
        return encode_string(require_text("text", text), self.run.config.data, self.tokenizer)

    def _encoded_open(self, line: str) -> Integer[np.ndarray, " tokens"]:
        """Token ids of lines of which the last one, or the document that they are, goes on."""
        line, options = self.beginning(line), self.run.config.data.model_copy(update={"eos": "line"})
        ids = encode_string(line, options, self.tokenizer).tokens
        return ids[:-1] if self.tokenizer.ends_open_lines and not line.endswith("\n") else ids

    def _ids(self, text: str, *, eos: bool) -> Integer[np.ndarray, " tokens"]:
        """Token ids of lines, of which the last one is ended or not."""
        line = normalized(require_text("text", text)).removesuffix("\n")
        return self._encoded(f"{line}\n").tokens if eos else self._encoded_open(line)

    def _nats(self, ids: Integer[np.ndarray, " tokens"], *, bos: bool) -> Float[np.ndarray, " tokens"]:
        if bos:
            return score(self.model, ids, self.tokenizer.start_id)
        [nats] = score_each(self.model, [ids.tolist()], None)
        return nats


def _log10(nats: float) -> float:
    return -nats / log(10)


def _sentences(given: str | Iterable[str | Sequence[str]]) -> list[str | Sequence[str]]:
    """Return lines as a text has them, or the words of each. Raises DataError if something else is among them."""
    if isinstance(given, str):
        sentences: list[str | Sequence[str]] = [*lines_of_text(normalized(require_text("sentences", given)))]
    elif isinstance(given, Iterable):
        sentences = [_sentence(f"sentences[{number}]", sentence) for number, sentence in enumerate(given)]
    else:
        raise DataError(f"sentences: expected a text or sentences, got {shown(given)}. Give a list of str.")
    if not sentences:
        raise DataError("sentences: are none. Give one.")
    return sentences


def _sentence(name: str, given: object) -> str | Sequence[str]:
    if isinstance(given, str):
        if "\n" in given or "\r" in given:
            raise DataError(f"{name}: has a line end in it, got {shown(given)}. Give one sentence, or one text of all.")
        return f"{require_text(name, given)}\n"
    if not isinstance(given, Sequence) or not all(isinstance(word, str) and word.strip() for word in given):
        raise DataError(f"{name}: expected a sentence or its words, got {shown(given)}. Give a str or a list of them.")
    return [require_text(name, word) for word in given]
