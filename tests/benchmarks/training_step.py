"""Measure a training step beside the same model built on torch.nn.LSTM: `make bench`.

Both models train in one process on the same windows, in turn, so that a machine that slows down slows both. Printed are
medians (milliseconds) and the median of the ratios of neighbouring steps.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor, nn

from lstmlm.config.model import DropoutOptions, LSTMOptions, ModelOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.models.language_model import build_language_model
from lstmlm.randomness import Randomness
from lstmlm.training.execution import execution_of

BPTT, LEARNING_RATE, CLIP_NORM, DROPOUT = 35, 1.0, 0.25, 0.2
WARM_UP = 3


class TorchModel(nn.Module):
    """The usual model in plain PyTorch: nn.Embedding, nn.LSTM, nn.Linear with tied weights, nn.Dropout."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(DROPOUT)
        self.embedding = nn.Embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, width, 2, dropout=DROPOUT)
        self.linear = nn.Linear(width, vocab_size)
        self.linear.weight = self.embedding.weight

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a window."""
        outputs, _ = self.lstm(self.dropout(self.embedding(inputs)))
        logits = self.linear(self.dropout(outputs))
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def step_of(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], float]:
    """Return a function that makes one update and returns how long it took (seconds)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def step() -> float:
        started = time.perf_counter()
        optimizer.zero_grad()
        value = loss()
        value.backward()
        value.item()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        return time.perf_counter() - started

    return step


def measure(width: int, batch_size: int, vocab_size: int, n_rounds: int, training: TrainingOptions) -> str:
    """Return a line with both medians and the ratio for two layers of `width`."""
    options = ModelOptions(
        backbone=LSTMOptions(n_layers=2, hidden_size=width),
        embedding_size=width,
        dropout=DropoutOptions(input=DROPOUT, hidden=DROPOUT, output=DROPOUT),
    )
    ours = build_language_model(options, vocab_size, seed=1)
    theirs = TorchModel(vocab_size, width)
    inputs, targets = torch.randint(vocab_size, (2, BPTT, batch_size))
    steps = count()
    execution = execution_of(training)

    def our_loss() -> Tensor:
        features, _ = ours(inputs, ours.initial_state(batch_size), Randomness(1, next(steps)), execution)
        return ours.output_layer.loss(features, targets, execution) / targets.numel()

    our_step, their_step = step_of(ours, our_loss), step_of(theirs, lambda: theirs.loss(inputs, targets))
    rounds = [(our_step(), their_step()) for _ in range(WARM_UP + n_rounds)][WARM_UP:]
    ratio = statistics.median(a / b for a, b in rounds)
    ours_ms, theirs_ms = (1000 * statistics.median(times) for times in zip(*rounds, strict=True))
    return f"2x{width}: lstmlm {ours_ms:.0f} ms, torch.nn.LSTM {theirs_ms:.0f} ms, ratio {ratio:.2f}"


def main() -> None:
    """Print one line for each width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[200, 650])
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--vocab-size", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--matmul", choices=["native", "onednn"], default="native")
    parser.add_argument("--compile", choices=["never", "always"], default="always")
    arguments = parser.parse_args()
    choices = {key: getattr(arguments, key) for key in ("precision", "matmul", "compile")}
    training = TrainingOptions.model_validate({"n_steps": 1, **choices})
    print(choices)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {arguments.batch_size}, bptt {BPTT}")
    for width in arguments.widths:
        print(measure(width, arguments.batch_size, arguments.vocab_size, arguments.rounds, training))


if __name__ == "__main__":
    main()
