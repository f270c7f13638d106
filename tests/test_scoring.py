"""The contract of the numbers: every token once, whatever the layout."""

import math

import numpy as np
import pytest
import torch

from lstmlm import scoring
from lstmlm.config.model import LSTMOptions, ModelOptions, RNNOptions
from lstmlm.metrics import NatsTotal, bits_per, perplexity
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.output_layers.output_layer import OutputLayer
from lstmlm.scoring import next_log_probabilities, score, score_each, score_tree

VOCAB, START = 13, 0


def model(name: str = "lstm") -> LanguageModel:
    backbone = {"lstm": LSTMOptions, "rnn": RNNOptions}[name](n_layers=2, hidden_size=16)
    built = build_language_model(ModelOptions(backbone=backbone, embedding_size=16), VOCAB, seed=1)
    with torch.no_grad():
        # Large weights make a model with opinions, whose predictions depend on its state.
        built.embedding.weight.mul_(20)
    return built


def text(n_tokens: int) -> np.ndarray:
    return np.random.default_rng(0).integers(VOCAB, size=n_tokens)


def by_hand(model: LanguageModel, tokens: np.ndarray) -> np.ndarray:
    """One token at a time, from the zero state after the start token."""
    state, previous, nats = model.initial_state(1), START, []
    for token in tokens:
        log_probabilities, state = next_log_probabilities(model, torch.tensor([[previous]]), state)
        nats.append(-log_probabilities[0, token].item())
        previous = int(token)
    return np.array(nats)


@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_is_the_sum_over_single_steps(name: str) -> None:
    double = model(name).double()
    tokens = text(300)
    np.testing.assert_allclose(score(double, tokens, START), by_hand(double, tokens), rtol=0, atol=1e-12)


in_both_formats = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-9)])


@in_both_formats
def test_a_uniform_model_is_as_perplexed_as_its_vocabulary_is_large(dtype: torch.dtype, tolerance: float) -> None:
    uniform = model().to(dtype)
    with torch.no_grad():
        uniform.embedding.weight.zero_()
    nats = score(uniform, text(5000), START)
    assert perplexity(nats.sum(), len(nats)) == pytest.approx(VOCAB, rel=tolerance)


@pytest.mark.parametrize("name", ["lstm", "rnn"])
@pytest.mark.parametrize("n_columns", [2, 7, 32])
@in_both_formats
def test_does_not_depend_on_the_number_of_columns(
    name: str, n_columns: int, dtype: torch.dtype, tolerance: float
) -> None:
    asked, tokens = model(name).to(dtype), text(6001)
    alone, together = score(asked, tokens, START, n_columns=1), score(asked, tokens, START, n_columns=n_columns)
    assert together.sum() == pytest.approx(alone.sum(), rel=tolerance)
    np.testing.assert_allclose(together, alone, rtol=0, atol=20 * tolerance)


