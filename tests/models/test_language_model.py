"""The language model: tying, dropout, reproducible construction, and loading of weights."""

from copy import deepcopy

import pytest
import torch
from machine import COMPILES

from lstmlm.config.model import DropoutOptions, LSTMOptions, ModelOptions
from lstmlm.errors import CheckpointError
from lstmlm.models.language_model import build_language_model, load_weights, weights_of, with_rounded_matrices
from lstmlm.randomness import Randomness
from lstmlm.scoring import next_log_probabilities

VOCAB = 11


def options(**changes: object) -> ModelOptions:
    return ModelOptions.model_validate(
        {"backbone": LSTMOptions(n_layers=2, hidden_size=6), "embedding_size": 6, **changes}
    )


def tokens() -> torch.Tensor:
    return torch.randint(VOCAB, (5, 3), generator=torch.Generator().manual_seed(0))


def test_tied_weights_are_one_parameter_that_learns_from_both_ends() -> None:
    model = build_language_model(options(), VOCAB, seed=1)
    assert "output_layer.weight" not in weights_of(model)
    features, _ = model(tokens(), model.initial_state(3))
    model.output_layer.loss(features, tokens()).backward()
    untied = build_language_model(options(tie_weights=False), VOCAB, seed=1)
    with torch.no_grad():
        untied.output_layer.weight.copy_(model.embedding.weight)
    features, _ = untied(tokens(), untied.initial_state(3))
    untied.output_layer.loss(features, tokens()).backward()
    assert model.embedding.weight.grad is not None and untied.embedding.weight.grad is not None
    torch.testing.assert_close(
        model.embedding.weight.grad, untied.embedding.weight.grad + untied.output_layer.weight.grad
    )


def test_the_same_seed_builds_the_same_model() -> None:
    first, second, other = (weights_of(build_language_model(options(), VOCAB, seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def test_a_missing_target_costs_nothing() -> None:
    model = build_language_model(options(), VOCAB, seed=1)
    features, _ = model(tokens(), model.initial_state(3))
    targets = tokens()
    targets[-1, 2] = -1
    nats = model.output_layer.nats(features, targets)
    assert nats[-1, 2] == 0
    torch.testing.assert_close(model.output_layer.loss(features, targets), nats.sum())


@pytest.mark.parametrize("kind", ["embedding", "input", "hidden", "output", "state", "weight_drop"])
def test_each_dropout_acts_in_training_alone_and_repeats_by_seed(kind: str) -> None:
    model = build_language_model(options(dropout=DropoutOptions.model_validate({kind: 0.5})), VOCAB, seed=1)
    plain = build_language_model(options(), VOCAB, seed=1)
    state = model.initial_state(3)
    evaluated, wanted = model(tokens(), state)[0], plain(tokens(), state)[0]
    assert torch.equal(evaluated, wanted)
    dropped = model(tokens(), state, Randomness(1, step=3))[0]
    assert not torch.equal(dropped, wanted)
    assert torch.equal(dropped, model(tokens(), state, Randomness(1, step=3))[0])
    assert not torch.equal(dropped, model(tokens(), state, Randomness(1, step=4))[0])


def test_embedding_dropout_drops_a_word_wherever_it_occurs() -> None:
    model = build_language_model(options(dropout=DropoutOptions(embedding=0.5)), VOCAB, seed=1)
    seen: list[torch.Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    repeated = torch.arange(VOCAB).repeat(2).view(-1, 1)
    model(repeated, model.initial_state(1), Randomness(1, step=1))
    is_dropped = (seen[0] == 0).all(-1).squeeze(1)
    assert torch.equal(is_dropped[:VOCAB], is_dropped[VOCAB:])
    assert 0 < is_dropped.sum() < 2 * VOCAB
    kept = ~is_dropped
    torch.testing.assert_close(seen[0][kept, 0], 2 * model.embedding.weight[repeated[kept, 0]])


def test_outputs_can_be_had_before_their_dropout() -> None:
    model = build_language_model(options(dropout=DropoutOptions(input=0.25, output=0.25)), VOCAB, seed=1)
    state, randomness = model.initial_state(3), Randomness(5, step=1)
    features, after = model(tokens(), state, randomness)
    outputs, also_after = model.read(tokens(), state, randomness)
    assert outputs.ne(0).all()
    assert torch.equal(model.drop_outputs(outputs, randomness), features)
    assert torch.equal(model.drop_outputs(outputs, None), outputs)
    torch.testing.assert_close(also_after, after, rtol=0, atol=0)


def test_dropped_units_are_made_up_for() -> None:
    model = build_language_model(options(dropout=DropoutOptions(output=0.25)), VOCAB, seed=1)
    state = model.initial_state(3)
    plain, dropped = model(tokens(), state)[0], model(tokens(), state, Randomness(5, step=1))[0]
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)  # 0.75 is a multiple of 1/65536
    assert 0.5 < kept.double().mean() < 0.95


@pytest.mark.parametrize(
    "output", [{"name": "softmax"}, {"name": "adaptive", "cutoffs": (4,), "div_value": 1}, {"name": "mixture"}]
)
@pytest.mark.parametrize("backbone", ["rnn", "gru", "lstm", "layer_norm_lstm", "mogrifier"])
def test_rounded_matrices_predict_what_a_model_with_these_very_weights_does(backbone: str, output: object) -> None:
    model = build_language_model(
        options(backbone={"name": backbone, "n_layers": 2, "hidden_size": 6}, output=output), VOCAB, seed=1
    )
    before = {name: weight.clone() for name, weight in weights_of(model).items()}
    rounded, wide = with_rounded_matrices(model), deepcopy(model)
    assert all(torch.equal(before[name], weight) for name, weight in weights_of(model).items())
    assert rounded.embedding.weight.dtype == torch.bfloat16
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.copy_(parameter.bfloat16() if parameter.dim() > 1 else parameter)
    tolerance = 1e-5 if COMPILES else 2e-2  # torch's product rounds what it multiplies the matrices with, too
    states = [each.initial_state(3) for each in (rounded, wide)]
    for row in tokens():
        (got, states[0]), (wanted, states[1]) = (
            next_log_probabilities(each, row[None], state) for each, state in zip((rounded, wide), states, strict=True)
        )
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)


def test_weights_of_another_vocabulary_are_refused() -> None:
    model = build_language_model(options(), VOCAB, seed=1)
    other = weights_of(build_language_model(options(), VOCAB + 1, seed=1))
    before = {name: weight.clone() for name, weight in weights_of(model).items()}
    with pytest.raises(CheckpointError) as error:
        load_weights(model, other)
    assert str(error.value) == (
        "embedding.weight: the checkpoint has shape 12 x 6, the model of this configuration and vocabulary "
        "shape 11 x 6. It belongs to another model."
    )
    assert all(torch.equal(before[name], weight) for name, weight in weights_of(model).items())


def test_parts_of_a_batch_drop_what_the_whole_batch_does() -> None:
    model = build_language_model(
        options(dropout=DropoutOptions(embedding=0.2, input=0.5, hidden=0.5, output=0.5, weight_drop=0.3)), VOCAB, 1
    )
    inputs = torch.cat([tokens(), tokens()], dim=1)
    whole, _ = model(inputs, model.initial_state(6), Randomness(1, step=4))
    for part, columns in enumerate(inputs.chunk(3, dim=1)):
        features, _ = model(columns, model.initial_state(2), Randomness(1, 4, part, n_parts=3))
        torch.testing.assert_close(features, whole[:, 2 * part : 2 * part + 2])
