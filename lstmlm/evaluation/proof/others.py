"""Proofs of other people's models, on tokens that are drawn: what is checked holds of any text."""

from pathlib import Path

import numpy as np

from lstmlm.errors import ConfigError
from lstmlm.evaluation.proof.checks import N_POSITIONS, Prover
from lstmlm.evaluation.proof.scorer import Scorer
from lstmlm.evaluation.proof.server import Server, vocab_size_of
from lstmlm.evaluation.proof.transformer import Transformer
from lstmlm.evaluation.report import Report

SERVER_POSITIONS = 2
"""Fewer, as each takes a prompt for every token of the vocabulary."""


def prove_server(
    url: str, model: str | None, vocab_size: int | None, n_tokens: int, seed: int
) -> tuple[Report, Prover]:
    """Put a completions server under proof, on tokens that are drawn.

    Raises:
        ConfigError: it does not say how many tokens its model has, and nobody else does.
        DataError: it does not answer, or not as it should.
    """
    base = url.rstrip("/").removesuffix("/v1/completions").removesuffix("/v1")
    size = vocab_size or vocab_size_of(base, model)
    if not size:
        raise ConfigError(f"{url}: does not say how many tokens its model has. Say it: --vocab-size N")
    return _proven(Server(base, size, model), size, n_tokens, seed, SERVER_POSITIONS)


def prove_directory(directory: str, n_tokens: int, seed: int) -> tuple[Report, Prover]:
    """Put a Hugging Face directory under proof, on tokens that are drawn.

    Raises:
        ConfigError: it reads no texts of so many tokens.
        MissingExtraError, CheckpointError: as by `Transformer.load`.
    """
    scorer = Transformer.load(Path(directory))
    most = scorer.n_positions
    if most is not None and n_tokens > most:
        raise ConfigError(f"--tokens {n_tokens:,}: {directory} reads {most:,} at most. Give no more.")
    return _proven(scorer, scorer.vocab_size, n_tokens, seed)


def _proven(
    scorer: Scorer, vocab_size: int, n_tokens: int, seed: int, n_positions: int = N_POSITIONS
) -> tuple[Report, Prover]:
    prover = Prover(vocab_size, seed=seed, n_positions=n_positions)
    tokens = np.random.default_rng(seed).integers(vocab_size, size=n_tokens).astype(np.int64)
    [(name, scored)] = prover(scorer, tokens).items()
    report = Report({"run": name, "n_tokens": n_tokens, "vocab_size": vocab_size, "nats": float(scored.nats.sum())})
    return prover.proven(report), prover
