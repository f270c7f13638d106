"""What a graph of a window computes, against the same windows one by one.

There is no graph without a GPU: what stands in for it runs the captured function again, on the memory that it was
captured with, and leaves the results where they were the first time.
"""

import itertools
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import Tensor

from lstmlm.config.data import DataOptions
from lstmlm.config.model import ModelOptions
from lstmlm.config.optimizer import AdamOptions
from lstmlm.config.schedule import ConstantOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.stream import TrainingStream
from lstmlm.errors import DivergenceError
from lstmlm.models.language_model import build_language_model, weights_of
from lstmlm.optim.optimizers import build_optimizer
from lstmlm.optim.schedules import build_schedule
from lstmlm.training.graph import WindowResults
from lstmlm.training.trainer import Trainer

VOCAB, BPTT, N_COLUMNS, N_STEPS = 17, 5, 4, 14
NO_LINES = np.zeros(0, dtype=np.int64)
DROPOUT = {"embedding": 0.2, "input": 0.3, "hidden": 0.3, "output": 0.3, "weight_drop": 0.2, "state": 0.2}
MIXTURE = {"output": {"name": "mixture", "n_experts": 2, "latent_dropout": 0.3}}


def trainer(
    *,
    model: Mapping[str, object] = MappingProxyType({}),
    data: Mapping[str, object] = MappingProxyType({}),
    device: str = "cpu",
    **training: object,
) -> Trainer:
    tokens = np.random.default_rng(0).integers(VOCAB, size=4 * 32 + 2).astype(np.int32)
    text = EncodedText("train.txt", "train", tokens, 0, NO_LINES, NO_LINES, 0, 0, "")
    options = DataOptions.model_validate({"corpus": "./", "batch_size": N_COLUMNS, "bptt": BPTT, **data})
    stream = TrainingStream(text, 0, options, 1, torch.device(device))
    backbone = {"name": "lstm", "hidden_size": 6, "n_layers": 2}
    lm_options = {"backbone": backbone, "embedding_size": 6, "dropout": DROPOUT, **model}
    language_model = build_language_model(ModelOptions.model_validate(lm_options), VOCAB, 1).to(device)
    return Trainer(
        TrainingOptions.model_validate({"n_steps": N_STEPS, **training}),
        language_model,
        build_optimizer(AdamOptions(learning_rate=0.01), language_model),
        build_schedule(ConstantOptions(), 0.01, N_STEPS),
        stream,
        clip_norm=0.2,
        seed=1,
    )


class Rerun:
    """Stands in for a graph; counts how often it is used."""

    def __init__(self) -> None:
        self.n_replays = 0

    def __call__(self, function: Callable[[], WindowResults]) -> tuple[WindowResults, Callable[[], None]]:
        places = function()

        def replay() -> None:
            self.n_replays += 1
            for place, tensor in zip(tensors_of(places), tensors_of(function()), strict=True):
                place.copy_(tensor)

        return places, replay


def tensors_of(results: WindowResults) -> list[Tensor]:
    gradients = [gradient for gradient in results.gradients if gradient is not None]
    return [results.loss, results.norm, *itertools.chain.from_iterable(results.state), *gradients]


def captured(**options: object) -> tuple[Trainer, Rerun]:
    trained, rerun = trainer(**options), Rerun()  # type: ignore[arg-type]
    trained._gradient._capture = rerun
    return trained, rerun


def step_facts(trained: Trainer) -> list[Tensor]:
    """What a step leaves: its loss and norm, gradients, weights and the tensors of a checkpoint."""
    numbers = torch.tensor([trained.state.unreported_nats, trained._gradient_norm], dtype=torch.float64)
    gradients = [p.grad.clone() for p in trained.model.parameters() if p.grad is not None]
    kept = {**weights_of(trained.model), **trained.training_tensors()}
    return [numbers, *gradients, *(tensor.clone() for tensor in kept.values())]


def assert_same_steps(one: Trainer, other: Trainer, n_steps: int) -> None:
    for _ in range(n_steps):
        one.train_step()
        other.train_step()
        for ours, theirs in zip(step_facts(one), step_facts(other), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 2},
        {"regularization": {"alpha": 2.0, "beta": 1.0}, "state_reset": 0.3},
        {"model": MIXTURE},
        {"data": {"partial_shuffle": True}},
    ],
    ids=str,
)
def test_a_graph_computes_what_is_computed_without_it(options: dict[str, object]) -> None:
    """Over an end of an epoch, where windows are shorter and columns end, so that some are not the graph's."""
    graph, rerun = captured(**options)
    assert_same_steps(graph, trainer(**options), N_STEPS)  # type: ignore[arg-type]
    # Of the seven windows of an epoch, the last is of the three rows that are left.
    assert graph.stream.epoch(0).n_windows == 7
    assert rerun.n_replays == 12


def test_windows_of_drawn_lengths_are_not_the_graphs() -> None:
    options = {"data": {"bptt": 10, "variable_bptt": True}}
    graph, rerun = captured(**options)
    assert_same_steps(graph, trainer(**options), N_STEPS)  # type: ignore[arg-type]
    assert rerun.n_replays < N_STEPS


def test_a_resumed_training_goes_on_as_the_graph_would_have() -> None:
    graph, _ = captured()
    for _ in range(3):
        graph.train_step()
    resumed, rerun = captured()
    resumed.train_step()  # an epoch on the way: captured before it is restored
    copies = [{name: t.clone() for name, t in of.items()} for of in (weights_of(graph.model), graph.training_tensors())]
    resumed.restore(copies[0], copies[1], graph.copy_of_state())
    assert_same_steps(graph, resumed, 5)
    assert rerun.n_replays > 3


def test_a_loss_that_is_not_finite_leaves_weights_and_state() -> None:
    graph, _ = captured()
    graph.train_step()
    before = [tensor.clone() for tensor in (*weights_of(graph.model).values(), *graph.training_tensors().values())]
    bias = graph.model.output_layer.bias.data
    bias[3], kept = torch.inf, bias[3].clone()
    with pytest.raises(DivergenceError):
        graph.train_step()
    bias[3] = kept
    after = (*weights_of(graph.model).values(), *graph.training_tensors().values())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(before, after, strict=True))


def test_without_a_graph_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fail(function: Callable[[], WindowResults]) -> tuple[WindowResults, Callable[[], None]]:
        function()
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    trained = trainer()
    trained._gradient._capture = fail
    with caplog.at_level(logging.WARNING):
        assert_same_steps(trained, trainer(), 3)
    assert caplog.messages == [
        "training is not captured as a CUDA graph (operation not permitted when stream is capturing): "
        "the slower way is taken."
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"model": MIXTURE}], ids=str)
def test_a_cuda_graph_computes_what_is_computed_without_it(options: dict[str, object]) -> None:
    graph, plain = (trainer(device="cuda", **options) for _ in range(2))  # type: ignore[arg-type]
    plain._gradient._capture = None
    assert_same_steps(graph, plain, N_STEPS)
    assert graph._gradient._graph is not None
