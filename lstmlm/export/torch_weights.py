"""Weights under the names of PyTorch's example `word_language_model`, to it and from it.

The model there is `encoder` (an `nn.Embedding`), `rnn` (an `nn.LSTM`, `nn.GRU` or `nn.RNN`) and `decoder` (an
`nn.Linear`). Its two biases of a layer are added up here, all but those of a GRU's candidate.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.config.model import BackboneOptions, ModelOptions
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import CheckpointError, ConfigError
from lstmlm.export.comparison import require_same_log_probabilities
from lstmlm.files import open_to_read, size_of, write_blocks_atomically
from lstmlm.models.language_model import LanguageModel, weights_of

N_GATES = {"rnn": 1, "gru": 3, "lstm": 4}
LAYERS: Mapping[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

SAVE_ANEW = "Save one: safetensors.torch.save_file({name: t.clone() for name, t in model.state_dict().items()}, FILE)"


def export_torch(run: RunDirectory, model: LanguageModel, _: Tokenizer, path: Path) -> None:
    """Write the weights of a model as a safetensors file.

    Raises:
        ConfigError: the model has a part that PyTorch's layers have not.
        CheckpointError: the file cannot be written.
    """
    options = run.config.model
    _require_expressible(run, options)
    tensors = _to_torch(options, weights_of(model))

    def verify(written: Path) -> None:
        require_same_log_probabilities(torch_model(options.backbone, read_tensors(written)), model, path)

    write_blocks_atomically(path, TensorFile.of(tensors), verify)


def _require_expressible(run: RunDirectory, options: ModelOptions) -> None:
    backbone, output, order = options.backbone, options.output, options.ngram_order
    problems = {
        f"model.backbone.name is {backbone.name}, which is no layer of PyTorch's": backbone.name not in N_GATES,
        "model.backbone.hidden_size differs from layer to layer": len(set(backbone.hidden_sizes)) > 1,
        "model.backbone.skip is layer_sum, which adds all layers' outputs": backbone.skip == "layer_sum",
        "model.backbone.input_gate_cap holds the input gate": getattr(backbone, "input_gate_cap", False)
        and not getattr(backbone, "coupled_gates", False),  # which has no other input gate than that
        f"model.output.name is {output.name}, which is no single matrix": output.name != "softmax",
        f"model.ngram_order is {order}, no layer (train with --set model.ngram_order=null)": order is not None,
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if found:
        raise ConfigError(
            f"{run.path}: cannot be weights of nn.LSTM, nn.GRU or nn.RNN with a decoder: {'; '.join(found)}. "
            "Export it as a whole: lstmlm export huggingface DIR"
        )


def _to_torch(options: ModelOptions, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors = {"encoder.weight": weights["embedding.weight"], "decoder.bias": weights["output_layer.bias"]}
    decoder = weights["embedding.weight" if options.tie_weights else "output_layer.weight"]
    projection = weights.get("output_layer.projection")
    # Rounded once: sums in float32 would be another model to the last digits that are compared.
    tensors["decoder.weight"] = decoder if projection is None else (decoder.double() @ projection.double()).to(decoder)
    for layer in range(options.backbone.n_layers):
        cell = f"backbone.cells.{layer}."
        weight_ih, weight_hh, bias = (
            _with_input_gate(options.backbone, weights[f"{cell}{name}"]) for name in ("weight_ih", "weight_hh", "bias")
        )
        tensors |= {f"rnn.weight_ih_l{layer}": weight_ih, f"rnn.weight_hh_l{layer}": weight_hh}
        of_hidden = torch.zeros_like(bias)
        if options.backbone.name == "gru":
            of_hidden[-options.backbone.hidden_sizes[layer] :] = weights[f"{cell}bias_hn"]
        tensors |= {f"rnn.bias_ih_l{layer}": bias, f"rnn.bias_hh_l{layer}": of_hidden}
    return tensors


def _with_input_gate(options: BackboneOptions, rows: Tensor) -> Tensor:
    """Add the input gate of coupled ones, which the others leave out: 1 - sigmoid(f) = sigmoid(-f)."""
    return torch.cat([-rows[: len(rows) // 3], rows]) if getattr(options, "coupled_gates", False) else rows


def from_torch(options: ModelOptions, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a model of `options`, as `weights_of` names them."""
    weights = {"embedding.weight": tensors["encoder.weight"], "output_layer.bias": tensors["decoder.bias"]}
    if not options.tie_weights:
        weights["output_layer.weight"] = tensors["decoder.weight"]
    for layer in range(options.backbone.n_layers):
        cell = f"backbone.cells.{layer}."
        weights |= {f"{cell}{name}": tensors[f"rnn.{name}_l{layer}"] for name in ("weight_ih", "weight_hh")}
        bias, of_hidden = (tensors[f"rnn.bias_{part}_l{layer}"].clone() for part in ("ih", "hh"))
        if options.backbone.name == "gru":
            width = options.backbone.hidden_sizes[layer]
            weights[f"{cell}bias_hn"] = of_hidden[-width:].clone()
            of_hidden[-width:] = 0
        weights[f"{cell}bias"] = bias + of_hidden
    return weights


