"""Runs with weights as they are drawn, for every kind of model and tokenizer: nothing is trained."""

from pathlib import Path
from typing import Any

LINES = ["the farmer waits by the old river", "don't ask the sailor , he says", "", "a cat , a dog and 東京 !"]
TEXT = "\n".join(LINES * 12) + "\n"


def make_run(path: Path, model: dict[str, Any], tokenizer: dict[str, Any] | None = None, eos: str = "line") -> Any:
    """Make a run of options of `model`, `data.tokenizer` and `data.eos`, and load it."""
    import torch

    from lstmlm import workflows
    from lstmlm.checkpoint.environment import describe_environment
    from lstmlm.checkpoint.run_directory import RunDirectory
    from lstmlm.checkpoint.storage import Checkpoint
    from lstmlm.config import RunConfig
    from lstmlm.corpus.tokenizers import train_tokenizer
    from lstmlm.models.language_model import build_language_model, weights_of
    from lstmlm.models.ngram import NgramModel

    data = {"corpus": "./none", "tokenizer": tokenizer or {"name": "word"}, "eos": eos}
    config = RunConfig.model_validate({"data": data, "model": model, "training": {"n_steps": 1}})
    learnt = train_tokenizer(config.data.tokenizer, [TEXT])
    drawn = build_language_model(config.model, learnt.vocab_size, seed=1)
    if drawn.ngrams is not None:
        order, tokens = drawn.ngrams.order, learnt.encode(TEXT)
        drawn.ngrams.fill(NgramModel.estimate(tokens, learnt.vocab_size, learnt.start_id, order))
    # Large enough for probabilities that differ much.
    weights = {name: weight * (1 if "backbone" in name else 4) for name, weight in weights_of(drawn).items()}
    if drawn.ngrams is not None:
        weights["output_layer.gate_weight"] = torch.linspace(-1, 1, drawn.backbone.layers[-1].hidden_size)
    digests = {"train": {"sha256": "1234abcd", "n_tokens": 5, "n_bytes": 20}}
    environment = describe_environment(digests, {})
    ngrams = None if drawn.ngrams is None else drawn.ngrams.tensors()
    with RunDirectory.create(path, config, learnt.to_json(), environment, ngrams) as run:
        run.metrics.write({"event": "validation", "step": 7, "perplexity": 12.345})
        run.save(7, Checkpoint(weights, {}, {}), is_best=True)
    return workflows.load(path)
