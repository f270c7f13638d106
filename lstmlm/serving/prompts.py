"""A prompt as its tokens: what each is called, where in the text it stands, how likely it was, what was likelier."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise, repeat
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from lstmlm.corpus.reading.white_space import cut_before_spaces, is_white
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.corpus.tokenizers.joining import Joiner
from lstmlm.errors import DataError
from lstmlm.models.backbone import BackboneState
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import next_log_probabilities, of_distributions, score_each
from lstmlm.serving.errors import RequestError
from lstmlm.serving.requests import Prompt

CONTINUATION = 0x80
"""The first two bits of a byte of UTF-8 with which no character begins."""


@dataclass(frozen=True)
class Token:
    """A token of a choice, as OpenAI tells of it."""

    text: str
    offset: int
    nats: float | None
    """Its surprisal; None for a first token that nothing came before."""
    top: dict[str, float] | None
    """The log-probabilities of the likeliest, and its own."""


def logprobs_of(tokens: Sequence[Token], n_top: int) -> dict[str, Any]:
    """Return the `logprobs` of a choice."""
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [None if token.nats is None else -token.nats for token in tokens],
        "top_logprobs": [token.top for token in tokens] if n_top else None,
        "text_offset": [token.offset for token in tokens],
    }


class TokenizedPrompt:
    """A prompt that has been cut into tokens.

    Args:
        tokenizer: What cuts it.
        prompt: What is read.
        text: As the request has it, if that is more.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Prompt, text: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.begins_itself = False
        """Whether its first token is the one that is read before every text."""
        if isinstance(prompt, str):
            self.text, self._opening, self.ids = text or prompt, prompt, tokenizer.encode_prompt(prompt)
        else:
            _require_ids(prompt, tokenizer.vocab_size)
            self.begins_itself = prompt[:1] == [tokenizer.start_id]
            self.ids = prompt
            joiner = tokenizer.joiner()
            self._pieces = [joiner.feed(token_id) for token_id in (prompt[1:] if self.begins_itself else prompt)]
            self.text = "".join(self._pieces) + joiner.flush()
        self.is_read = not isinstance(prompt, str)
        """Whether its tokens are all of its text; else a blank at its end may be left to the next one."""

    @property
    def read(self) -> list[int]:
        """What is predicted in it, after the token that is read first."""
        return self.ids[1:] if self.begins_itself else self.ids

    def spans(self) -> list[tuple[int, int]]:
        """Where in the text each token of `read` begins and ends; together they are the text, but for an open blank."""
        if self.is_read:
            starts = [0]
            for piece in self._pieces:
                starts.append(starts[-1] + len(piece))
            starts[-1] = len(self.text)
            return list(pairwise(starts))
        starts = _starts_in(self._opening, self.read, self.tokenizer)
        return list(zip(starts, [*starts, len(self._opening)][1:], strict=True))


def _require_ids(ids: Sequence[int], vocab_size: int) -> None:
    for token_id in ids:
        if not 0 <= token_id < vocab_size:
            raise RequestError(f"prompt: {token_id} is no token. Ids are from 0 to {vocab_size - 1}.", param="prompt")


