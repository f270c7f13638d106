"""Writes the directory that transformers loads, and compares what is read from it with the model."""

import json
from collections.abc import Iterable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import tokenizers as library
import torch
from torch import nn

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import MODEL, json_bytes
from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.config.model import ModelOptions
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import CheckpointError
from lstmlm.export.comparison import require_network_alone, require_same_log_probabilities
from lstmlm.export.huggingface.card import model_card
from lstmlm.export.huggingface.reading import CONFIG, PREFIX, SECTION, TOKENIZER, ExportedRun, describe
from lstmlm.export.huggingface.tokenizer import probe, tokenizer_config, tokenizer_json
from lstmlm.files import Block, publish_directory
from lstmlm.models.language_model import LanguageModel, weights_of

CODE = Path(__file__).parents[2] / "huggingface"
"""Of the classes that a directory brings along."""

NETWORK, MODELING = "network.py", "modeling_lstmlm.py"

CELL_OPTIONS = ("name", "nonlinearity", "input_gate_cap", "rounds", "rank")
OUTPUT_OPTIONS = ("name", "projection", "cutoffs", "div_value", "n_experts")
"""Those that matter after training."""


def export_huggingface(run: RunDirectory, model: LanguageModel, tokenizer: Tokenizer, path: Path) -> None:
    """Write a model and its tokenizer as a directory that transformers loads.

    Raises:
        ConfigError: the tokenizer, or what the network is mixed with, cannot be expressed.
        CheckpointError: the directory cannot be written.
    """
    require_network_alone(run)
    weights = {f"{PREFIX}{name}": tensor for name, tensor in weights_of(model).items()}
    start_id = tokenizer.start_id
    generation: dict[str, object] = {"bos_token_id": start_id, "pad_token_id": start_id}
    if tokenizer.unk_id is not None:
        generation["suppress_tokens"] = [tokenizer.unk_id]
    files: dict[str, Iterable[Block]] = {
        MODEL: TensorFile.of(weights),
        CONFIG: [json_bytes(_config(run, tokenizer))],
        "generation_config.json": [json_bytes(generation)],
        "tokenizer.json": [tokenizer_json(tokenizer).encode()],
        "tokenizer_config.json": [json_bytes(tokenizer_config(tokenizer))],
        TOKENIZER: [tokenizer.to_json().encode()],
        "README.md": [model_card(path.name, run, model, tokenizer).encode()],
        **{name: [(CODE / name).read_bytes()] for name in (NETWORK, MODELING)},
    }
    publish_directory(path, files, lambda written: _verify(written, path, model, tokenizer))


def _config(run: RunDirectory, tokenizer: Tokenizer) -> dict[str, object]:
    module = Path(MODELING).stem
    return {
        "architectures": ["LstmlmForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{module}.LstmlmConfig",
            "AutoModelForCausalLM": f"{module}.LstmlmForCausalLM",
        },
        "model_type": "lstmlm",
        "dtype": "float32",
        "network": network_options(run.config.model, tokenizer.vocab_size),
        SECTION: describe(run),
    }


def network_options(options: ModelOptions, vocab_size: int) -> dict[str, Any]:
    """The arguments of `network.RecurrentNetwork`."""
    cell, output = options.backbone.model_dump(mode="json"), options.output.model_dump(mode="json")
    return {
        "vocab_size": vocab_size,
        "embedding_size": options.embedding_size,
        "hidden_sizes": list(options.backbone.hidden_sizes),
        "tied": options.tie_weights,
        "layer_sum": options.backbone.skip == "layer_sum",
        "cell": {name: cell[name] for name in CELL_OPTIONS if name in cell},
        "output": {name: output[name] for name in OUTPUT_OPTIONS if name in output},
    }


def load_network(directory: Path) -> nn.Module:
    """The network of a directory, by its own code and without transformers. Raises CheckpointError if it is damaged."""
    spec = spec_from_file_location("exported_network", directory / NETWORK)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    config: Mapping[str, Any] = json.loads((directory / CONFIG).read_bytes())
    network: nn.Module = module.RecurrentNetwork(**config["network"])
    network.load_state_dict(ExportedRun.open(directory).load_weights(0))
    return network


def _verify(directory: Path, path: Path, model: LanguageModel, tokenizer: Tokenizer) -> None:
    """Compare what is read from a directory, which is to become `path`, with what was written to it."""
    text = probe(tokenizer)
    ids = library.Tokenizer.from_file(str(directory / "tokenizer.json")).encode(text).ids
    if ids != [tokenizer.start_id, *tokenizer.encode_prompt(text)]:
        raise CheckpointError(f"{path}: its tokenizer gives other ids. Check the disk.")
    network = load_network(directory).double()

    @torch.inference_mode()
    def log_probabilities(ids: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = network(ids.T)[0]
        return read.transpose(0, 1)

    require_same_log_probabilities(log_probabilities, model, path)
