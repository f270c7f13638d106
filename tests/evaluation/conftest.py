"""A small model for the text at hand, in float64."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a function that makes a tokenizer of one text, and a model and an encoding of another with it."""

    def contestant(text: str, vocabulary: str, options: Any, *, run: str = "runs/x", seed: int = 1) -> Any:
        import torch

        from lstmlm.config.data import DataOptions
        from lstmlm.config.model import ModelOptions
        from lstmlm.corpus.loading import encode_file
        from lstmlm.corpus.tokenizers import train_tokenizer
        from lstmlm.evaluation.perplexity.comparison import Contestant
        from lstmlm.models.language_model import build_language_model

        (tmp_path / "text.txt").write_bytes(text.encode())
        tokenizer = train_tokenizer(options, [vocabulary])
        model_options = {"backbone": {"name": "lstm", "n_layers": 1, "hidden_size": 8}, "embedding_size": 8}
        model = build_language_model(ModelOptions.model_validate(model_options), tokenizer.vocab_size, seed).double()
        with torch.no_grad():
            # Large weights make a model with opinions, whose predictions depend on its state.
            model.embedding.weight.mul_(20)
        encoded = encode_file(tmp_path / "text.txt", DataOptions(corpus="./any"), tokenizer)
        return Contestant(run, model, tokenizer, encoded)

    return contestant