def _starts_in(text: str, ids: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """Find where each token of a text begins, word by word, so that an unknown one misleads nowhere else."""
    words = cut_before_spaces(text) if text else []
    try:
        by_word = tokenizer.encode_pieces(words)
    except DataError:  # the tokens do not tell where words end
        by_word = []
    if [token_id for of_word in by_word for token_id in of_word] != list(ids):
        words, by_word = [text], [list(ids)]
    starts: list[int] = []
    n_chars = 0
    for word, of_word in zip(words, by_word, strict=True):
        content = word.encode()
        begins = _begins_in(content, [_content(tokenizer, token_id) for token_id in of_word])
        character_of = [*accumulate(byte & 0xC0 != CONTINUATION for byte in content), len(word)]
        starts += [n_chars + character_of[begin] - (begin < len(content)) for begin in begins]
        n_chars += len(word)
    return starts


def _content(tokenizer: Tokenizer, token_id: int) -> bytes:
    return b"\n" if token_id == tokenizer.start_id else tokenizer.content(token_id)


def _begins_in(word: bytes, contents: Sequence[bytes]) -> list[int]:
    """Find where tokens begin: white space belongs to the one after it, what is unknown has a character each."""
    begins: list[int] = []
    end, n_unknown = 0, 0
    for content in contents:
        found = word.find(content, end) if content else -1
        if found < 0:
            n_unknown += 1
            continue
        begins += _unknown_begins(word, end, found, n_unknown)
        has_gap = n_unknown > 0 or (begins and not is_white(word[end:found].decode(errors="ignore") or " "))
        begins.append(found if has_gap else end)
        end, n_unknown = found + len(content), 0
    return begins + _unknown_begins(word, end, len(word), n_unknown)


def _unknown_begins(word: bytes, begin: int, end: int, n_unknown: int) -> list[int]:
    if n_unknown == 0:
        return []
    characters = [place for place in range(begin, end) if word[place] & 0xC0 != CONTINUATION]
    return [*characters[:n_unknown], *repeat(end, n_unknown - len(characters))]


class Namer:
    """What tokens are called where they stand: by the text that they add."""

    def __init__(self, tokenizer: Tokenizer, joiner: Joiner) -> None:
        self._tokenizer = tokenizer
        self._joiner = joiner

    def name(self, token_id: int) -> str:
        """Return what a token would be called if it came next."""
        added = self._joiner.copy().feed(token_id)
        return added or self._escaped(token_id)

    def feed(self, token_id: int) -> str:
        """Go on behind a token; return the text that it adds."""
        return self._joiner.feed(token_id)

    def _escaped(self, token_id: int) -> str:
        """Write a part of a character as OpenAI does."""
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in self._tokenizer.content(token_id))

    def top(
        self, token_id: int, text: str, log_probability: float, best: Sequence[tuple[int, float]]
    ) -> dict[str, float]:
        """Return the likeliest tokens by their names, and the one that came."""
        named: dict[str, float] = {text: log_probability}
        for other, of_other in best:
            if other != token_id:
                name = self.name(other)
                named[f"token_id:{other}" if name in named else name] = of_other
        return dict(sorted(named.items(), key=lambda item: -item[1]))


def read_prompt(model: LanguageModel, prompt: TokenizedPrompt) -> tuple[Float[Tensor, "1 vocab"], BackboneState]:
    """Read a prompt; return the log-probabilities of what follows it, and the state there."""
    ids = torch.tensor([prompt.tokenizer.start_id, *prompt.read])
    with torch.inference_mode():
        return next_log_probabilities(model, ids[:, None], model.initial_state(1))


def measure(model: LanguageModel, prompts: Sequence[TokenizedPrompt], n_top: int) -> list[Any]:
    """Measure the tokens of prompts, for `echo`."""
    texts = [prompt.read for prompt in prompts]
    if not any(texts):
        return [[] for _ in texts]
    measures = of_distributions(partial(_measure_rows, min(n_top, model.vocab_size)))
    return list(score_each(model, texts, prompts[0].tokenizer.start_id, measure=measures))


def _measure_rows(
    n_best: int, log_probabilities: Float[Tensor, "rows vocab"], targets: Int[Tensor, " rows"]
) -> Float64[Tensor, "rows measures"]:
    """Measure of each token its log-probability, then the likeliest ids and theirs."""
    best = log_probabilities.topk(n_best, dim=-1)
    own = log_probabilities.gather(1, targets[:, None])
    return torch.cat([own.double(), best.indices.double(), best.values.double()], dim=1)


def echo(prompt: TokenizedPrompt, measured: Any, n_top: int) -> list[Token]:
    """Name the tokens of a prompt and the `n_top` likeliest at each place, and say what was measured of them."""
    tokenizer = prompt.tokenizer
    tokens = [Token("", 0, None, None)] if prompt.begins_itself else []
    namer = Namer(tokenizer, tokenizer.joiner())
    for number, (token_id, (start, end)) in enumerate(zip(prompt.read, prompt.spans(), strict=True)):
        text = prompt.text[start:end] or namer.name(token_id)
        own, *best = measured[number].tolist()
        top = None
        if n_top:
            half = len(best) // 2
            pairs = [(int(other), value) for other, value in zip(best[:half], best[half:], strict=True)]
            top = namer.top(token_id, text, own, pairs)
        tokens.append(Token(text, start, -own, top))
        namer.feed(token_id)
    return tokens
