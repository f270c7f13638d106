"""Every shipped configuration, with narrow layers and a tiny corpus in place of its own: it learns."""

from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from lstmlm.config import RunConfig
from lstmlm.training.events import Event, StepEvent
from lstmlm.workflows import train
from lstmlm.yaml.schema import load_yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs").glob("*.yaml"))
MIXED = [path for path in FILES if load_yaml(path, RunConfig).model.ngram_order]
N_STEPS = 20


def narrow(path: Path) -> RunConfig:
    """Load a configuration with small widths and batches; all that it says of how to train stays."""
    given = load_yaml(path, RunConfig).model_dump()
    model, training = given["model"], given["training"]
    sizes = model["backbone"]["hidden_size"]
    model["backbone"]["hidden_size"] = [24, 24, 16] if isinstance(sizes, list | tuple) else 16
    model["embedding_size"] = 16 if model["embedding_size"] >= 200 else 12
    if "rank" in model["backbone"]:
        model["backbone"]["rank"] = 4
    given["data"] |= {"corpus": str(ROOT / "data" / "tiny"), "batch_size": 4, "bptt": 12}
    lengths = {"n_epochs": None, "n_steps": N_STEPS, "budget": None, "validate_every": None}
    given["training"] = training | lengths | {"log_every": 1, "sample_tokens": 0}
    return RunConfig.model_validate(_as_read(given))


def _as_read(value: Any) -> Any:
    """Turn lists into tuples, as reading a file does."""
    if isinstance(value, dict):
        return {key: _as_read(item) for key, item in value.items()}
    return tuple(map(_as_read, value)) if isinstance(value, list) else value


def alone(config: RunConfig) -> RunConfig:
    """Leave out the n-grams, which are counted, not learnt, and better than a network after so few steps."""
    return config.model_copy(update={"model": config.model.model_copy(update={"ngram_order": None})})


def losses_of(config: RunConfig, run_dir: Path) -> list[float]:
    """Train, and return the loss of every step (nats)."""
    losses: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepEvent):
            losses.append(event.nats)

    train(config, run_dir, observers=[watch])
    return losses


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_network_of_a_shipped_configuration_learns(path: Path, tmp_path: Path) -> None:
    losses = losses_of(alone(narrow(path)), tmp_path / "run")
    assert len(losses) == N_STEPS
    assert mean(losses[-5:]) < mean(losses[:3])


@pytest.mark.parametrize("path", MIXED, ids=lambda path: path.stem)
def test_with_its_ngrams_it_begins_where_the_network_alone_does_not_come_so_soon(path: Path, tmp_path: Path) -> None:
    config = narrow(path)
    mixed = losses_of(config, tmp_path / "mixed")
    assert len(mixed) == N_STEPS
    assert max(mixed) < min(losses_of(alone(config), tmp_path / "alone"))
