"""Reading without gradients: text drawn token by token, and a text scored exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from lstmlm.benchmark.correctness import difference
from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import ModelShape, Plan
from lstmlm.benchmark.section import Section, compare
from lstmlm.benchmark.timing import Work
from lstmlm.benchmark.torch_model import N_LAYERS, TorchModel, our_model
from lstmlm.models.backbone import BackboneState
from lstmlm.models.language_model import LanguageModel, with_rounded_matrices
from lstmlm.scoring import next_log_probabilities, score

START_ID = 0
CHECKED_TOKENS = 300
"""Length of the text whose scores are compared with torch's (tokens)."""

CHECKED_COLUMNS = 3


def measure_generation(plan: Plan, machine: Machine, tell: Callable[[str], None]) -> Section:  # noqa: ARG001
    """Draw the likeliest tokens one by one, beside the cells run as their equations stand and the bound of memory.

    That is how often a second all weights could be read, in the number format that each contestant has them in; it is
    measured in the same rounds, since other programs take their share of the memory from moment to moment.
    """
    tell("generation")
    shape, n_tokens = plan.generation, plan.n_generated_tokens
    title = f"Generation, {N_LAYERS} layers, one token after another, beside the cells step by step in float32"
    fused, reference = our_model(shape), our_model(shape)
    reference.backbone.is_fused = False
    wanted = _predictions(reference, shape)
    models = {"float32": fused, "bfloat16": with_rounded_matrices(fused)}
    wrong = {name: difference(_predictions(model, shape), wanted, name) for name, model in models.items()}
    ours = {name: _generation(model, shape, n_tokens, next_log_probabilities) for name, model in models.items()}
    n_bytes = {name: sum(parameter.nbytes for parameter in model.parameters()) for name, model in models.items()}
    theirs = {
        "reference": _generation(reference, shape, n_tokens, _reference_log_probabilities),
        "memory": _reading(n_bytes["float32"], n_tokens),
    }
    rows = compare(shape, plan.effort, ours, wrong, theirs, n_tokens)
    for row in rows:
        if "differs" not in row:
            smaller = n_bytes["float32"] / n_bytes[row["precision"]]
            row["bandwidth_bound_tokens_per_second"] = row["memory_tokens_per_second"] * smaller
            row["bandwidth_bound_share"] = row["times_as_fast_as_memory"] / smaller
    return Section("generation", title, rows)


def measure_evaluation(plan: Plan, machine: Machine, tell: Callable[[str], None]) -> Section:  # noqa: ARG001
    """Score a text exactly, beside the forward pass of training over about a quarter as many tokens."""
    tell(f"evaluation of {plan.n_scored_tokens:,} tokens")
    shape, n_tokens = plan.evaluation, plan.n_scored_tokens
    title = f"Exact evaluation, {N_LAYERS} layers, beside the forward pass of training (bptt {plan.bptt})"
    model, tokens = our_model(shape), np.random.default_rng(1).integers(shape.vocab_size, size=n_tokens)
    wrong = {"float32": difference(*_scores(model, tokens[:CHECKED_TOKENS]), "float32")}
    n_windows = max(1, n_tokens // (4 * plan.bptt * shape.batch_size))
    ours = {"float32": lambda: score(model, tokens, START_ID)}
    theirs = {"training_forward": _training_forward(model, shape, plan.bptt, n_windows)}
    read = {"lstmlm": n_tokens, "training_forward": n_windows * plan.bptt * shape.batch_size}
    rows = compare(shape, plan.evaluation_effort, ours, wrong, theirs, read)
    return Section("evaluation", title, [{"n_scored_tokens": n_tokens, **row} for row in rows])


def _reference_log_probabilities(
    model: LanguageModel, tokens: Tensor, state: BackboneState
) -> tuple[Tensor, BackboneState]:
    """Do what `next_log_probabilities` does with torch's own product instead of ours."""
    with torch.inference_mode():
        features, state = model(tokens, state)
        weight, bias = model.embedding.weight, model.output_layer.bias
        return torch.log_softmax(linear(features[-1], weight, bias), dim=-1), state


def _generation(model: LanguageModel, shape: ModelShape, n_tokens: int, ask: Any) -> Work:
    def run() -> None:
        tokens, state = torch.full((1, shape.batch_size), START_ID), model.initial_state(shape.batch_size)
        for _ in range(n_tokens):
            log_probabilities, state = ask(model, tokens, state)
            tokens = log_probabilities.argmax(dim=-1)[None]

    return run


def _reading(n_bytes: int, n_times: int) -> Work:
    # Written to, since untouched pages are one and the same page of zeros, in the cache.
    buffer = torch.ones(n_bytes // 4)

    def run() -> None:
        for _ in range(n_times):
            buffer.sum()

    return run


def _predictions(model: LanguageModel, shape: ModelShape) -> dict[str, Tensor]:
    """Return features of two tokens that are read one by one, as generation does, and what follows them."""
    state: BackboneState = model.initial_state(shape.batch_size)
    results = {}
    for position, token in enumerate((START_ID, 1)):
        tokens = torch.full((1, shape.batch_size), token)
        with torch.inference_mode():
            results[f"features of token {position}"], _ = model(tokens, state)
        results[f"log-probabilities of token {position}"], state = next_log_probabilities(model, tokens, state)
    return results


def _scores(model: LanguageModel, tokens: np.ndarray) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the nats of each token as our scorer has them, and as torch has them in one column."""
    ours = torch.from_numpy(score(model, tokens, START_ID, n_columns=min(CHECKED_COLUMNS, len(tokens))))
    text = torch.from_numpy(tokens)
    inputs = torch.cat([torch.tensor([START_ID]), text[:-1]])
    with torch.inference_mode():
        logits, _ = TorchModel(model).eval()(inputs[:, None])
        wanted = cross_entropy(logits[:, 0], text, reduction="none")
    return {"nats": ours}, {"nats": wanted}


def _training_forward(model: LanguageModel, shape: ModelShape, bptt: int, n_windows: int) -> Work:
    inputs, targets = torch.randint(shape.vocab_size, (2, bptt, shape.batch_size))

    @torch.inference_mode()
    def run() -> None:
        state = model.initial_state(shape.batch_size)
        for _ in range(n_windows):
            features, state = model(inputs, state)
            model.output_layer.loss(features, targets).item()

    return run
