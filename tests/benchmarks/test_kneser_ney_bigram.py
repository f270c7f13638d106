"""The baseline is a distribution, and gives hand-computed numbers."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def module() -> Any:
    spec = importlib.util.spec_from_file_location("baseline", Path(__file__).with_name("kneser_ney_bigram.py"))
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_probabilities_sum_to_one_after_every_word(module: Any) -> None:
    tokens = np.random.default_rng(0).zipf(1.5, size=500).clip(max=20).tolist()
    model = module.KneserNeyBigram(tokens, 30, start_id=0)
    for v in range(30):
        assert sum(model.probability(v, w) for w in range(30)) == pytest.approx(1)


def test_by_hand(module: Any) -> None:
    """Text 1 1 2 after 0: pairs 01, 11, 12 once each, so D = 1 and all the mass goes to the continuations."""
    model = module.KneserNeyBigram([1, 1, 2], 4, start_id=0)
    # Continuations: 1 follows two types, 2 follows one; n1 = 1, n2 = 1, D' = 1/3; uniform 1/3 * 2 / 3 / 4.
    uniform = (1 / 3) * 2 / 3 / 4
    assert model.lower == pytest.approx([uniform, (2 - 1 / 3) / 3 + uniform, (1 - 1 / 3) / 3 + uniform, uniform])
    assert model.probability(1, 2) == pytest.approx(model.lower[2])
