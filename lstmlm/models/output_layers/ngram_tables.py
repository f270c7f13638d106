r"""An n-gram model as tensors: what it says of a token after given contexts, and these contexts carried like a state.

A context is the row of an n-gram in the table of its length, as in `models/ngram.py`, where the equations are. Those of
all lengths together are what the model knows of the tokens so far, so that nobody has to keep the tokens themselves.
"""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstmlm.errors import ConfigError, RunMismatchError
from lstmlm.models.ngram import ABSENT, NgramModel

MOST_NGRAMS = 1 << 24
"""Of one length that is a context: among features, rows are float32, which has all whole numbers up to this."""

PARTS = ("keys", "probability", "backoff", "left_out")
"""The tensors of a table, as `NgramTable` has them. The last is for training alone: an exported model has none."""

START = "start_id"

Contexts = Int[Tensor, "*batch lengths"]
"""For each length from 1 up, the row of the n-gram that ends with the last token; `ABSENT` where there is none."""


class NgramState(NamedTuple):
    """What an n-gram model remembers, beside the states of the layers."""

    contexts: Int[Tensor, "batch lengths"]


class _Table(nn.Module):
    """The n-grams of one length."""

    keys: Int[Tensor, " ngrams"]
    probability: Float[Tensor, " ngrams"]
    backoff: Float[Tensor, " ngrams"]
    left_out: Float[Tensor, " ngrams"]

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in parts.items():
            self.register_buffer(name, tensor)

    def __deepcopy__(self, _: object) -> Self:
        """Share the tensors, which nothing changes in place: an average of weights needs no second n-grams."""
        return type(self)(dict(self.named_buffers()))

    def find(self, contexts: Int[Tensor, "*batch"], tokens: Int[Tensor, "*batch"], vocab_size: int) -> Tensor:
        """Return the rows of n-grams, given those of all but their last tokens."""
        # Of an absent context the key is below zero, which none is.
        wanted = contexts * vocab_size + tokens
        rows = torch.searchsorted(self.keys, wanted.contiguous()).clamp_(max=len(self.keys) - 1)
        return torch.where(self.keys[rows] == wanted, rows, ABSENT)

    def backoff_of(self, contexts: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return b(h) of contexts in this table, 1 where one is absent."""
        return torch.where(contexts == ABSENT, 1, self.backoff[contexts.clamp(min=0)])


class NgramTables(nn.Module):
    """The n-grams that a model knows. Until it is given some, every token has the same probability."""

    uniform: Float[Tensor, ""]

    def __init__(self, order: int, vocab_size: int) -> None:
        super().__init__()
        self.order = order
        self.vocab_size = vocab_size
        self.start_id = ABSENT
        self.tables = nn.ModuleList()
        self.register_buffer("uniform", torch.tensor(1 / vocab_size))

    def fill(self, model: NgramModel) -> None:
        """Take over the n-grams of a model that was estimated from the training text.

        Raises:
            ConfigError: the text has too many.
        """
        assert model.order == self.order, "longer n-grams than the text has were refused before"
        # The longest are looked up, and none of them is a context.
        if (most := max((len(table.keys) for table in model.tables[:-1]), default=0)) > MOST_NGRAMS:
            raise ConfigError(
                f"model.ngram_order: {self.order} makes {most:,} n-grams of one length of the training split, but at "
                f"most {MOST_NGRAMS:,} are possible. Lower it, or set it to null."
            )
        tensors = {START: torch.tensor(model.start_id)}
        for length, table in enumerate(model.tables, start=1):
            tensors |= {f"{length}.{name}": torch.from_numpy(getattr(table, name)) for name in PARTS}
        self.load({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()})

    @property
    def sizes(self) -> list[int]:
        """How many n-grams of each length there are, from single tokens up."""
        return [len(table.keys) for table in self._by_length()]

    def tensors(self) -> dict[str, Tensor]:
        """Return all that `load` needs, by name: "1.keys", "1.probability" and so on, by length."""
        found = {START: torch.tensor(self.start_id)}
        for length, table in enumerate(self._by_length(), start=1):
            found |= {f"{length}.{name}": tensor for name, tensor in table.named_buffers()}
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned.

        Raises:
            RunMismatchError: these are the n-grams of another model.
        """
        lengths = range(1, self.order + 1)
        parts = PARTS if f"1.{PARTS[-1]}" in tensors else PARTS[:-1]
        names = {f"{length}.{name}" for length in lengths for name in parts}
        if tensors.keys() != names | {START} or len(tensors["1.keys"]) != self.vocab_size:
            raise RunMismatchError(f"its n-grams are not those of order {self.order} over {self.vocab_size:,} tokens.")
        self.start_id = int(tensors[START])
        for length in lengths:
            of_length = {name: tensors[f"{length}.{name}"] for name in parts}
            self.tables.append(_Table(of_length).to(self.uniform.device))

    def initial_state(self, batch_size: int) -> NgramState:
        """Return the state in which nothing has been read."""
        return NgramState(torch.full((batch_size, self.order - 1), ABSENT, device=self.uniform.device))

    def contexts(self, tokens: Int[Tensor, "time batch"], state: NgramState) -> Int[Tensor, "time batch lengths"]:
        """Return the contexts after each token of a window, in the state before it."""
        if not self.tables:
            return torch.full((*tokens.shape, self.order - 1), ABSENT, device=tokens.device)
        found = [tokens]
        for index, table in enumerate(self._by_length()[1 : self.order - 1]):
            before = torch.cat([state.contexts[None, :, index], found[-1][:-1]])
            # A line begins anew after the token that ends one.
            found.append(torch.where(tokens == self.start_id, ABSENT, table.find(before, tokens, self.vocab_size)))
        return torch.stack(found, dim=-1)

    def probability(
        self, contexts: Contexts, tokens: Int[Tensor, "*batch"], *, left_out: bool
    ) -> Float[Tensor, "*batch"]:
        """Return the probability of each token after its contexts; any for a negative one.

        With `left_out` it is that of an occurrence in the training text to a model that was estimated without it.
        """
        if not self.tables:
            return self.uniform.expand(tokens.shape)
        wanted, name = tokens.clamp(min=0), "left_out" if left_out else "probability"
        probability: Tensor = getattr(self.tables[0], name)[wanted]
        for index, (shorter, table) in enumerate(pairwise(self._by_length())):
            rows = table.find(contexts[..., index], wanted, self.vocab_size)
            lower = shorter.backoff_of(contexts[..., index]) * probability
            probability = torch.where(rows == ABSENT, lower, getattr(table, name)[rows.clamp(min=0)])
        return probability

    def distribution(self, contexts: Contexts) -> Float[Tensor, "*batch vocab"]:
        """Return the probability of every token after these contexts."""
        if not self.tables:
            return self.uniform.expand(*contexts.shape[:-1], self.vocab_size)
        rows, (shortest, *longer) = contexts.flatten(0, -2) if contexts.dim() > 1 else contexts[None], self._by_length()
        backoffs = [table.backoff_of(rows[:, index]) for index, table in enumerate((shortest, *longer[:-1]))]
        # What the probabilities of each length are multiplied with: b(h) of all longer contexts.
        factors = [*accumulate(reversed(backoffs), torch.mul, initial=torch.ones_like(backoffs[0]))][::-1]
        found = torch.outer(factors[0], shortest.probability)
        for index, (table, factor) in enumerate(zip(longer, factors[1:], strict=True)):
            # All n-grams with one context are neighbours; there is none with an absent one.
            first, last = torch.searchsorted(
                table.keys, torch.stack([rows[:, index], rows[:, index] + 1]) * self.vocab_size
            )
            place = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), last - first)
            entries = torch.arange(len(place), device=rows.device) + (last - (last - first).cumsum(0))[place]
            found[place, table.keys[entries] % self.vocab_size] = table.probability[entries] * factor[place]
        return found.view(*contexts.shape[:-1], self.vocab_size)

    def _by_length(self) -> list[_Table]:
        return [table for table in self.tables if isinstance(table, _Table)]
