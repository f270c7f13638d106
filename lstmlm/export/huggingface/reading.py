"""Reads an exported directory as the run that it was made from; its code is not run, nor is transformers needed."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from torch import Tensor

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import MODEL, MOST_JSON_BYTES, json_object
from lstmlm.config import RunConfig
from lstmlm.config.data import MOST_TOKENIZER_BYTES, NO_CORPUS
from lstmlm.errors import RESTORE, CheckpointError, shown
from lstmlm.export.torch_weights import read_tensors
from lstmlm.files import read_bytes, read_text

CONFIG, TOKENIZER = "config.json", "lstmlm_tokenizer.json"

SECTION = "lstmlm"
"""Of config.json: what transformers has no use for."""

PREFIX = "network."
"""Of the names of weights: the network is a part of the model that transformers makes."""

NGRAMS = "ngrams."
"""Of the names behind it, of what the network is mixed with."""

OF_RUN, OF_NETWORK = "output_layer.bias", "output_layer.network.bias"
"""The one weight of an output layer mixed with n-grams that has another name in a run."""


def describe(run: RunDirectory) -> Mapping[str, object]:
    """What config.json says for `ExportedRun`: the model, how it reads texts, and what it was made with."""
    data = run.config.data.model_dump(mode="json", exclude={"corpus"})
    if "path" in data["tokenizer"]:
        data["tokenizer"]["path"] = TOKENIZER
    return {
        "version": version("lstmlm"),
        "step": run.best,
        "data": data,
        "model": run.config.model.model_dump(mode="json"),
        "environment": run.environment,
    }


class ExportedRun(RunDirectory):
    """An exported directory, of which all can be asked that needs no corpus. Nothing is written to it."""

    def __init__(self, path: Path, config: RunConfig, tokenizer_json: str, description: Mapping[str, Any]) -> None:
        super().__init__(path, config, b"", tokenizer_json)
        self._description = description

    @classmethod
    def exists(cls, path: Path) -> bool:
        """Whether transformers would take the directory for a model, and it is no run."""
        return (path / CONFIG).is_file() and not RunDirectory.exists(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what `describe` has said.

        Raises:
            CheckpointError: the directory is not one of lstmlm's, or damaged.
        """
        content = json_object(path / CONFIG, read_bytes(path / CONFIG, MOST_JSON_BYTES))
        if SECTION not in content:
            raise CheckpointError(
                f"{path}: has a model of type {shown(content.get('model_type'))} that lstmlm has not exported. "
                "Name a run, or what lstmlm export huggingface has made."
            )
        try:
            found = content[SECTION]
            data = {**found["data"], "corpus": NO_CORPUS}
            settings = {"data": data, "model": found["model"], "training": {"n_steps": 1}}
            config = RunConfig.model_validate_json(json.dumps(settings))
            step, environment = int(found["step"]), dict(found["environment"])
        except (KeyError, TypeError, ValueError) as error:
            detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
            raise CheckpointError(
                f"{path / CONFIG}: is damaged, or of another version of lstmlm ({SECTION}: {detail:.80}). "
                "Export the run anew: lstmlm export huggingface DIR"
            ) from None
        tokenizer_json = read_text(path / TOKENIZER, MOST_TOKENIZER_BYTES)
        return cls(path, config, tokenizer_json, {"step": step, "environment": environment})

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was made with."""
        return dict(self._description["environment"])

    @property
    def best(self) -> int | None:
        """The step of the run whose weights these are."""
        return int(self._description["step"])

    def load_weights(self, step: int) -> dict[str, Tensor]:
        """The weights, on the CPU. Raises CheckpointError if the file is missing or damaged."""
        found = read_network(self.path).items()
        weights = {name: tensor for name, tensor in found if not name.startswith(NGRAMS)}
        return {OF_RUN if name == OF_NETWORK else name: tensor for name, tensor in weights.items()}

    def load_ngrams(self) -> dict[str, Tensor]:
        """What the network is mixed with, refused as by `load_weights`."""
        found = read_network(self.path).items()
        return {name.removeprefix(NGRAMS): tensor for name, tensor in found if name.startswith(NGRAMS)}


def read_network(directory: Path) -> dict[str, Tensor]:
    """The tensors of the network in a directory, by its own names; refused as by `ExportedRun.load_weights`."""
    tensors = read_tensors(directory / MODEL, RESTORE)
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}


def open_run(path: Path) -> RunDirectory:
    """Open a run, or an exported directory as the run that it was made from.

    Raises:
        CheckpointError: it is neither, or damaged.
    """
    return ExportedRun.open(path) if ExportedRun.exists(path) else RunDirectory.open(path)
