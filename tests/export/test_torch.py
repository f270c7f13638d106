"""Weights for PyTorch's own layers, and runs from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lstmlm import workflows
from lstmlm.errors import CheckpointError, ConfigError, DataError
from lstmlm.export.huggingface import export_huggingface
from lstmlm.export.torch_import import import_torch
from lstmlm.export.torch_weights import export_torch
from lstmlm.scoring import score

TEXT = "the farmer waits by the old river\na cat , a dog\n" * 5


def small(**backbone: Any) -> dict[str, Any]:
    return {"backbone": {"n_layers": 2, "hidden_size": 8, "name": "lstm", **backbone}, "embedding_size": 8}


def nats_of(trained: Any) -> np.ndarray:
    return score(trained.model, trained.tokenizer.encode(TEXT), trained.tokenizer.start_id)


MODELS = {
    "rnn": small(name="rnn"),
    "relu": small(name="rnn", nonlinearity="relu"),
    "gru": small(name="gru") | {"tie_weights": False},
    "lstm": small(name="lstm"),
    "coupled": small(name="lstm", coupled_gates=True),
    "coupled, capped": small(name="lstm", coupled_gates=True, input_gate_cap=True),
    "projection": small(name="lstm", hidden_size=12) | {"output": {"name": "softmax", "projection": True}},
}


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_every_token_has_its_surprisal(make_run: Callable[..., Any], tmp_path: Path, name: str) -> None:
    trained = make_run(MODELS[name])
    file = tmp_path / "weights.safetensors"
    export_torch(trained.run, trained.model, trained.tokenizer, file)
    nonlinearity = "relu" if name == "relu" else None
    import_torch(file, trained.run.path, tmp_path / "imported", nonlinearity)
    imported = workflows.load(tmp_path / "imported")
    np.testing.assert_allclose(nats_of(imported), nats_of(trained), atol=1e-4)
    with pytest.raises(DataError, match=r"imported: was exported or imported, and has no corpus\."):
        imported.encode_split("train")


def test_a_wide_projection_is_multiplied_to_the_last_digit(make_run: Callable[..., Any], tmp_path: Path) -> None:
    output = {"output": {"name": "softmax", "projection": True}}
    trained = make_run(small(name="lstm", hidden_size=300) | {"embedding_size": 100} | output)
    with torch.no_grad():
        trained.model.output_layer.projection.mul_(30)
    file = tmp_path / "weights.safetensors"
    export_torch(trained.run, trained.model, trained.tokenizer, file)  # which refuses what is another model
    product = trained.model.embedding.weight.double() @ trained.model.output_layer.projection.double()
    torch.testing.assert_close(load_file(file)["decoder.weight"], product.float(), rtol=0, atol=0)


def test_torch_loads_the_names_of_its_example(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained = make_run(MODELS["gru"])
    export_torch(trained.run, trained.model, trained.tokenizer, tmp_path / "weights.safetensors")
    vocab_size = trained.tokenizer.vocab_size
    example = torch.nn.ModuleDict(
        {
            "encoder": torch.nn.Embedding(vocab_size, 8),
            "rnn": torch.nn.GRU(8, 8, 2),
            "decoder": torch.nn.Linear(8, vocab_size),
        }
    )
    example.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    ids = torch.tensor([trained.tokenizer.start_id, *trained.tokenizer.encode(TEXT)])
    found = example["decoder"](example["rnn"](example["encoder"](ids[:-1]))[0])
    nats = torch.nn.functional.cross_entropy(found, ids[1:], reduction="none")
    np.testing.assert_allclose(nats.detach(), nats_of(trained), atol=1e-4)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (small(name="mogrifier"), "model.backbone.name is mogrifier"),
        (small(name="layer_norm_lstm"), "model.backbone.name is layer_norm_lstm"),
        (small(name="lstm", hidden_size=(9, 8)), "hidden_size differs from layer to layer"),
        (small(name="lstm", skip="layer_sum"), "skip is layer_sum"),
        (small(name="lstm", input_gate_cap=True), "input_gate_cap"),
        (small() | {"output": {"name": "mixture"}}, "model.output.name is mixture"),
        (small() | {"output": {"name": "adaptive", "cutoffs": (5,)}}, "model.output.name is adaptive"),
    ],
)
def test_what_the_format_cannot_say_is_named(
    make_run: Callable[..., Any], tmp_path: Path, model: Any, problem: str
) -> None:
    trained = make_run(model)
    with pytest.raises(ConfigError, match=f"{problem}.*lstmlm export huggingface DIR"):
        export_torch(trained.run, trained.model, trained.tokenizer, tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()


def change(tensors: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {key: tensor for key, tensor in (tensors | {name: value}).items() if tensor is not None}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("decoder.bias", None, "decoder.bias is missing. If there is no bias, give zeros."),
        ("rnn.weight_ih_l1", torch.zeros(3, 3), "rnn.weight_ih_l1 has shape 3 x 3, .* would have 32 x 8."),
        (
            "rnn.weight_hr_l0",
            torch.zeros(2),
            "rnn.weight_hr_l0 is unknown. A projection .proj_size. cannot be imported.",
        ),
        ("rnn.weight_hh_l0", torch.full((32, 8), torch.nan), "rnn.weight_hh_l0 has numbers that are not finite."),
        ("encoder.weight", None, "has no encoder.weight"),
        ("rnn.weight_hh_l0", torch.zeros(5, 2), "has no encoder.weight and rnn.weight_hh_l0"),
    ],
)
def test_tensors_that_do_not_fit_have_a_line_each(
    make_run: Callable[..., Any], tmp_path: Path, name: str, value: Any, message: str
) -> None:
    trained = make_run(small(name="lstm"))
    export_torch(trained.run, trained.model, trained.tokenizer, tmp_path / "good.safetensors")
    file = tmp_path / "bad.safetensors"
    save_file(change(load_file(tmp_path / "good.safetensors"), name, value), file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        import_torch(file, trained.run.path, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


def test_a_nonlinearity_is_of_an_rnn_alone(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained, file = make_run(small()), tmp_path / "weights.safetensors"
    export_torch(trained.run, trained.model, trained.tokenizer, file)
    with pytest.raises(ConfigError, match=f"--nonlinearity relu: is of an nn.RNN, and {file} has an nn.LSTM."):
        import_torch(file, trained.run.path, tmp_path / "imported", "relu")


def test_a_vocabulary_of_another_size_is_refused(make_run: Callable[..., Any], tmp_path: Path) -> None:
    trained, other = make_run(small()), make_run(small(), {"name": "byte"}, "other")
    export_torch(trained.run, trained.model, trained.tokenizer, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="encoder.weight has 20 rows, .*other 256 tokens"):
        import_torch(tmp_path / "weights.safetensors", other.run.path, tmp_path / "imported")


@pytest.mark.parametrize("eos", ["line", "never"])
def test_a_run_or_an_exported_one_says_how_texts_are_read(
    make_run: Callable[..., Any], tmp_path: Path, eos: str
) -> None:
    trained = make_run(small(), {"name": "word", "min_count": 2}, eos=eos)
    export_torch(trained.run, trained.model, trained.tokenizer, tmp_path / "weights.safetensors")
    export_huggingface(trained.run, trained.model, trained.tokenizer, tmp_path / "exported")
    for place in (trained.run.path, tmp_path / "exported"):
        imported = tmp_path / f"imported from {place.name}"
        import_torch(tmp_path / "weights.safetensors", place, imported)
        found, there = (workflows.load(path).run.config.data for path in (imported, trained.run.path))
        assert (found.tokenizer, found.eos) == (there.tokenizer, there.eos)
        assert found.tokenizer.min_count == 2 and found.eos == eos


def test_the_nonlinearity_that_the_file_does_not_say_is_named(
    make_run: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lstmlm.cli.export.torch import torch as export_torch_command

    for name, told in (("tanh", False), ("relu", True)):
        trained = make_run(small(name="rnn", nonlinearity=name), name=name)
        export_torch_command(tmp_path / f"{name}.safetensors", trained.run.path)
        assert ("To import them: --nonlinearity relu" in capsys.readouterr().err) == told