def torch_model(options: BackboneOptions, tensors: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """PyTorch's own layers with these weights, in float64: from ids (time, batch) to (time, batch, vocab)."""
    vocab_size, embedding_size = tensors["encoder.weight"].shape
    kwargs = {"nonlinearity": getattr(options, "nonlinearity")} if options.name == "rnn" else {}  # noqa: B009
    width = options.hidden_sizes[0]
    model = nn.ModuleDict(
        {
            "encoder": nn.Embedding(vocab_size, embedding_size),
            "rnn": LAYERS[options.name](embedding_size, width, options.n_layers, **kwargs),
            "decoder": nn.Linear(width, vocab_size),
        }
    )
    model.load_state_dict(tensors)
    model.double()
    return lambda ids: torch.log_softmax(model["decoder"](model["rnn"](model["encoder"](ids))[0]), dim=-1)


def read_tensors(path: Path, remedy: str = SAVE_ANEW) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises CheckpointError if it is none, with what to do then."""
    size = size_of(path)
    with open_to_read(path) as file:
        try:
            return TensorFile.read(file, size).tensors
        except ValueError as error:
            raise CheckpointError(f"{path}: is no safetensors file ({error}). {remedy}") from None


def options_of(path: Path, tensors: Mapping[str, Tensor], nonlinearity: str | None = None) -> ModelOptions:
    """What model these tensors are the weights of.

    Raises:
        CheckpointError: a tensor is missing, unknown, not finite, or of another shape than the others say; each has a
            line.
        ConfigError: a nonlinearity is given, and the weights are not those of an nn.RNN.
    """
    sizes = _sizes(tensors)
    if sizes is None:
        raise CheckpointError(
            f"{path}: has no encoder.weight and rnn.weight_hh_l0 as PyTorch's word_language_model has them, but "
            f"{_listed(tensors)}. Rename its tensors."
        )
    name, n_layers, width, embedding_size, vocab_size = sizes
    shapes = {"encoder.weight": (vocab_size, embedding_size), "decoder.weight": (vocab_size, width)}
    shapes["decoder.bias"] = (vocab_size,)  # type: ignore[assignment]
    n_rows = N_GATES[name] * width
    for layer in range(n_layers):
        shapes[f"rnn.weight_ih_l{layer}"] = (n_rows, width if layer else embedding_size)
        shapes[f"rnn.weight_hh_l{layer}"] = (n_rows, width)
        shapes |= {f"rnn.bias_{part}_l{layer}": (n_rows,) for part in ("ih", "hh")}  # type: ignore[misc]
    problems = [
        f"{path}: {tensor} is missing.{' If there is no bias, give zeros.' if '.bias' in tensor else ''}"
        for tensor in shapes
        if tensor not in tensors
    ]
    problems += [
        f"{path}: {tensor} is unknown.{' A projection (proj_size) cannot be imported.' if '_hr_' in tensor else ''}"
        for tensor in tensors
        if tensor not in shapes
    ]
    problems += [
        f"{path}: {tensor} has shape {_shape(tensors[tensor].shape)}, an nn.{name.upper()} of {n_layers} "
        f"layers of {width} units would have {_shape(shape)}."
        for tensor, shape in shapes.items()
        if tensor in tensors and tuple(tensors[tensor].shape) != shape
    ]
    problems += [
        f"{path}: {tensor} has numbers that are not finite."
        for tensor in tensors
        if not tensors[tensor].isfinite().all()
    ]
    if problems:
        raise CheckpointError("\n".join(problems))
    if nonlinearity is not None and name != "rnn":
        raise ConfigError(
            f"--nonlinearity {nonlinearity}: is of an nn.RNN, and {path} has an nn.{name.upper()}. Leave it out."
        )
    is_tied = torch.equal(tensors["encoder.weight"], tensors["decoder.weight"])
    backbone = {"name": name, "n_layers": n_layers, "hidden_size": width}
    if name == "rnn":
        backbone["nonlinearity"] = nonlinearity or "tanh"
    return ModelOptions.model_validate({"backbone": backbone, "embedding_size": embedding_size, "tie_weights": is_tied})


def _sizes(tensors: Mapping[str, Tensor]) -> tuple[str, int, int, int, int] | None:
    """Cell, layers, and widths of hidden state, embedding and vocabulary; None where they cannot be told."""
    encoder, hidden = tensors.get("encoder.weight"), tensors.get("rnn.weight_hh_l0")
    if encoder is None or hidden is None or encoder.dim() != 2 or hidden.dim() != 2 or hidden.shape[1] == 0:
        return None
    n_rows, width = hidden.shape
    cells = [name for name, n_gates in N_GATES.items() if n_gates * width == n_rows]
    n_layers = sum(name.startswith("rnn.weight_hh_l") and name[15:].isdecimal() for name in tensors)
    return (cells[0], n_layers, width, encoder.shape[1], encoder.shape[0]) if cells else None


def _shape(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, sizes))


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join([*listed[:4], *(["…"] if len(listed) > 4 else [])])
