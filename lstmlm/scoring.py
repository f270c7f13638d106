"""The scorer: from token ids to nats per token. Every figure that lstmlm reports comes through here.

A text is read once, in order, with the state carried from its first token to its last; the first token is predicted in
the zero state after an implicit start token. To be fast, a long text is cut into columns that are read side by side,
each first from the zero state; then every column is re-read from its predecessor's true final state until its states
agree with those found before, so that the result is that of one column. Several processes read a share of the columns
each, and tell each other in which states these end.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from lstmlm.distributed import ALONE, World
from lstmlm.metrics import NO_TARGET
from lstmlm.models.backbone import BackboneState
from lstmlm.models.cells.cell import map_state
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.output_layers.output_layer import OutputLayer

ROWS_PER_BLOCK = 48
"""Time steps between comparisons of states. A new network forgets within 92, which are read again in every column."""

REMEMBERED_BLOCKS = 32
"""States are kept for comparison at this many blocks from the top of a column; a trained network forgets where it
started within 500-700 tokens."""

PASSES_SIDE_BY_SIDE = 2
"""How often all columns are read again before those whose states do not agree yet are read one after another. A network
that remembers the beginning of a text at its end would have them all read once for every column."""

TOKENS_PER_COLUMN = 2000
MAX_COLUMNS = 32

MAX_WINDOWS = 256
"""Tokens whose contexts are read side by side where each has one of its own."""

TEXTS_PER_TREE = 2048
"""Texts whose tree is read at once: the last layer's weights are fetched anew for every level of it."""

DISTRIBUTIONS_BYTES = 16 << 20
"""Largest block of log-probabilities; a few such blocks are in memory at a time."""

STATE_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12, torch.int64: 0}
"""Two states agree when no unit differs by more, relative to the larger of 1 and its magnitude."""


Measure = Callable[
    [OutputLayer, Float[Tensor, "time batch hidden"], Int[Tensor, "time batch"]], Float[Tensor, "time batch *measures"]
]
"""From features and the tokens that follow them to numbers about each of these tokens."""


def nats_of(
    output_layer: OutputLayer, features: Float[Tensor, "time batch hidden"], targets: Int[Tensor, "time batch"]
) -> Float[Tensor, "time batch"]:
    """Measure the surprisal of each token (nats)."""
    return output_layer.nats(features, targets).double()


