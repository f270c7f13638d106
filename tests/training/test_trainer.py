"""One update of the trainer, against the same update written out."""

import numpy as np
import pytest
import torch

from lstmlm.config.data import DataOptions
from lstmlm.config.model import ModelOptions
from lstmlm.config.optimizer import SGDOptions
from lstmlm.config.schedule import ConstantOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.datasets import EncodedText
from lstmlm.corpus.stream import TrainingStream
from lstmlm.models.language_model import build_language_model, weights_of
from lstmlm.optim.optimizers import build_optimizer
from lstmlm.optim.schedules import build_schedule
from lstmlm.training.trainer import Trainer, n_training_steps

VOCAB = 9


def trainer(clip_norm: float | None, n_epochs: int = 2) -> Trainer:
    tokens = np.random.default_rng(0).integers(VOCAB, size=50).astype(np.int32)
    text = EncodedText("train.txt", "train", tokens, 0, 0, 0, 0, "")
    stream = TrainingStream(text, 0, DataOptions(corpus="./", batch_size=3, bptt=5))
    model = build_language_model(
        ModelOptions.model_validate({"backbone": {"name": "lstm", "hidden_size": 6}, "embedding_size": 6}), VOCAB, 1
    )
    options = TrainingOptions(n_epochs=n_epochs)
    optimizer = build_optimizer(SGDOptions(learning_rate=2.0), model)
    schedule = build_schedule(ConstantOptions(), 2.0, n_training_steps(options, stream))
    return Trainer(options, model, optimizer, schedule, stream, clip_norm=clip_norm, seed=1)


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_a_step_descends_along_the_clipped_gradient_of_the_mean_loss(clip_norm: float | None) -> None:
    trained, copied = trainer(clip_norm), trainer(clip_norm)
    model, window = copied.model, copied.stream.window(0)
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
    for _ in range(trained.stream.n_windows - 1):
        trained.train_step()
        assert any(tensor.any() for tensor in trained.training_tensors().values())
        assert not any(tensor.requires_grad for tensor in trained.training_tensors().values())
    trained.train_step()
    assert (trained.state.epoch, trained.state.window) == (1, 0)
    assert not any(tensor.any() for name, tensor in trained.training_tensors().items() if name.startswith("state/"))


def test_counts() -> None:
    trained = trainer(None, n_epochs=3)
    trained.fit([])
    assert trained.n_steps == trained.state.step == 3 * trained.stream.n_windows
    assert trained.state.n_tokens == 3 * 50
    assert trained.epoch == 3


DROPOUT = {"embedding": 0.2, "input": 0.3, "hidden": 0.3, "output": 0.3, "weight_drop": 0.2}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("implementation", ["reference", "fused"])
def test_groups_of_columns_make_the_update_of_the_whole_window(
    implementation: str, dtype: torch.dtype, tolerance: float
) -> None:
    """With dropout, with carried state, and at the end of the columns, where some have a token less."""

    def trained(accumulate: int) -> Trainer:
        tokens = np.random.default_rng(0).integers(VOCAB, size=58).astype(np.int32)
        text = EncodedText("train.txt", "train", tokens, 0, 0, 0, 0, "")
        stream = TrainingStream(text, 0, DataOptions(corpus="./", batch_size=4, bptt=5))
        backbone = {"name": "lstm", "hidden_size": 6, "implementation": implementation}
        options = ModelOptions.model_validate({"backbone": backbone, "embedding_size": 6, "dropout": DROPOUT})
        model = build_language_model(options, VOCAB, 1).to(dtype)
        optimizer = build_optimizer(SGDOptions(learning_rate=1.0, momentum=0.5), model)
        trainer = Trainer(
            TrainingOptions(n_epochs=2, accumulate=accumulate),
            model,
            optimizer,
            build_schedule(ConstantOptions(), 1.0, 2 * stream.n_windows),
            stream,
            clip_norm=0.2,
            seed=1,
        )
        for _ in range(stream.n_windows + 1):
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
