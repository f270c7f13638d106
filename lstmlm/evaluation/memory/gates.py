"""What the gates of a layer decide and what its memories hold, token by token."""

import json
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.report import Row
from lstmlm.models.cells.cell import named
from lstmlm.models.language_model import LanguageModel


@dataclass(frozen=True)
class LayerActivity:
    """The gates and memories of a layer while it reads a text."""

    run: str
    layer: int
    """Counted from 1, the layer that reads the embedding."""
    tokens: list[str]
    units: dict[str, Float[np.ndarray, "tokens hidden"]]
    """By the letters of the cell's equations, the gates at each token (of an LSTM `i`, `f`, `g`, `o`), then by the
    names of its state, the memories after it (`hidden`, `cell`)."""

    def to_rows(self) -> list[Row]:
        """Return a row for each token: the mean magnitude over the units."""
        means = [np.abs(values).mean(axis=1).tolist() for values in self.units.values()]
        return [dict(zip(("token", *self.units), row, strict=True)) for row in zip(self.tokens, *means, strict=True)]

    def to_json(self) -> str:
        """Return one JSON object on one line; what a gate or memory holds is a list for each token."""
        units = {name: values.tolist() for name, values in self.units.items()}
        about = {"run": self.run, "layer": self.layer, "tokens": self.tokens}
        return json.dumps({**about, **units}, ensure_ascii=False)


@torch.inference_mode()
def read_gates(model: LanguageModel, tokenizer: Tokenizer, text: str, run: str, layer: int | None) -> LayerActivity:
    """Let a model read the beginning of a text and return what one of its layers, from 1, does at each token.

    It reads the text after an end of line in the zero state. Without `layer` the last one is asked; `run` is what the
    result calls the model.

    Raises:
        ConfigError: there is no such layer.
        DataError: the text holds no token, or is not UTF-8.
    """
    cells = model.backbone.layers
    level = len(cells) if layer is None else layer
    if not 1 <= level <= len(cells):
        raise ConfigError(f"--layer: {run} has no layer {level}. Choose one from 1 to {len(cells)}.")
    ids = tokenizer.encode_prompt(text)
    if not ids:
        raise DataError('sentence: is empty. Give a few words, as in: lstmlm inspect gates "the cat sat on the mat"')
    state, steps = model.initial_state(1), []
    for token_id in (tokenizer.start_id, *ids):
        token, before = torch.tensor([[token_id]]), state[level - 1]
        _, state = model(token, state)
        # What a layer reads: the output that the layer below keeps as its hidden state, or the embedding.
        x_t = state[level - 2][0] if level > 1 else model.embedding(token)[0]
        steps.append({**named(cells[level - 1].gates(x_t, before)), **named(state[level - 1])})
    units = {name: torch.cat([step[name] for step in steps[1:]]).numpy() for name in steps[0]}
    return LayerActivity(run, level, [tokenizer.token(token_id) for token_id in ids], units)
