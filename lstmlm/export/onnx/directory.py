"""Writes the directory, and compares what each of its files gives in onnxruntime with the model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import json_bytes
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import ConfigError
from lstmlm.export.comparison import require_same_nats
from lstmlm.export.huggingface.tokenizer import read_as_in_training, tokenizer_json
from lstmlm.export.onnx.card import card
from lstmlm.export.onnx.graph import OPSET, quantized
from lstmlm.export.onnx.graphs import Network, scorer, step, window
from lstmlm.export.onnx.ngrams import tables_of
from lstmlm.export.onnx.running import nats_at_once, nats_by_steps, nats_of_sentences, session_of
from lstmlm.export.onnx.sherpa import no_state, tokens_txt, with_state
from lstmlm.files import Block, publish_directory
from lstmlm.metrics import finite, perplexity
from lstmlm.models.language_model import LanguageModel, weights_of
from lstmlm.scoring import score

MOST_BYTES = (1 << 31) - (1 << 20)
"""Of the weights in a file, whose format counts bytes in 31 bits; the rest is for its nodes."""

MEASURED_TOKENS = 20_000
"""Of the text on which perplexities are compared."""

NOTABLE_CHANGE = 0.01
"""Of a perplexity, as a share, beyond which a file of 8 bits says so."""


class Kind(NamedTuple):
    """A kind of file: how its content is made, and how a session of it is asked for the nats of texts."""

    content: Callable[[Network], bytes]
    nats: Callable[..., np.ndarray]


PURPOSES: Mapping[str, Mapping[str, Kind]] = {
    "onnxruntime": {
        "step": Kind(step, nats_by_steps),
        "window": Kind(window, partial(nats_by_steps, n_at_once=5)),
        "scorer": Kind(scorer, nats_at_once),
    },
    "sherpa": {"with-state": Kind(with_state, nats_by_steps), "no-state": Kind(no_state, nats_of_sentences)},
}
"""By whom a directory is for: its files, by their names."""


@dataclass(frozen=True)
class ExportedFile:
    """A file with what is lost in it."""

    name: str
    n_bytes: int
    perplexity: float | None
    """Of the weights in it; None where no text was given."""
    change: float | None
    """Of the perplexity beside the original's, as a share of it."""

    @property
    def warning(self) -> str:
        """What whoever uses the file should know; empty where it is as good as the original."""
        if self.change is None or abs(self.change) <= NOTABLE_CHANGE:
            return ""
        return f"8 bits change the perplexity by {self.change:+.1%}. Prefer the file of 32 bits."


def export_onnx(
    run: RunDirectory,
    model: LanguageModel,
    tokenizer: Tokenizer,
    path: Path,
    purpose: str = "onnxruntime",
    text: EncodedText | None = None,
) -> list[ExportedFile]:
    """Write a model as a directory of ONNX files.

    Args:
        run: Where the model is from.
        model: Its best weights.
        tokenizer: Its tokenizer.
        path: The directory to make.
        purpose: "onnxruntime", or "sherpa" for the names and metadata of icefall, which sherpa-onnx reads.
        text: What the perplexities of files of 8 bits are measured on; without one there are no such files.

    Returns:
        What each file has lost.

    Raises:
        ConfigError: the model is too large for a file, or the tokenizer cannot be expressed.
        CheckpointError: the directory cannot be written.
    """
    _require_small_enough(run, model)
    models = {"": model} | ({".int8": with_rounded_weights(model)} if text is not None else {})
    networks = {suffix: network_of(run, model, tokenizer, is_int8=suffix != "") for suffix in models}
    perplexities = {suffix: _perplexity(rounded, tokenizer, text) for suffix, rounded in models.items()}
    files: dict[str, Iterable[Block]] = {}
    checks: dict[str, Callable[[Path], None]] = {}
    exported = []
    for suffix, network in networks.items():
        for kind, (content, nats) in PURPOSES[purpose].items():
            name = f"{kind}{suffix}.onnx"
            written = content(network)
            files[name] = [written]
            checks[name] = partial(_verify, path, name, models[suffix], network, nats)
            exported.append(ExportedFile(name, len(written), *_with_change(perplexities[suffix], perplexities[""])))
    facts = _facts(networks[""], tokenizer, purpose, text, exported)
    files["model.json"] = [json_bytes(facts)]
    warnings = [f"{file.name}: {file.warning}" for file in exported if file.warning]
    files["README.md"] = [card(path.name, networks[""], tokenizer, facts, warnings).encode()]
    if purpose == "sherpa":
        files["tokens.txt"] = [tokens_txt(tokenizer)]
    else:
        files["tokenizer.json"] = [read_as_in_training(tokenizer_json(tokenizer), run.config.data).encode()]

    def verify(directory: Path) -> None:
        for check in checks.values():
            check(directory)

    publish_directory(path, files, verify)
    return exported


