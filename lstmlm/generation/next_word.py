"""The most likely next words; where a word is many tokens, by a search over what it may begin with.

Where white space is a token, a word is complete when a delimiter follows. Its probability is that of its tokens and of
a delimiter after them, given that the word before it is complete, as `lstmlm eval surprisal` has it. The search reads
prefixes of words, the most probable first. No word is more probable than its prefixes: once none is left that is more
probable than the last of the words wanted, no word is missing.

A word counts as the tokenizer cuts it: other tokens that spell it count for nothing. So the beginning of a word that is
to be completed is not read as tokens of its own, as the word may be cut otherwise: the search begins before it, with
tokens that agree with it.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import exp
from operator import itemgetter
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from lstmlm.corpus.tokenizers import EOS, Tokenizer
from lstmlm.errors import ConfigError
from lstmlm.models.backbone import BackboneState, join_states, part_of_state
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import next_log_probabilities

LogProbabilities = Float64[Tensor, " vocab"]

MAX_PREFIXES = 4096
"""The search ends after it has read so many."""

PREFIXES_AT_ONCE = 16
"""Prefixes read side by side. A few of them might have proved unnecessary one by one."""


@dataclass(frozen=True)
class NextWord:
    """A word, or `<eos>`, with its probability."""

    word: str
    probability: float


@dataclass(frozen=True)
class NextWords:
    """The most likely next words, the likeliest first, and what there is besides."""

    words: list[NextWord]
    n_prefixes: int
    """Prefixes read to find them; 1 where every token is a word."""
    unexplored_probability: float
    """Of all words together that the search has not come upon."""
    largest_missed_probability: float
    """No word that the search has not come upon is more likely than this."""


@torch.inference_mode()
def find_next_words(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str, n_words: int, *, complete: bool = False
) -> NextWords:
    """Return the `n_words` most likely words after a prompt, or as many as there are.

    The prompt is the beginning of a text, read after the implicit start token from the zero state. Its last word is
    complete, or with `complete` the beginning of the word wanted; probabilities are then given that it begins so.

    Raises:
        ConfigError: there is no word to complete.
    """
    if complete:
        if not prompt or prompt[-1].isspace():
            raise ConfigError(f"--complete: needs a word that is begun, got {prompt!r}. Begin one, or leave it out.")
        ids, unread = tokenizer.encode_unfinished(prompt)
    else:
        prompt = prompt.rstrip(" \t")
        ids, unread = tokenizer.encode_prompt(prompt), ""
    inputs = torch.tensor([tokenizer.start_id, *ids])[:, None]
    log_probabilities, state = next_log_probabilities(model, inputs, model.initial_state(1))
    following = log_probabilities[0].double()
    if not tokenizer.delimiter_ids:
        return NextWords(_words_of_vocabulary(tokenizer, following, prompt, unread, n_words), 1, 0.0, 0.0)

    search = _Search(model, tokenizer)
    if complete:
        search.begin_word(unread, following, state)
    elif prompt == "" or prompt.endswith("\n"):
        search.begin_line(following, state)
    else:
        search.begin_after_word(following, state)
    return search.run(n_words)


def _words_of_vocabulary(
    tokenizer: Tokenizer, following: LogProbabilities, prompt: str, unread: str, n_words: int
) -> list[NextWord]:
    """Choose among tokens that are words; where they have to begin with `unread`, given that they do."""
    ids, read = list(range(tokenizer.vocab_size)), ""
    if unread:
        # Of the last word, what is a token of its own, such as an opening bracket.
        read = prompt.rsplit(maxsplit=1)[-1].removesuffix(unread)
        special = (tokenizer.start_id, tokenizer.unk_id)
        ids = [i for i in ids if tokenizer.token(i).startswith(unread) and i not in special]
        following = following[ids].log_softmax(dim=0)
    best = following.topk(min(n_words, len(ids)))
    return [
        NextWord(read + tokenizer.token(ids[index]), exp(value))
        for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Prefix:
    """The first tokens of words, already read, with what one more token makes of them, the most probable first."""

    ids: tuple[int, ...]
    state: BackboneState
    next_ids: Int64[Tensor, " vocab"]
    log_probabilities: LogProbabilities
    """Of the prefix with each of these tokens after it."""


class _Part(NamedTuple):
    """First tokens of words, already read, that spell a part of how the words begin."""

    ids: tuple[int, ...]
    rest: bytes
    """What is not spelled yet of the beginning."""
    log_probabilities: LogProbabilities
    """Of these tokens with each token after them."""
    state: BackboneState


class _Extension(NamedTuple):
    """A prefix with one more token, not read yet; a heap has the most probable first."""

    nats: float
    """Surprisal of all words that begin so."""
    number: int
    """Decides between equals, as prefixes have no order."""
    prefix: _Prefix
    place: int
    """Of the token in `prefix.next_ids`."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens of the prefix and the new one."""
        return (*self.prefix.ids, int(self.prefix.next_ids[self.place]))

    @property
    def probability(self) -> float:
        """Probability of all words that begin so."""
        return exp(-self.nats)


