"""Interrupted runs of many configurations: every two choices of different parts occur together in one of them."""

import itertools
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torture.tally import Part, Tally
from torture.tiny_run import KILLED, Tiny, stop_itself

N_CELLS = 60
N_STEPS = 12
LENGTHS = {"training.n_steps": N_STEPS, "data.bptt": 12}
"""Windows as long as drawn lengths need."""

LSTM = {"hidden_size": 8, "n_layers": 2}
CHOICES: Mapping[str, list[Any]] = {
    "model.backbone": [{"name": name, **LSTM} for name in ("rnn", "gru", "lstm", "layer_norm_lstm", "mogrifier")]
    + [
        {"name": "lstm", **LSTM, "skip": "layer_sum", "input_gate_cap": True},
        {"name": "lstm", **LSTM, "implementation": "reference"},
        {"name": "mogrifier", **LSTM, "coupled_gates": True},
    ],
    "model.dropout": [
        {},
        {"input": 0.2, "hidden": 0.2, "output": 0.2},
        {"input": 0.2, "hidden": 0.2, "output": 0.2, "locked": True},
        {"embedding": 0.2, "weight_drop": 0.3},
        {"state": 0.3, "output": 0.2},
    ],
    "model.output": [
        {"name": "softmax"},
        {"name": "softmax", "projection": True},
        {"name": "adaptive", "cutoffs": [10, 30]},
        {"name": "mixture", "n_experts": 2, "latent_dropout": 0.2},
    ],
    "model.tie_weights": [True, False],
    "optimizer": [
        {"name": "sgd", "learning_rate": 2.0},
        {"name": "sgd", "learning_rate": 1.0, "momentum": 0.9},
        {"name": "adam", "learning_rate": 0.01},
        {"name": "adam", "learning_rate": 0.01, "betas": [0.0, 0.99], "weight_decay": 0.0001},
        {"name": "adamw", "learning_rate": 0.01, "clip_norm": None},
    ],
    "schedule": [
        {"name": "constant"},
        {"name": "anneal_on_plateau"},
        {"name": "step", "milestones": [3, 7], "unit": "steps"},
        {"name": "warmup_cosine", "warmup_steps": 3},
        {"name": "warmup_linear", "warmup_steps": 3, "decay_start": 0.6},
        {"name": "one_cycle"},
    ],
    "averaging": [
        {"name": "none"},
        {"name": "ema", "decay": 0.8},
        {"name": "tail", "fraction": 0.4},
        {"name": "nt_asgd", "nonmonotone_interval": 1},
    ],
    "training.precision": ["float32", "bfloat16"],
    "training.compile": ["always", "never"],
    "training.accumulate": [1, 2],
    "training.state_reset": [0.0, 0.3],
    "training.regularization": [{}, {"alpha": 2.0, "beta": 1.0}],
    "data.tokenizer": [{"name": "word"}, {"name": "char"}, {"name": "byte"}],
    "data.partial_shuffle": [False, True],
    "data.variable_bptt": [False, True],
}


def resumed(part: Part) -> list[Tally]:
    """Interrupt each run twice, once by SIGTERM and once by SIGKILL, and compare it with an undisturbed one."""
    tally = Tally("resume matrix over the configuration space, pairwise, cells bit-identical")
    randomness = random.Random(1)
    with TemporaryDirectory() as folder:
        for cell in part.of(cells()):
            tiny = Tiny(Path(folder), {**LENGTHS, **cell})
            first, second = sorted(randomness.sample(range(1, N_STEPS), 2))
            status = tiny.train(stop_itself(first, signal.SIGTERM))
            if status == 143:
                status = tiny.train(stop_itself(second, signal.SIGKILL))
            tally.count(f"{cell}, stopped after steps {first} and {second}", tiny.loss(status, [KILLED]))
    return [tally]


def cells() -> list[dict[str, Any]]:
    """Configurations in which every two choices of different parts occur together."""
    randomness = random.Random(1)
    uncovered = {
        frozenset([(first, i), (second, j)])
        for first, second in itertools.combinations(CHOICES, 2)
        for i in range(len(CHOICES[first]))
        for j in range(len(CHOICES[second]))
    }
    chosen = []
    while len(chosen) < N_CELLS:
        candidates = [{key: randomness.randrange(len(values)) for key, values in CHOICES.items()} for _ in range(300)]
        best = max(candidates, key=lambda candidate: len(_pairs(candidate) & uncovered))
        uncovered -= _pairs(best)
        chosen.append(best)
    assert not uncovered, f"{len(uncovered)} pairs are in none of {N_CELLS} cells"
    return [{key: CHOICES[key][index] for key, index in cell.items()} for cell in chosen]


def _pairs(cell: Mapping[str, int]) -> set[frozenset[tuple[str, int]]]:
    return set(map(frozenset, itertools.combinations(cell.items(), 2)))
