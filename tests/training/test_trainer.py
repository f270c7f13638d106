"""One update of the trainer, against the same update written out."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest
import torch

from lstmlm.config.data import DataOptions
from lstmlm.config.model import ModelOptions
from lstmlm.config.optimizer import SGDOptions
from lstmlm.config.schedule import ConstantOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.stream import TrainingStream
from lstmlm.errors import ConfigError
from lstmlm.models.language_model import build_language_model, load_weights, weights_of
from lstmlm.optim.optimizers import build_optimizer
from lstmlm.optim.schedules import build_schedule
from lstmlm.scoring import score
from lstmlm.training import trainer as trainers
from lstmlm.training.trainer import Trainer, n_training_steps

VOCAB = 9
NO_LINES = np.zeros(0, dtype=np.int64)


def trainer(
    clip_norm: float | None,
    n_epochs: int = 2,
    *,
    data: Mapping[str, object] = MappingProxyType({}),
    dropout: Mapping[str, float] = MappingProxyType({}),
    **options: object,
) -> Trainer:
    tokens = np.random.default_rng(0).integers(VOCAB, size=50).astype(np.int32)
    text = EncodedText("train.txt", "train", tokens, 0, NO_LINES, NO_LINES, 0, 0, "")
    stream = TrainingStream(
        text, 0, DataOptions.model_validate({"corpus": "./", "batch_size": 3, "bptt": 5, **data}), 1
    )
    model = build_language_model(
        ModelOptions.model_validate(
            {"backbone": {"name": "lstm", "hidden_size": 6}, "embedding_size": 6, "dropout": dict(dropout)}
        ),
        VOCAB,
        1,
    )
    training = TrainingOptions.model_validate({"n_epochs": n_epochs, **options})
    optimizer = build_optimizer(SGDOptions(learning_rate=2.0), model)
    schedule = build_schedule(ConstantOptions(), 2.0, n_training_steps(training, stream))
    return Trainer(training, model, optimizer, schedule, stream, clip_norm=clip_norm, seed=1)


def test_epochs_of_equal_windows_are_counted_by_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, epoch, asked = trainer(None).stream, TrainingStream.epoch, []
    monkeypatch.setattr(TrainingStream, "epoch", lambda of, number: asked.append(number) or epoch(of, number))
    assert n_training_steps(TrainingOptions(n_epochs=1_000), stream) == 4_000
    assert asked == [0]


def test_epochs_of_drawn_windows_are_counted_by_drawing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = trainer(None, data={"bptt": 10, "variable_bptt": True}).stream
    n_drawn = sum(stream.epoch(number).n_windows for number in range(5))
    assert n_training_steps(TrainingOptions(n_epochs=5), stream) == n_drawn
    n_windows = stream.epoch(0).n_windows
    monkeypatch.setattr(trainers, "MOST_DRAWN_WINDOWS", 5 * n_windows)
    with pytest.raises(ConfigError, match=f"^training.n_epochs: 6 epochs of about {n_windows} windows are too many"):
        n_training_steps(TrainingOptions(n_epochs=6), stream)


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_a_step_descends_along_the_clipped_gradient_of_the_mean_loss(clip_norm: float | None) -> None:
    trained, copied = trainer(clip_norm), trainer(clip_norm)
    model, window = copied.model, copied.stream.epoch(0).window(0)
    features, _ = model(window.inputs, model.initial_state(3))
    log_probabilities = model.output_layer.log_probabilities(features)
    (-log_probabilities.gather(-1, window.targets.unsqueeze(-1)).mean()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norm = torch.stack([gradient.norm() for gradient in gradients.values() if gradient is not None]).norm()
    scale = 1.0 if clip_norm is None else min(1.0, clip_norm / norm.item())
    assert clip_norm is None or scale < 1

    trained.train_step()
    for name, weight in weights_of(trained.model).items():
        gradient = gradients[name]
        assert gradient is not None
        torch.testing.assert_close(weight, weights_of(model)[name] - 2.0 * scale * gradient)


def test_the_state_is_carried_within_an_epoch_and_reset_at_its_end() -> None:
    trained = trainer(None)
    for _ in range(trained.stream.epoch(0).n_windows - 1):
        trained.train_step()
        assert any(tensor.any() for tensor in trained.training_tensors().values())
        assert not any(tensor.requires_grad for tensor in trained.training_tensors().values())
    trained.train_step()
    assert (trained.state.epoch, trained.state.window) == (1, 0)
    assert not any(tensor.any() for name, tensor in trained.training_tensors().items() if name.startswith("state/"))


def test_counts() -> None:
    trained = trainer(None, n_epochs=3)
    trained.fit([])
    assert trained.n_steps == trained.state.step == 3 * trained.stream.epoch(0).n_windows
    assert trained.state.n_tokens == 3 * 50
    assert trained.epoch == 3


def test_the_penalty_is_descended_but_not_reported() -> None:
    penalised, plain = trainer(None, regularization={"alpha": 2.0, "beta": 1.0}), trainer(None)
    model, window = trainer(None).model, plain.stream.epoch(0).window(0)
    outputs, _ = model(window.inputs, model.initial_state(3))
    objective = model.output_layer.loss(outputs, window.targets) / window.n_tokens
    objective = objective + 2 * outputs.pow(2).mean() + (outputs[1:] - outputs[:-1]).pow(2).mean()
    objective.backward()
    for trained in (penalised, plain):
        trained.train_step()
    assert penalised.state.unreported_nats == plain.state.unreported_nats
    for (name, weight), parameter in zip(weights_of(penalised.model).items(), model.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(weight, parameter.detach() - 2.0 * parameter.grad, msg=name)


def test_a_drawn_window_moves_the_weights_in_proportion_to_its_length() -> None:
    trained = trainer(None, data={"bptt": 10, "variable_bptt": True})
    epoch = trained.stream.epoch(0)
    window = epoch.window(0)
    assert len(window.inputs) != 10
    model = trainer(None).model
    outputs, _ = model(window.inputs, model.initial_state(3))
    (model.output_layer.loss(outputs, window.targets) / window.n_tokens).backward()
    trained.train_step()
    rate = 2.0 * len(window.inputs) / 10
    for (name, weight), parameter in zip(weights_of(trained.model).items(), model.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(weight, parameter.detach() - rate * parameter.grad, msg=name)
    assert trained.state.learning_rate == 2.0  # what is reported is the schedule's


def test_counts_of_drawn_windows() -> None:
    trained = trainer(None, n_epochs=4, data={"bptt": 10, "variable_bptt": True, "partial_shuffle": True})
    counts = [trained.stream.epoch(number).n_windows for number in range(4)]
    assert len(set(counts)) > 1
    assert trained.n_steps == sum(counts)
    ends = []
    for _ in range(trained.n_steps):
        before = trained.epoch
        trained.train_step()
        assert trained.epoch > before
        if trained.state.window == 0:
            ends.append(trained.state.step)
            assert trained.state.n_tokens == 50 * len(ends)
            assert trained.epoch == len(ends)
    assert ends == np.cumsum(counts).tolist()


def test_weight_drop_trains_the_raw_matrix() -> None:
    trained = trainer(None, dropout={"weight_drop": 0.5})
    before = {name: weight.clone() for name, weight in weights_of(trained.model).items()}
    trained.train_step()
    for name, weight in weights_of(trained.model).items():
        moved = (weight != before[name]).double().mean()
        # Dropped weights have no part in the window, and stay what they were.
        assert 0.2 < moved < 0.8 if name.endswith("weight_hh") else moved > 0.5, name


def test_weight_drop_does_not_touch_evaluation() -> None:
    tokens = np.arange(40, dtype=np.int32) % VOCAB
    dropping, plain = trainer(None, dropout={"weight_drop": 0.5, "state": 0.5}), trainer(None)
    assert np.array_equal(score(dropping.model, tokens, 0), score(plain.model, tokens, 0))
    dropping.train_step()
    once = score(dropping.model, tokens, 0)
    assert np.array_equal(score(dropping.model, tokens, 0), once)
    load_weights(plain.model, weights_of(dropping.model))
    assert np.array_equal(score(plain.model, tokens, 0), once)


def test_columns_forget_before_a_window() -> None:
    """With a probability of nearly one, training is that of windows which begin from zeros."""
    forgetting, zeroed = trainer(None, state_reset=0.99999), trainer(None)
    for _ in range(3):
        forgetting.train_step()
        zeroed._carried = zeroed.model.initial_state(3)
        zeroed.train_step()
    for name, weight in weights_of(forgetting.model).items():
        assert torch.equal(weight, weights_of(zeroed.model)[name]), name


DROPOUT = {"embedding": 0.2, "input": 0.3, "hidden": 0.3, "output": 0.3, "weight_drop": 0.2}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("implementation", ["reference", "fused"])
def test_groups_of_columns_make_the_update_of_the_whole_window(
    implementation: str, dtype: torch.dtype, tolerance: float
) -> None:
    """With dropout, with carried state, and at the end of the columns, where some have a token less."""

    def trained(accumulate: int) -> Trainer:
        tokens = np.random.default_rng(0).integers(VOCAB, size=58).astype(np.int32)
        text = EncodedText("train.txt", "train", tokens, 0, NO_LINES, NO_LINES, 0, 0, "")
        stream = TrainingStream(text, 0, DataOptions(corpus="./", batch_size=4, bptt=5))
        backbone = {"name": "lstm", "hidden_size": 6, "implementation": implementation}
        options = ModelOptions.model_validate({"backbone": backbone, "embedding_size": 6, "dropout": DROPOUT})
        model = build_language_model(options, VOCAB, 1).to(dtype)
        optimizer = build_optimizer(SGDOptions(learning_rate=1.0, momentum=0.5), model)
        trainer = Trainer(
            TrainingOptions(n_epochs=2, accumulate=accumulate),
            model,
            optimizer,
            build_schedule(ConstantOptions(), 1.0, 2 * stream.epoch(0).n_windows),
            stream,
            clip_norm=0.2,
            seed=1,
        )
        for _ in range(stream.epoch(0).n_windows + 1):
            trainer.train_step()
        return trainer

    whole = trained(1)
    for accumulate in (2, 4):
        parts = trained(accumulate)
        assert parts.state.unreported_nats == pytest.approx(whole.state.unreported_nats, rel=tolerance)
        for ours, theirs in (
            (weights_of(parts.model), weights_of(whole.model)),
            (parts.training_tensors(), whole.training_tensors()),
        ):
            assert ours.keys() == theirs.keys()
            for name in ours:
                torch.testing.assert_close(ours[name], theirs[name], rtol=tolerance, atol=tolerance)