def network_of(run: RunDirectory, model: LanguageModel, tokenizer: Tokenizer, *, is_int8: bool) -> Network:
    """What the graphs of a run are made of."""
    weights = {name: tensor.numpy() for name, tensor in weights_of(model).items()}
    ngrams = () if model.ngrams is None else tables_of(model.ngrams)
    return Network(run.config.model, weights, tokenizer.vocab_size, tokenizer.start_id, ngrams, is_int8)


def with_rounded_weights(model: LanguageModel) -> LanguageModel:
    """A copy whose matrices are what they are in a file of 8 bits."""
    rounded = deepcopy(model)
    for parameter in rounded.parameters():
        if parameter.dim() > 1:
            values, scales = quantized(parameter.detach().numpy())
            parameter.data = torch.from_numpy(values * scales)
    return rounded


def _require_small_enough(run: RunDirectory, model: LanguageModel) -> None:
    sizes = {name: 4 * tensor.numel() for name, tensor in weights_of(model).items()}
    if model.ngrams is not None:
        sizes["n-grams"] = 16 * sum(model.ngrams.sizes)
    if (total := sum(sizes.values())) > MOST_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ConfigError(
            f"{run.path}: cannot be an ONNX file, which holds {MOST_BYTES / 1e9:.1f} GB: its weights are "
            f"{total / 1e9:.1f} GB, {largest} alone {sizes[largest] / 1e9:.1f} GB. "
            "Export it as a directory: lstmlm export huggingface DIR"
        )


def _verify(
    path: Path, name: str, model: LanguageModel, network: Network, nats: Callable[..., np.ndarray], directory: Path
) -> None:
    """Compare what a file in a directory, which is to become `path`, gives with what the model does."""
    asked = partial(nats, session_of(str(directory / name)), network)
    require_same_nats(asked, model, network.start_id, path / name)


def _perplexity(model: LanguageModel, tokenizer: Tokenizer, text: EncodedText | None) -> float | None:
    if text is None:
        return None
    nats = score(model, text.tokens[:MEASURED_TOKENS], tokenizer.start_id)
    return perplexity(float(nats.sum()), len(nats))


def _with_change(perplexity: float | None, original: float | None) -> tuple[float | None, float | None]:
    return perplexity, None if perplexity is None or original is None else perplexity / original - 1


def _facts(
    network: Network, tokenizer: Tokenizer, purpose: str, text: EncodedText | None, exported: Sequence[ExportedFile]
) -> dict[str, Any]:
    """The content of model.json."""
    backbone = network.options.backbone
    n_layers, width = network.state_shape
    measured = None
    if text is not None:
        measured = {"text": text.name, "sha256": text.sha256, "n_tokens": min(text.n_tokens, MEASURED_TOKENS)}
    return {
        "lstmlm_version": version("lstmlm"),
        "purpose": purpose,
        "opset": OPSET,
        "cell": backbone.name,
        "n_layers": n_layers,
        "state_size": width,
        "vocab_size": network.vocab_size,
        "start_id": network.start_id,
        "unk_id": tokenizer.unk_id,
        "measured_on": measured,
        "files": {
            file.name: finite({key: value for key, value in asdict(file).items() if key != "name"}) for file in exported
        },
    }
