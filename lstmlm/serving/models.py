"""The runs that are served, by the names that requests choose them by."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lstmlm.api.model import Model
from lstmlm.corpus.tokenizers.tokenizer import warnings_of_unknown
from lstmlm.errors import did_you_mean
from lstmlm.serving.errors import RequestError


class ServedModel:
    """A model with the name that it has here."""

    def __init__(self, name: str, model: Model) -> None:
        self.name = name
        self.model = model
        self.tokenizer = model.tokenizer
        self.created = int(time.time())
        # The run may be trained on, or moved away, while these weights are served.
        self.step = model.run.best
        self.join = model.reading(None).join

    def describe(self) -> dict[str, Any]:
        """Return what `/v1/models` says: the fields of OpenAI, and ours."""
        options = self.model.run.config.model
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "lstmlm",
            "backbone": options.backbone.name,
            "n_layers": len(options.backbone.hidden_sizes),
            "hidden_sizes": list(options.backbone.hidden_sizes),
            "n_parameters": sum(parameter.numel() for parameter in self.model.model.parameters()),
            "tokenizer": self.model.run.config.data.tokenizer.name,
            "output": options.output.name,
            "vocab_size": self.tokenizer.vocab_size,
            "step": self.step,
        }

    async def warnings(self, text: str, begun: str = "") -> dict[str, list[str]]:
        """Return a field of an answer that says what of a text is unknown; none where all is known.

        Of the word `begun` that the text goes on it has been said before.
        """
        # Seconds for a long one, in which others are answered.
        pieces = await asyncio.to_thread(self.tokenizer.unknown_pieces, begun + text)
        told = Counter(self.tokenizer.unknown_pieces(begun))
        warnings = warnings_of_unknown([*(Counter(pieces) - told).elements()])
        return {"warnings": warnings} if warnings else {}


class ServedModels:
    """All of them, the default one first."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self.by_name = {name: ServedModel(name, model) for name, model in models.items()}

    @classmethod
    def load(cls, runs: Sequence[Path]) -> "ServedModels":
        """Load runs; without one the newest. Raises CheckpointError if there is none, or one is damaged."""
        loaded = [Model.load(run) for run in dict.fromkeys(runs)] or [Model.load()]
        often = Counter(model.run.path.resolve().name for model in loaded)
        return cls(
            {
                model.run.path.resolve().name if often[model.run.path.resolve().name] == 1 else model.name: model
                for model in loaded
            }
        )

    def find(self, name: str | None) -> ServedModel:
        """Return the model of a request. Raises RequestError if there is none of that name."""
        if name is None:
            return next(iter(self.by_name.values()))
        if name not in self.by_name:
            choices = ", ".join(self.by_name)
            raise RequestError(
                f"model: {name[:80]!r} is not served. {did_you_mean(name, self.by_name)}Choose one of: {choices}.",
                status=404,
                code="model_not_found",
                param="model",
            )
        return self.by_name[name]
