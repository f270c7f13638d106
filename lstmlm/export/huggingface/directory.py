"""Writes the directory that transformers loads, and compares what is read from it with the model."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from runpy import run_path
from typing import Any

import torch
from torch import Tensor, nn

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import MODEL, json_bytes
from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.config.model import ModelOptions
from lstmlm.corpus.reading.splits import beginning_of
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import CheckpointError
from lstmlm.export.comparison import require_same_log_probabilities
from lstmlm.export.huggingface.card import model_card
from lstmlm.export.huggingface.reading import (
    CONFIG,
    NGRAMS,
    OF_NETWORK,
    OF_RUN,
    PREFIX,
    SECTION,
    TOKENIZER,
    describe,
    read_network,
)
from lstmlm.export.huggingface.tokenizer import (
    SPLIT_SPECIAL_TOKENS,
    engine_of_transformers,
    probe,
    read_as_in_training,
    tokenizer_config,
    tokenizer_json,
)
from lstmlm.files import Block, publish_directory
from lstmlm.models.language_model import LanguageModel, weights_of
from lstmlm.models.output_layers.ngram_tables import PARTS

CODE = Path(__file__).parents[2] / "huggingface"
"""Of the classes that a directory brings along."""

NETWORK, MODELING = "network.py", "modeling_lstmlm.py"

CELL_OPTIONS = ("name", "nonlinearity", "input_gate_cap", "coupled_gates", "rounds", "rank")
OUTPUT_OPTIONS = ("name", "projection", "cutoffs", "div_value", "n_experts")
"""Those that matter after training."""


def export_huggingface(run: RunDirectory, model: LanguageModel, tokenizer: Tokenizer, path: Path) -> None:
    """Write a model and its tokenizer as a directory that transformers loads.

    Raises:
        ConfigError: the tokenizer cannot be expressed.
        CheckpointError: the directory cannot be written.
    """
    weights = {f"{PREFIX}{name}": tensor for name, tensor in _tensors(model).items()}
    start_id, content = tokenizer.start_id, tokenizer_json(tokenizer)
    config = tokenizer_config(tokenizer, content)
    generation: dict[str, object] = {"bos_token_id": start_id, "pad_token_id": start_id}
    if tokenizer.unk_id is not None:
        generation["suppress_tokens"] = [tokenizer.unk_id]
    files: dict[str, Iterable[Block]] = {
        MODEL: TensorFile.of(weights),
        CONFIG: [json_bytes(_config(run, model))],
        "generation_config.json": [json_bytes(generation)],
        "tokenizer.json": [read_as_in_training(content, run.config.data).encode()],
        "tokenizer_config.json": [json_bytes(config)],
        TOKENIZER: [tokenizer.to_json().encode()],
        "README.md": [model_card(path.name, run, model, tokenizer).encode()],
        **{name: [(CODE / name).read_bytes()] for name in (NETWORK, MODELING)},
    }
    publish_directory(path, files, lambda written: _verify(written, path, run, model, tokenizer))


def _tensors(model: LanguageModel) -> dict[str, Tensor]:
    """Weights and n-grams as the network names them; it has no use for what only a training needs."""
    tensors = weights_of(model)
    if model.ngrams is not None:
        tensors[OF_NETWORK] = tensors.pop(OF_RUN)
        ngrams = model.ngrams.tensors().items()
        tensors |= {f"{NGRAMS}{name}": tensor for name, tensor in ngrams if not name.endswith(PARTS[-1])}
    return tensors


def _config(run: RunDirectory, model: LanguageModel) -> dict[str, object]:
    module = Path(MODELING).stem
    return {
        "architectures": ["LstmlmForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{module}.LstmlmConfig",
            "AutoModelForCausalLM": f"{module}.LstmlmForCausalLM",
        },
        "model_type": "lstmlm",
        "dtype": "float32",
        "network": network_options(run.config.model, model),
        SECTION: describe(run),
    }


def network_options(options: ModelOptions, model: LanguageModel) -> dict[str, Any]:
    """The arguments of `network.RecurrentNetwork`."""
    cell, output = options.backbone.model_dump(mode="json"), options.output.model_dump(mode="json")
    return {
        "vocab_size": model.vocab_size,
        "embedding_size": options.embedding_size,
        "hidden_sizes": list(options.backbone.hidden_sizes),
        "tied": options.tie_weights,
        "layer_sum": options.backbone.skip == "layer_sum",
        "cell": {name: cell[name] for name in CELL_OPTIONS if name in cell},
        "output": {name: output[name] for name in OUTPUT_OPTIONS if name in output},
        "ngrams": None if model.ngrams is None else model.ngrams.sizes,
    }


def load_network(directory: Path) -> nn.Module:
    """The network of a directory, by its own code and without transformers. Raises CheckpointError if it is damaged."""
    # An import would leave its bytecode in the directory.
    code = run_path(str(directory / NETWORK), run_name="exported_network")
    config: Mapping[str, Any] = json.loads((directory / CONFIG).read_bytes())
    network: nn.Module = code["RecurrentNetwork"](**config["network"])
    network.load_state_dict(read_network(directory))
    return network


def _verify(directory: Path, path: Path, run: RunDirectory, model: LanguageModel, tokenizer: Tokenizer) -> None:
    """Compare what is read from a directory, which is to become `path`, with what was written to it."""
    content, config = (
        json.loads((directory / name).read_bytes()) for name in ("tokenizer.json", "tokenizer_config.json")
    )
    engine = engine_of_transformers(content, tokenizer, splits_special_tokens=config[SPLIT_SPECIAL_TOKENS])
    text = probe(tokenizer)
    if engine.encode(text).ids != [tokenizer.start_id, *tokenizer.encode_prompt(beginning_of(text, run.config.data))]:
        raise CheckpointError(f"{path}: its tokenizer gives other ids. Check the disk.")
    network = load_network(directory).double()

    @torch.inference_mode()
    def log_probabilities(ids: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = network(ids.T)[0]
        return read.transpose(0, 1)

    require_same_log_probabilities(log_probabilities, model, path)