def of_distributions(
    measure_rows: Callable[[Float[Tensor, "rows vocab"], Int[Tensor, " rows"]], Float[Tensor, "rows measures"]],
) -> Measure:
    """Return what measures each token by the distribution that it comes from, a block of rows at a time."""

    def measure(
        output_layer: OutputLayer, features: Float[Tensor, "time batch hidden"], targets: Int[Tensor, "time batch"]
    ) -> Float[Tensor, "time batch measures"]:
        n_rows = max(1, DISTRIBUTIONS_BYTES // (len(output_layer.bias) * features.element_size()))
        # What stands where there is no target is read by nobody.
        wanted = torch.split(targets.clamp(min=0).flatten(), n_rows)
        blocks = zip(torch.split(features.flatten(0, 1), n_rows), wanted, strict=True)
        rows = [measure_rows(output_layer.log_probabilities(block), of_block) for block, of_block in blocks]
        return torch.cat(rows).view(*targets.shape, -1)

    return measure


@torch.inference_mode()
def score(
    model: LanguageModel,
    tokens: Integer[np.ndarray, " tokens"],
    start_id: int,
    n_columns: int | None = None,
    *,
    measure: Measure = nats_of,
    world: World = ALONE,
) -> Float[np.ndarray, " tokens *measures"]:
    """Return the surprisal of every token of a text (nats, float64), each given all tokens before it.

    Args:
        model: The model to ask; it is left as it was.
        tokens: Token ids of the whole text.
        start_id: The token that is read before the first one, in the zero state.
        n_columns: How many parts of the text to read side by side; the result is the same to float precision. Chosen
            by the length of the text where not given.
        measure: What to find out about each token instead of its surprisal.
        world: The processes that share the work; all have the same model, and get the same result.
    """
    if len(tokens) == 0:
        return np.zeros(0)
    n_columns = n_columns or columns_for(len(tokens), world.size)
    if n_columns < world.size:
        # Too short to be shared: every process reads it all.
        world = ALONE
    columns = _Columns(model, tokens, start_id, n_columns, measure, world)
    columns.read_all()
    columns.join_up()
    of_columns = world.joined(columns.measured().transpose(0, 1), columns.n_columns)
    return of_columns.flatten(0, 1)[: len(tokens)].numpy()


def columns_for(n_tokens: int, n_processes: int = 1) -> int:
    """Return in how many columns a text of that length is read."""
    return min(MAX_COLUMNS * n_processes, max(1, n_tokens // TOKENS_PER_COLUMN))


@torch.inference_mode()
def score_each(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    start_id: int | None,
    *,
    measure: Measure = nats_of,
    n_context_tokens: int | None = None,
) -> list[Float[np.ndarray, " tokens *measures"]]:
    """Return the surprisal of every token (nats, float64) of several texts, none of which knows of the others.

    Args:
        model: The model to ask; it is left as it was.
        texts: Token ids of each text.
        start_id: The token that is read before the first one of each; with None the first one is predicted from the
            zero state itself, nothing having been read.
        measure: What to find out about each token instead of its surprisal.
        n_context_tokens: How many tokens before it each token is given, read from the zero state; the start token is
            one of them. All of them where not given.
    """
    if n_context_tokens is not None:
        return [_measure_windows(model, tokens, start_id, n_context_tokens, measure) for tokens in texts]
    found: list[np.ndarray] = [np.zeros(0)] * len(texts)
    # Texts of about one length are read side by side, so that columns stay many until nearly the end.
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
    for first in range(0, len(texts), MAX_COLUMNS):
        batch = by_length[first : first + MAX_COLUMNS]
        measured = _measure_batch(model, [texts[index] for index in batch], start_id, measure)
        for index, of_text in zip(batch, measured, strict=True):
            found[index] = of_text
    return found


def _measure_batch(
    model: LanguageModel, texts: Sequence[Sequence[int]], start_id: int | None, measure: Measure
) -> list[Float[np.ndarray, " tokens *measures"]]:
    """Read texts side by side, the longest first."""
    blocks: list[list[np.ndarray]] = [[] for _ in texts]
    for features, targets in _read_batch(model, texts, start_id):
        block = measure(model.output_layer, features, targets).double().cpu().numpy()
        is_token = (targets != NO_TARGET).cpu().numpy()
        for column in range(targets.shape[1]):
            blocks[column].append(block[is_token[:, column], column])
    return [np.concatenate(of_text) for of_text in blocks]


def _read_batch(
    model: LanguageModel, texts: Sequence[Sequence[int]], start_id: int | None
) -> Iterator[tuple[Float[Tensor, "time batch hidden"], Int[Tensor, "time batch"]]]:
    """Yield blocks of features and of the tokens that follow them; columns end with their texts, the last one first."""
    read = texts if start_id is None else [[start_id, *tokens] for tokens in texts]
    device = next(model.parameters()).device
    padded = torch.full((max(2, len(read[0])), len(read)), NO_TARGET, device=device)
    for column, tokens in enumerate(read):
        padded[: len(tokens), column] = torch.tensor(tokens, dtype=torch.int64)
    state = model.initial_state(len(read))
    if start_id is None:
        # What the last layer has put out before it has read anything.
        yield model.first_features(len(read)), padded[:1]
    for first in range(0, len(padded) - 1, ROWS_PER_BLOCK):
        n_columns = sum(len(tokens) > first for tokens in read)
        block = padded[first : first + ROWS_PER_BLOCK + 1, :n_columns]
        # What is read where there is nothing left to predict has no effect on any score.
        features, state = model(block[:-1].clamp(min=0), _select(state, torch.arange(n_columns)))
        yield features, block[1:]


def _measure_windows(
    model: LanguageModel, tokens: Sequence[int], start_id: int | None, n_context_tokens: int, measure: Measure
) -> Float[np.ndarray, " tokens *measures"]:
    """Read anew, before each token of a text, the tokens that it is given."""
    # Before the first ones there are no more tokens than that.
    measured = _measure_batch(model, [tokens[:n_context_tokens]], start_id, measure)
    device = next(model.parameters()).device
    read = torch.tensor(tokens if start_id is None else [start_id, *tokens], dtype=torch.int64, device=device)
    if len(tokens) > n_context_tokens:
        windows = read.unfold(0, n_context_tokens + 1, 1)[len(read) - len(tokens) :]
        for batch in torch.split(windows, MAX_WINDOWS):
            state = model.initial_state(len(batch))
            for block in torch.split(batch[:, :-1].T, ROWS_PER_BLOCK):
                features, state = model(block, state)
            measured.append(measure(model.output_layer, features[-1:], batch[:, -1:].T)[0].double().cpu().numpy())
    return np.concatenate(measured)


@torch.inference_mode()
def score_tree(
    model: LanguageModel, texts: Sequence[Sequence[int]], start_id: int, state: BackboneState | None = None
) -> list[Float[np.ndarray, " tokens"]]:
    """Return what `score_each` does for texts that begin alike, such as hypotheses: what several share is read once.

    Texts in which that is much should be neighbours. Every step reads one token of each, so that without anything
    shared long texts take longer than by `score_each`. They begin in `state`, of one column; by default the zero state.
    """
    state = state or model.initial_state(1)
    batches = (texts[first : first + TEXTS_PER_TREE] for first in range(0, len(texts), TEXTS_PER_TREE))
    return [nats for batch in batches for nats in _read_tree(model, batch, start_id, state)]


def _read_tree(
    model: LanguageModel, texts: Sequence[Sequence[int]], start_id: int, state: BackboneState
) -> list[Float[np.ndarray, " tokens"]]:
    """Read the tree of all beginnings of the texts level by level, one column a node."""
    lengths = np.array(list(map(len, texts)))
    begins = np.cumsum(lengths) - lengths
    tokens = np.fromiter(chain.from_iterable(texts), dtype=np.int64)
    nats = np.zeros(len(tokens))
    column_of = np.zeros(len(texts), dtype=np.int64)
    inputs = torch.tensor([[start_id]])
    for depth in range(max(lengths)):
        features, state = model(inputs, state)
        reading = np.flatnonzero(lengths > depth)
        here = begins[reading] + depth
        # A node is where it hangs and which token it is.
        nodes, column_of[reading] = np.unique(column_of[reading] * model.vocab_size + tokens[here], return_inverse=True)
        parents, inputs = torch.from_numpy(nodes // model.vocab_size), torch.from_numpy(nodes % model.vocab_size)[None]
        of_nodes = model.output_layer.nats(features[:, parents], inputs)[0].double().numpy()
        nats[here] = of_nodes[column_of[reading]]
        state = _select(state, parents)
    return np.split(nats, begins[1:])


@torch.inference_mode()
def next_log_probabilities(
    model: LanguageModel, tokens: Int[Tensor, "time batch"], state: BackboneState
) -> tuple[Float[Tensor, "batch vocab"], BackboneState]:
    """Read `tokens` and return the log-probabilities (nats) of the token that follows in each column, and the state."""
    for block in torch.split(tokens, ROWS_PER_BLOCK):
        features, state = model(block, state)
    return model.output_layer.log_probabilities(features[-1]), state


class _Columns:
    """This process's share of a text laid out as columns, with what is known of each position so far.

    Columns are numbered over all processes; `final` is known of all of them. Blocks have all columns or one, by how
    often they were read, never by how many need it: so what is computed of a token does not depend, by one bit, on what
    comes after it.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokens: Integer[np.ndarray, " tokens"],
        start_id: int,
        n_columns: int,
        measure: Measure,
        world: World,
    ) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.measure = measure
        self.world = world
        n_rows = -(-len(tokens) // n_columns)
        # Rounding up can leave whole columns without a token: they are not needed.
        self.n_columns = -(-len(tokens) // n_rows)
        self.mine = torch.arange(self.n_columns)[world.share(self.n_columns)]
        padded = np.full(1 + n_rows * self.n_columns, NO_TARGET, dtype=np.int64)
        padded[0] = start_id
        padded[1 : 1 + len(tokens)] = tokens
        self.targets = torch.from_numpy(padded[1:]).view(self.n_columns, n_rows)[self.mine].T
        # What is read where there is nothing left to predict has no effect on any score.
        self.inputs = torch.from_numpy(np.maximum(padded[:-1], 0)).view(self.n_columns, n_rows)[self.mine].T
        self.tops: list[Tensor] = []
        """Features of the first blocks, which may be read again before they are measured."""
        self.rest: list[Tensor] = []
        """What was measured of the others."""
        self.remembered: list[BackboneState] = []
        self.final = model.initial_state(self.n_columns)

    def read_all(self) -> None:
        """Read every column from the zero state."""
        everywhere = torch.arange(len(self.mine))
        state = self.model.initial_state(len(self.mine))
        for first in range(0, len(self.inputs), ROWS_PER_BLOCK):
            features, state = self._read_block(first, state, everywhere)
            if len(self.tops) < REMEMBERED_BLOCKS:
                # A copy: both are corrected later, each at its own time.
                self.remembered.append(_select(state, everywhere))
                self.tops.append(features)
            else:
                self.rest.append(self._measure_block(first, features, everywhere))
        self.final = self._of_all_columns(state)

    def join_up(self) -> None:
        """Re-read the top of the columns from their predecessors' final states until all states agree."""
        unsettled = torch.arange(self.n_columns) > 0
        for n_passes in count():
            if not unsettled.any():
                return
            read_again = self._reread_one_by_one if n_passes >= PASSES_SIDE_BY_SIDE else self._reread_side_by_side
            changed = torch.zeros(self.n_columns)
            changed[self.mine[read_again(unsettled[self.mine])]] = 1
            self.final = self._of_all_columns(_select(self.final, self.mine))
            unsettled = self.world.sum(changed).roll(1) > 0
            unsettled[0] = False

    def measured(self) -> Float[Tensor, "time columns *measures"]:
        """Return what was asked about each position."""
        everywhere = torch.arange(len(self.mine))
        blocks = enumerate(self.tops)
        tops = [self._measure_block(block * ROWS_PER_BLOCK, features, everywhere) for block, features in blocks]
        return torch.cat([*tops, *self.rest])

    def _of_all_columns(self, state: BackboneState) -> BackboneState:
        return tuple(map_state(lambda part: self.world.joined(part, self.n_columns), layer) for layer in state)

    def _reread_side_by_side(self, unsettled: Bool[Tensor, " columns"]) -> Int[Tensor, " changed"]:
        return self._reread(unsettled.nonzero()[:, 0], torch.arange(len(self.mine)))

    def _reread_one_by_one(self, unsettled: Bool[Tensor, " columns"]) -> Int[Tensor, " changed"]:
        """Re-read the columns in turn, each after its predecessor; of those that changed the last alone can matter."""
        changed = torch.tensor([], dtype=torch.int64)
        for column in torch.split(torch.arange(len(self.mine)), 1):
            is_unsettled = bool(unsettled[column]) or len(changed) > 0
            changed = self._reread(column, column) if is_unsettled else column[:0]
        return changed

    def _reread(self, columns: Int[Tensor, " columns"], read: Int[Tensor, " read"]) -> Int[Tensor, " changed"]:
        """Re-read `columns` from their predecessors' final states, beside the others of `read`.

        Returns those that end in another state. All are counted within this process's share.
        """
        state = _select(self.final, self.mine[read] - 1)
        for block, first in enumerate(range(0, len(self.inputs), ROWS_PER_BLOCK)):
            if len(columns) == 0:
                return columns
            features, state = self._read_block(first, state, read)
            places = torch.searchsorted(read, columns)
            if block < len(self.tops):
                self.tops[block][:, columns] = features[:, places]
                found = _select(state, places)
                differs = ~_agree(found, _select(self.remembered[block], columns))
                _assign(self.remembered[block], columns, found)
                columns = columns[differs]
            else:
                measured = self._measure_block(first, features, read)
                self.rest[block - len(self.tops)][:, columns] = measured[:, places]
        found, finals = _select(state, torch.searchsorted(read, columns)), self.mine[columns]
        differs = ~_agree(found, _select(self.final, finals))
        _assign(self.final, finals, found)
        return columns[differs]

    def _read_block(
        self, first: int, state: BackboneState, read: Int[Tensor, " read"]
    ) -> tuple[Float[Tensor, "time read hidden"], BackboneState]:
        inputs = self.inputs[first : first + ROWS_PER_BLOCK, read].to(self.device)
        features, state = self.model(inputs, state)
        return features, state

    def _measure_block(
        self, first: int, features: Float[Tensor, "time read hidden"], read: Int[Tensor, " read"]
    ) -> Float[Tensor, "time read *measures"]:
        targets = self.targets[first : first + ROWS_PER_BLOCK, read].to(self.device)
        return self.measure(self.model.output_layer, features, targets).cpu()


def _select(state: BackboneState, columns: Tensor) -> BackboneState:
    return tuple(map_state(lambda tensor: tensor[columns], cell_state) for cell_state in state)


def _assign(state: BackboneState, columns: Tensor, values: BackboneState) -> None:
    for cell_state, cell_values in zip(state, values, strict=True):
        for tensor, value in zip(cell_state, cell_values, strict=True):
            tensor[columns] = value


def _agree(state: BackboneState, other: BackboneState) -> Tensor:
    """Say for each column whether all units of both states agree, on the CPU, where columns are counted."""
    pairs = [pair for both in zip(state, other, strict=True) for pair in zip(*both, strict=True)]
    agree = [((a - b).abs() <= STATE_TOLERANCE[a.dtype] * b.abs().clamp(min=1)).all(dim=1) for a, b in pairs]
    return torch.stack(agree).all(dim=0).cpu()
