"""The sampler: reads a prompt into the state, then draws one token after another.

What a sample becomes depends on the model, the prompt, the options and its own seed, and but for rounding not on the
samples drawn beside it: each token is chosen with one uniform number that belongs to (seed, position).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DivergenceError
from lstmlm.generation.filters import Texts, apply_filters
from lstmlm.generation.options import SamplingOptions
from lstmlm.models.backbone import join_states
from lstmlm.models.language_model import LanguageModel, with_rounded_matrices
from lstmlm.randomness import Randomness
from lstmlm.scoring import next_log_probabilities


@dataclass(frozen=True)
class Sampled:
    """The next token of every sample."""

    ids: Int64[Tensor, " batch"]
    log_probabilities: Float[Tensor, " batch"]
    """Of those tokens under the model's own distribution, before any filter (nats)."""


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    options: SamplingOptions,
    seeds: Sequence[int],
    first_ids: Sequence[int] | None = None,
) -> Iterator[Sampled]:
    """Continue a prompt once for each seed, all samples side by side.

    The prompt is read like any text: after the implicit start token, from the zero state. An empty one starts a text.
    The first token is one of `first_ids`, if they are given.

    Raises:
        DivergenceError: the model gives no probabilities but NaN.

    Yields:
        The token at each of the `max_tokens` positions as soon as it is drawn, one column a seed.
    """
    unk_id = None if options.allow_unk else tokenizer.unk_id
    device = next(model.parameters()).device
    prompt_ids = tokenizer.encode_prompt(prompt)
    texts = [[*prompt_ids] for _ in seeds]
    tokens = torch.tensor([tokenizer.start_id, *prompt_ids], device=device)[:, None]
    state = model.initial_state(1)
    of_one_token = with_rounded_matrices(model) if options.precision == "bfloat16" else model
    for position in range(options.max_tokens):
        # Not around the loop: a generator must not leave its caller in inference mode.
        with torch.inference_mode():
            log_probabilities, state = next_log_probabilities(model if position == 0 else of_one_token, tokens, state)
            if position == 0:  # read once for all samples
                log_probabilities, state = log_probabilities.expand(len(seeds), -1), join_states([state] * len(seeds))
            uniform = uniform_numbers((seed, position) for seed in seeds)
            sampled = draw(log_probabilities.cpu(), uniform, options, unk_id, texts, first_ids)
            first_ids = None
            for text, token_id in zip(texts, sampled.ids.tolist(), strict=True):
                text.append(token_id)
            tokens = sampled.ids[None].to(device)
        yield sampled


def choose(
    log_probabilities: Float64[Tensor, "batch vocab"], uniform: Float64[Tensor, "batch 1"]
) -> Int64[Tensor, "batch 1"]:
    """Turn a number in [0, 1) into a token: the first whose cumulative probability exceeds it."""
    cumulative = log_probabilities.exp().cumsum(dim=-1)
    # The sum misses 1 by rounding; below its last value there is always a token, and a possible one.
    return torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)


def draw(
    log_probabilities: Float[Tensor, "batch vocab"],
    uniform: Float64[Tensor, "batch 1"],
    options: SamplingOptions,
    unk_id: int | None,
    texts: Texts,
    only: Sequence[int] | None = None,
) -> Sampled:
    """Choose the token of each row, which goes on from its text, by its number in [0, 1), never `unk_id`.

    It is one of `only`, if they are given.

    Raises DivergenceError as `generate` does.
    """
    if log_probabilities.isnan().any():
        raise DivergenceError(
            "the model's probabilities are not numbers: its training diverged. "
            "Train it again with a lower optimizer.learning_rate, or set clip_norm."
        )
    settings = {"without_token": unk_id, "only": only, **vars(options)}
    ids = choose(apply_filters(log_probabilities.double(), settings, texts), uniform)
    return Sampled(ids=ids[:, 0], log_probabilities=log_probabilities.gather(-1, ids)[:, 0])


def uniform_numbers(places: Iterable[tuple[int, int]]) -> Float64[Tensor, "batch 1"]:
    """Draw one number in [0, 1) for each seed and position, from a generator of its own."""
    generators = [Randomness(seed, position).generator("sample") for seed, position in places]
    return torch.stack([torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators])
