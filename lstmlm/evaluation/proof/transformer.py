"""A directory of Hugging Face's as a scorer: any causal language model that transformers can load."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from lstmlm.errors import CheckpointError, MissingExtraError, first_line
from lstmlm.evaluation.proof.scorer import Positions, Scored, Tokens


@dataclass(frozen=True)
class Transformer:
    """A causal language model; `start_id` is read before the first token of every text.

    It reads `n_positions` tokens at most; None where there is no limit.
    """

    name: str
    model: Any
    vocab_size: int
    start_id: int
    n_positions: int | None

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load a model, running no code of the directory's.

        Raises:
            MissingExtraError: transformers is not installed.
            CheckpointError: the directory holds no causal language model.
        """
        try:
            from transformers import AutoModelForCausalLM
        except ImportError as error:
            message = "transformers: is not installed. Install it: pip install 'lstmlm[huggingface]'"
            raise MissingExtraError(message) from error
        try:
            model = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True).eval()
        except Exception as error:  # safetensors raises one of its own, which is nothing more specific
            raise CheckpointError(f"{directory}: cannot be loaded ({first_line(error)}). Name another.") from error
        config = model.config
        ids = (getattr(config, name, None) for name in ("bos_token_id", "eos_token_id"))
        start_id = next((one for one in ids if isinstance(one, int)), 0)
        n_positions = getattr(config, "max_position_embeddings", None)
        return cls(str(directory), model, config.vocab_size, start_id, n_positions)

    @torch.inference_mode()
    def __call__(self, tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        """Score every token in one pass; see `Scorer`."""
        targets = torch.from_numpy(np.asarray(tokens, dtype=np.int64))
        read = torch.cat([torch.tensor([self.start_id]), targets[:-1]])[None]
        log_probabilities = torch.log_softmax(self.model(read).logits[0].double(), dim=-1)
        nats = -log_probabilities.gather(1, targets[:, None])[:, 0]
        return {self.name: Scored(nats.numpy(), log_probabilities[list(positions)].numpy())}