class _Search:
    """Best-first search for words; the tokenizer has delimiters."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._delimiter_ids = torch.tensor(tokenizer.delimiter_ids)
        self._words: dict[str, float] = {}
        self._n_prefixes = 0
        # Of each prefix that has been read, the most probable extension that has not.
        self._frontier: list[_Extension] = []
        self._numbers = count()
        self._unexplored_probability = 0.0

    def begin_line(self, following: LogProbabilities, state: BackboneState) -> None:
        """Look for the first word of a line, which may also end at once."""
        self._add_word(EOS, following[self._tokenizer.start_id])
        # Some tokenizers put a space before what they take for the beginning of a text.
        begins_with_space = self._tokenizer.encode_prompt("a")[0] in self._tokenizer.delimiter_ids
        self._extend((), self._after_space(following) if begins_with_space else self._inside_word(following), state)

    def begin_after_word(self, following: LogProbabilities, state: BackboneState) -> None:
        """Look for the word after one that is complete: given a delimiter, `<eos>`, or a space and what follows it."""
        given_delimiter = following - following[self._delimiter_ids].logsumexp(0)
        self._add_word(EOS, given_delimiter[self._tokenizer.start_id])
        self._extend((), self._after_space(given_delimiter), state)

    def begin_word(self, beginning: str, following: LogProbabilities, state: BackboneState) -> None:
        """Look for words that begin so, given that they do; none of their tokens is read yet.

        The first ones may spell a part of the beginning: these are read here, up to one that reaches its end.
        """
        contents = [self._tokenizer.content(token_id) for token_id in range(self._tokenizer.vocab_size)]
        parts, possible = [_Part((), beginning.encode(), following, state)], []
        for part in parts:  # grows meanwhile
            reaching = []
            for token_id, content in enumerate(contents):
                is_next = content.startswith(part.rest) or (content != b"" and part.rest.startswith(content))
                if not is_next or not self._may_begin_word((*part.ids, token_id)):
                    continue
                if content.startswith(part.rest):
                    reaching.append(token_id)
                else:
                    parts.append(self._read_on(part, token_id))
            possible.append(_only(part.log_probabilities, reaching))
        # Where no word begins so, all stay impossible.
        begun = torch.cat(possible).logsumexp(0).nan_to_num(neginf=0.0)
        for part, log_probabilities in zip(parts, possible, strict=True):
            self._extend(part.ids, log_probabilities - begun, part.state)

    def _may_begin_word(self, ids: tuple[int, ...]) -> bool:
        """Whether the tokenizer cuts words so that they begin with these tokens; a part of a character cannot tell."""
        if ids[-1] in (self._tokenizer.start_id, self._tokenizer.unk_id):
            return False
        return self._tokenizer.decode(ids).endswith("\ufffd") or self._is_canonical(ids)

    def _read_on(self, part: "_Part", token_id: int) -> "_Part":
        following, state = next_log_probabilities(self._model, torch.tensor([[token_id]]), part.state)
        log_probabilities = part.log_probabilities[token_id] + following[0].double()
        rest = part.rest.removeprefix(self._tokenizer.content(token_id))
        return _Part((*part.ids, token_id), rest, log_probabilities, state)

    def run(self, n_words: int) -> NextWords:
        """Read prefixes until none can begin a word that is missing among the `n_words` best, or enough are read."""
        while self._n_prefixes < MAX_PREFIXES and (extensions := self._take(n_words)):
            tokens = torch.tensor([[extension.ids[-1] for extension in extensions]])
            states = join_states([extension.prefix.state for extension in extensions])
            following, states = next_log_probabilities(self._model, tokens, states)
            for column, extension in enumerate(extensions):
                extended = following[column].double() - extension.nats
                if self._is_canonical(extension.ids):
                    word = self._tokenizer.decode(extension.ids).removeprefix(" ")
                    self._add_word(word, extended[self._delimiter_ids].logsumexp(0))
                state = part_of_state(states, column, len(extensions))
                self._extend(extension.ids, self._inside_word(extended), state)
        return NextWords(
            self._best(n_words),
            self._n_prefixes,
            max(0.0, self._unexplored_probability),
            self._frontier[0].probability if self._frontier else 0.0,
        )

    def _is_canonical(self, ids: Sequence[int]) -> bool:
        """Whether the tokenizer would cut what these tokens spell into them; `<unk>` spells nothing."""
        return self._tokenizer.unk_id in ids or self._tokenizer.encode_prompt(self._tokenizer.decode(ids)) == [*ids]

    def _add_word(self, word: str, log_probability: Tensor) -> None:
        if word:  # else there are two spaces in a row
            self._words[word] = self._words.get(word, 0.0) + exp(log_probability)

    def _best(self, n_words: int) -> list[NextWord]:
        best = heapq.nlargest(n_words, self._words.items(), key=itemgetter(1))
        return [NextWord(word, probability) for word, probability in best]

    def _after_space(self, log_probabilities: LogProbabilities) -> LogProbabilities:
        """Leave one space, and the tokens that begin with it and go on; words do not stand further apart."""
        texts = {token_id: self._tokenizer.decode([token_id]) for token_id in self._tokenizer.delimiter_ids}
        left = [token_id for token_id, text in texts.items() if text == " " or not text.isspace()]
        return _only(log_probabilities, left)

    def _inside_word(self, log_probabilities: LogProbabilities) -> LogProbabilities:
        """Leave the tokens that do not end a word."""
        return log_probabilities.index_fill(0, self._delimiter_ids, -torch.inf)

    def _extend(self, ids: tuple[int, ...], log_probabilities: LogProbabilities, state: BackboneState) -> None:
        """Take up the extensions of a prefix that has been read."""
        self._n_prefixes += 1
        self._unexplored_probability += float(log_probabilities.exp().sum())
        ordered = log_probabilities.sort(descending=True)
        self._push(_Prefix(ids, state, ordered.indices, ordered.values), 0)

    def _push(self, prefix: _Prefix, place: int) -> None:
        if place < len(prefix.next_ids):
            nats = -float(prefix.log_probabilities[place])
            heapq.heappush(self._frontier, _Extension(nats, next(self._numbers), prefix, place))

    def _take(self, n_words: int) -> list[_Extension]:
        """Take extensions from the frontier, as long as they may begin a word that belongs among the best."""
        best = self._best(n_words)
        least = best[-1].probability if len(best) == n_words else 0.0
        taken: list[_Extension] = []
        while self._frontier and len(taken) < PREFIXES_AT_ONCE and self._frontier[0].probability > least:
            extension = heapq.heappop(self._frontier)
            self._unexplored_probability -= extension.probability
            self._push(extension.prefix, extension.place + 1)
            taken.append(extension)
        return taken


def _only(log_probabilities: LogProbabilities, ids: Sequence[int]) -> LogProbabilities:
    """Leave these tokens."""
    kept = torch.tensor(ids, dtype=torch.long)
    return torch.full_like(log_probabilities, -torch.inf).index_copy(0, kept, log_probabilities[kept])
