"""The most likely next words; where a word is many tokens, by a search over what it may begin with.

Where white space is a token, a word is complete when a delimiter follows. Its probability is that of its tokens and of
a delimiter after them, given that the word before it is complete, as `lstmlm eval surprisal` has it; of white space
before it, all that there may be is added up. The search reads prefixes, of white space and of words, the most probable
first. No word is more probable than its prefixes: once those that are left cannot make one more probable than the last
of the words wanted, no word is missing.

A word counts as the tokenizer cuts it: other tokens that spell it count for nothing. So the beginning of a word that is
to be completed is not read as tokens of its own, as the word may be cut otherwise: the search begins before it, with
tokens that agree with it. White space at the end of a prompt is such a beginning.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import exp
from operator import itemgetter
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from lstmlm.corpus.reading.white_space import is_white, space_before, words_of
from lstmlm.corpus.tokenizers import EOS, Tokenizer
from lstmlm.errors import ConfigError, shown
from lstmlm.generation.growing_text import GrowingText
from lstmlm.generation.spelling import Spelling
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
    """A word, or `<eos>`, with its probability after all white space that the search has read."""

    word: str
    probability: float


@dataclass(frozen=True)
class NextWords:
    """The most likely next words, the likeliest first, and what there is besides."""

    words: list[NextWord]
    n_prefixes: int
    """Prefixes read to find them; 1 where every token is a word."""
    unexplored_probability: float
    """Of all that the search has not read: other words, and those found after other white space."""
    largest_missed_probability: float
    """No word that the search has not come upon is more likely than this."""
    complete_probability: float
    """That the last word of the prompt is complete, which all other probabilities take for granted; else it goes on.
    1 where this is known, and where the beginning of a word is completed."""

    def __iter__(self) -> Iterator[NextWord]:
        return iter(self.words)


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
    if not complete:
        text = GrowingText(model, tokenizer)
        text.feed(prompt)
        return find_following_words(text, n_words)
    if not prompt or is_white(prompt[-1]):
        raise ConfigError(f"--complete: needs a word that is begun, got {shown(prompt)}. Begin one, or leave it out.")
    ids, unread = tokenizer.encode_unfinished(prompt)
    inputs = torch.tensor([tokenizer.start_id, *ids])[:, None]
    log_probabilities, state = next_log_probabilities(model, inputs, model.initial_state(1))
    following = log_probabilities[0].double()
    if not tokenizer.delimiter_ids:
        words = _words_of_vocabulary(tokenizer, following, prompt, words_of(unread)[-1], n_words)
        return NextWords(words, 1, 0.0, 0.0, 1.0)
    search = _Search(model, tokenizer, is_first=ids[-1:] in ([], [tokenizer.start_id]))
    search.begin_with(unread, following, state)
    return search.run(n_words)


@torch.inference_mode()
def find_following_words(text: GrowingText, n_words: int) -> NextWords:
    """Return the `n_words` most likely words after what has been read of a text, whose last word is complete."""
    tokenizer, state, following = text.tokenizer, text.read.state, text.read.log_probabilities.double()
    delimiter_ids = tokenizer.delimiter_ids
    if not delimiter_ids:
        return NextWords(_words_of_vocabulary(tokenizer, following, "", "", n_words), 1, 0.0, 0.0, 1.0)
    search = _Search(text.model, tokenizer, is_first=text.read.last_id == tokenizer.start_id)
    if text.unread:
        search.begin_with(text.unread, following, state)
        return search.run(n_words)
    is_complete = 0.0 if search.is_first else float(following[delimiter_ids].logsumexp(0))
    search.begin(following - is_complete, state)
    return search.run(n_words, complete_probability=exp(is_complete))


def appender(tokenizer: Tokenizer, join: str, text: str, begun: str) -> Callable[[str], str]:
    """Return what tells of words what is to be written so that they stand in a text, spaced as the model has learnt it.

    It takes a word as it is named among the next words.

    Args:
        tokenizer: What cuts the text.
        join: What stands between words.
        text: The text so far.
        begun: The beginning of the word, if the text ends with one.
    """
    joiner = None if tokenizer.delimiter_ids else tokenizer.joiner(text)
    before = "" if not text or is_white(text[-1]) else join

    def append(word: str) -> str:
        if begun:
            return word.removeprefix(begun)
        if word == EOS:
            return "\n"
        ids = [] if joiner is None else tokenizer.encode_prompt(word)
        return joiner.copy().feed(ids[0]) if joiner is not None and len(ids) == 1 else before + word

    return append


def _words_of_vocabulary(
    tokenizer: Tokenizer, following: LogProbabilities, prompt: str, unread: str, n_words: int
) -> list[NextWord]:
    """Choose among tokens that are words; where they have to begin with `unread`, given that they do."""
    ids, read = list(range(tokenizer.vocab_size)), ""
    if unread:
        # Of the last word, what is a token of its own, such as an opening bracket.
        read = words_of(prompt)[-1].removesuffix(unread)
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
    """The first tokens of words, already read, with some that may come next, the most probable first."""

    part: object
    """Of the frontier."""
    ids: tuple[int, ...]
    state: BackboneState
    next_ids: Int64[Tensor, " next"]
    log_probabilities: Float64[Tensor, " next"]
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
    """Best-first search for words; the tokenizer has delimiters.

    A word comes after any white space, so its probability is a sum. The frontier has a part for each white space at the
    beginning, as a word is below one extension only of each; one that is nothing but white space is a part of its own.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, *, is_first: bool) -> None:
        self.is_first = is_first
        """Whether the word is the first of its line, so that there need be no white space before it."""
        self._model = model
        self._tokenizer = tokenizer
        self._spelling = Spelling(tokenizer, is_first=is_first)
        self._delimiter_ids = torch.tensor(tokenizer.delimiter_ids)
        self._words: dict[str, float] = {}
        self._n_prefixes = 0
        # Of each prefix that has been read, the most probable extension that has not.
        self._frontier: list[_Extension] = []
        self._numbers = count()
        self._unexplored_probability = 0.0
        self._all_ids = torch.arange(tokenizer.vocab_size)
        self._ids_by_space = self._group_by_space()

    def _group_by_space(self) -> dict[object, Int64[Tensor, " ids"]]:
        """All tokens but the end of a line by the white space at their beginning; white space alone is apart."""
        groups: dict[object, list[int]] = defaultdict(list)
        for token_id in range(self._tokenizer.vocab_size):
            text = self._spelling.text([token_id])
            if token_id != self._tokenizer.start_id:
                groups[token_id if is_white(text) else space_before(text)].append(token_id)
        return {space: torch.tensor(ids) for space, ids in groups.items()}

    def begin(self, following: LogProbabilities, state: BackboneState) -> None:
        """Look for the first word of a line, or for one after another, given that this is complete."""
        self._extend_space((), following if self.is_first else _only(following, self._delimiter_ids), state)

    def begin_with(self, beginning: str, following: LogProbabilities, state: BackboneState) -> None:
        """Look for words that begin so, given that they do; none of their tokens is read yet.

        The first ones may spell a part of the beginning: these are read here, up to one that reaches its end. Those of
        a long one that are settled are read at once.
        """
        contents = [self._tokenizer.content(token_id) for token_id in range(self._tokenizer.vocab_size)]
        if settled := self._spelling.settle(beginning):
            of_next, state = next_log_probabilities(self._model, torch.tensor(settled)[:, None], state)
            following = of_next[0].double()
        rest = beginning.encode().removeprefix(b"".join(map(contents.__getitem__, settled)))
        parts, possible = [_Part((), rest, following, state)], []
        for part in parts:  # grows meanwhile
            reaching = []
            for token_id, content in enumerate(contents):
                is_next = content.startswith(part.rest) or (content != b"" and part.rest.startswith(content))
                if not is_next or not self._spelling.may_begin((*part.ids, token_id)):
                    continue
                if content.startswith(part.rest):
                    reaching.append(token_id)
                else:
                    parts.append(self._read_on(part, token_id))
            possible.append(_only(part.log_probabilities, torch.tensor(reaching, dtype=torch.long)))
        # Where no word begins so, all stay impossible.
        begun = torch.cat(possible).logsumexp(0).nan_to_num(neginf=0.0)
        for part, log_probabilities in zip(parts, possible, strict=True):
            self._extend(part.ids, log_probabilities - begun, part.state)

    def _read_on(self, part: "_Part", token_id: int) -> "_Part":
        following, state = next_log_probabilities(self._model, torch.tensor([[token_id]]), part.state)
        log_probabilities = part.log_probabilities[token_id] + following[0].double()
        rest = part.rest.removeprefix(self._tokenizer.content(token_id))
        return _Part((*part.ids, token_id), rest, log_probabilities, state)

    def run(self, n_words: int, *, complete_probability: float = 1.0) -> NextWords:
        """Read prefixes until none can begin a word that is missing among the `n_words` best, or enough are read."""
        while self._n_prefixes < MAX_PREFIXES and (extensions := self._take(n_words)):
            tokens = torch.tensor([[extension.ids[-1] for extension in extensions]])
            states = join_states([extension.prefix.state for extension in extensions])
            following, states = next_log_probabilities(self._model, tokens, states)
            for column, extension in enumerate(extensions):
                extended = following[column].double() - extension.nats
                state = part_of_state(states, column, len(extensions))
                if is_white(self._spelling.text(extension.ids)):
                    self._extend_space(extension.ids, extended, state)
                    continue
                if self._spelling.is_canonical(extension.ids):
                    word = self._spelling.word(extension.ids)
                    self._add_word(word, extended[self._delimiter_ids].logsumexp(0))
                # A delimiter ends the word.
                self._extend(extension.ids, extended.index_fill(0, self._delimiter_ids, -torch.inf), state)
        return NextWords(
            self._best(n_words),
            self._n_prefixes,
            max(0.0, self._unexplored_probability),
            self._largest_missed(),
            complete_probability,
        )

    def _add_word(self, word: str, log_probability: Tensor) -> None:
        if probability := exp(log_probability):
            self._words[word] = self._words.get(word, 0.0) + probability

    def _best(self, n_words: int) -> list[NextWord]:
        best = heapq.nlargest(n_words, self._words.items(), key=itemgetter(1))
        return [NextWord(word, probability) for word, probability in best]

    def _extend_space(self, ids: tuple[int, ...], log_probabilities: LogProbabilities, state: BackboneState) -> None:
        """Take up what may follow white space: the end of the line, a word, or more white space."""
        self._add_word(EOS, log_probabilities[self._tokenizer.start_id])
        self._extend(ids, log_probabilities, state)

    def _extend(self, ids: tuple[int, ...], log_probabilities: LogProbabilities, state: BackboneState) -> None:
        """Take up the extensions of a prefix that has been read."""
        self._n_prefixes += 1
        text = self._spelling.text(ids)
        space = space_before(text)
        for part, next_ids in self._ids_by_space.items() if space == text else [("", self._all_ids)]:
            of_part = log_probabilities[next_ids]
            if probability := float(of_part.exp().sum()):
                self._unexplored_probability += probability
                ordered = of_part.sort(descending=True)
                key = f"{space}{part}" if isinstance(part, str) else (*ids, part)
                self._push(_Prefix(key, ids, state, next_ids[ordered.indices], ordered.values), 0)

    def _push(self, prefix: _Prefix, place: int) -> None:
        if place < len(prefix.next_ids):
            nats = -float(prefix.log_probabilities[place])
            heapq.heappush(self._frontier, _Extension(nats, next(self._numbers), prefix, place))

    def _largest_missed(self) -> float:
        """The most that a word has which the search has not come upon: that of one extension of each part."""
        tops: dict[object, float] = {}
        for extension in self._frontier:
            tops[extension.prefix.part] = max(extension.probability, tops.get(extension.prefix.part, 0.0))
        return sum(tops.values())

    def _take(self, n_words: int) -> list[_Extension]:
        """Take extensions from the frontier if any may begin a word that belongs among the best."""
        best = self._best(n_words)
        least = best[-1].probability if len(best) == n_words else 0.0
        taken: list[_Extension] = []
        if self._largest_missed() <= least:
            return taken
        while self._frontier and len(taken) < PREFIXES_AT_ONCE and self._frontier[0].probability > 0:
            extension = heapq.heappop(self._frontier)
            self._unexplored_probability -= extension.probability
            self._push(extension.prefix, extension.place + 1)
            taken.append(extension)
        return taken


def _only(log_probabilities: LogProbabilities, ids: Tensor) -> LogProbabilities:
    """Leave these tokens."""
    return torch.full_like(log_probabilities, -torch.inf).index_copy(0, ids, log_probabilities[ids])