@pytest.mark.parametrize("n_rows", [1, 35, 500])
@in_both_formats
def test_does_not_depend_on_the_length_of_windows(
    n_rows: int, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, tokens = model().to(dtype), text(1200)
    wanted = score(asked, tokens, START, n_columns=1)
    monkeypatch.setattr(scoring, "ROWS_PER_BLOCK", n_rows)
    assert score(asked, tokens, START, n_columns=3).sum() == pytest.approx(wanted.sum(), rel=tolerance)


@in_both_formats
def test_does_not_depend_on_the_number_of_threads(dtype: torch.dtype, tolerance: float) -> None:
    asked, tokens = model().to(dtype), text(5000)
    before, nats = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            nats.append(score(asked, tokens, START).sum())
    finally:
        torch.set_num_threads(before)
    assert nats[0] == pytest.approx(nats[1], rel=tolerance)


@pytest.mark.parametrize("n_columns", [5, 20])
def test_columns_join_up_even_where_nothing_is_ever_forgotten(n_columns: int) -> None:
    """A network that counts carries its state from the first token to the last: every column has to be re-read.

    It takes no more than a few readings, however many columns there are.
    """
    n_read = 0

    def count(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal n_read
        n_read += inputs[0].numel()

    asked = build_language_model(
        ModelOptions(backbone=RNNOptions(n_layers=1, hidden_size=2, nonlinearity="relu"), embedding_size=2), 3, seed=1
    ).double()
    with torch.no_grad():
        cell = asked.backbone.layers[0]
        cell.weight_ih.copy_(torch.eye(2))
        cell.weight_hh.copy_(torch.eye(2))
        cell.bias.zero_()
        asked.embedding.weight.copy_(torch.tensor([[0.0, 0.0], [0.001, 0.0], [0.0, 0.001]]))
    tokens = np.random.default_rng(1).integers(3, size=4000)
    alone = score(asked, tokens, START, n_columns=1)
    asked.register_forward_pre_hook(count)
    np.testing.assert_allclose(score(asked, tokens, START, n_columns=n_columns), alone, rtol=0, atol=1e-9)
    assert n_read <= 4 * len(tokens)


@pytest.mark.parametrize("n_tokens", [0, 1, 2, 31, 33])
def test_short_texts_in_many_columns(n_tokens: int) -> None:
    double, tokens = model().double(), text(n_tokens)
    found = score(double, tokens, START, n_columns=32)
    np.testing.assert_allclose(found, by_hand(double, tokens), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_texts_do_not_know_of_each_other(name: str) -> None:
    double = model(name).double()
    texts = [text(n_tokens).tolist() for n_tokens in (3, 0, 70, 1, *range(40))]
    for tokens, found in zip(texts, score_each(double, texts, START), strict=True):
        np.testing.assert_allclose(found, by_hand(double, np.array(tokens)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_context_tokens", [1, 5, 69, 70, 71, None])
@pytest.mark.parametrize("start_id", [START, None])
def test_what_a_token_is_given_can_be_chosen(
    n_context_tokens: int | None, start_id: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "ROWS_PER_BLOCK", 16)
    monkeypatch.setattr(scoring, "MAX_WINDOWS", 7)
    double, tokens = model().double(), text(70).tolist()
    wanted = []
    for position, token in enumerate(tokens):
        given = [*([] if start_id is None else [start_id]), *tokens[:position]][-(n_context_tokens or 1000) :]
        if given:
            inputs = torch.tensor(given)[:, None]
            log_probabilities, _ = next_log_probabilities(double, inputs, double.initial_state(1))
            wanted.append(-log_probabilities[0, token].item())
        else:
            wanted.append(math.log(VOCAB))  # the zero state tells tokens apart by their biases, which are 0
    [found, one, none] = score_each(double, [tokens, tokens[:1], []], start_id, n_context_tokens=n_context_tokens)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one, wanted[:1], rtol=0, atol=1e-12)
    assert len(none) == 0


def test_another_measure_of_each_token() -> None:
    double = model().double()

    def both(layer: OutputLayer, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.stack([layer.nats(features, targets), targets.double()], dim=-1)

    [found, empty] = score_each(double, [[4, 2], []], START, measure=both)
    assert found.shape == (2, 2)
    assert found[:, 1].tolist() == [4, 2]
    assert len(empty) == 0


def test_another_measure_of_a_text_in_columns() -> None:
    double, tokens = model().double(), text(600)

    def both(layer: OutputLayer, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer.nats(features, targets).unsqueeze(-1), features], dim=-1)

    alone, together = (score(double, tokens, START, n_columns=n, measure=both) for n in (1, 5))
    assert together.shape == (600, 17)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-11)
    np.testing.assert_allclose(together[:, 0], by_hand(double, tokens), rtol=0, atol=1e-11)


ALIKE = [[3, 4, 5, 6], [3, 4, 5], [3, 4, 7, 6], [8], [3, 4, 5, 6], [], [3], [9, 4, 5]]


@pytest.mark.parametrize("name", ["lstm", "rnn"])
@pytest.mark.parametrize("texts_per_tree", [1, 3, 2048])
def test_texts_that_begin_alike(name: str, texts_per_tree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "TEXTS_PER_TREE", texts_per_tree)
    double = model(name).double()
    for tokens, found in zip(ALIKE, score_tree(double, ALIKE, START), strict=True):
        np.testing.assert_allclose(found, by_hand(double, np.array(tokens)), rtol=0, atol=1e-12)


def test_what_texts_share_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    n_columns: list[int] = []
    forward = LanguageModel.forward

    def counted(self: LanguageModel, inputs: torch.Tensor, *rest: object) -> object:
        n_columns.append(inputs.shape[1])
        return forward(self, inputs, *rest)

    monkeypatch.setattr(LanguageModel, "forward", counted)
    score_tree(model(), ALIKE, START)
    # The start, then 3, 8 and 9, then 3 4 and 9 4, and so on.
    assert n_columns == [1, 3, 2, 3]


def test_texts_that_begin_alike_can_begin_in_a_state() -> None:
    double = model().double()
    _, state = double(torch.tensor([[START], [5]]), double.initial_state(1))
    for found, tokens in zip(score_tree(double, ALIKE, 7, state), ALIKE, strict=True):
        np.testing.assert_allclose(found, by_hand(double, np.array([5, 7, *tokens]))[2:], rtol=0, atol=1e-12)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_nats() -> None:
    asked, tokens = model().double(), text(6001)
    texts = [tokens[:first].tolist() for first in (3, 40, 90)]
    expected = [score(asked, tokens, START, n_columns=7), *score_each(asked, texts, START)]
    asked.to("cuda")
    for ours, theirs in zip(
        [score(asked, tokens, START, n_columns=7), *score_each(asked, texts, START)], expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_units() -> None:
    total = NatsTotal(2 * math.log(8), 1) + NatsTotal(math.log(8), 2)
    assert (total.n_tokens, total.perplexity) == (3, pytest.approx(8))
    assert bits_per(total.nats, 3) == pytest.approx(3)
    assert perplexity(1e6, 1) == math.inf
