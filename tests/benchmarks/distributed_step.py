"""Two processes with a thread each beside one with two threads: tokens a second, and what communication takes of it.

    python tests/benchmarks/distributed_step.py [ROUNDS]

Both train on the same columns; they take turns, and the ratio is the median of the ratios of neighbours. Communication
is what a step takes longer than the same step without sums over the processes; its bytes alone are timed too.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from processes import Ended, ends_of, start

BATCH_SIZE, BPTT, HIDDEN_SIZE, VOCAB_SIZE = 64, 35, 650, 10_000
WARM_UP_STEPS, MEASURED_STEPS = 2, 8
N_TOKENS = BATCH_SIZE * BPTT * (2 * (WARM_UP_STEPS + MEASURED_STEPS) + 2)


def measure(n_threads: int) -> None:
    """Train as one of the processes that the environment tells of; the first prints what it found."""
    import torch

    from lstmlm.distributed import World, without_sum

    torch.set_num_threads(n_threads)
    with World.from_environment() as world:
        trainer = build_trainer(world)
        step_seconds = seconds_of_steps(trainer.train_step)
        with without_sum(trainer._gradient._objective):
            alone_seconds = seconds_of_steps(trainer.train_step)
        gradient = torch.zeros(sum(weight.numel() for weight in trainer.model.parameters()))
        sum_seconds = seconds_of_steps(lambda: world.sum(gradient))
    if world.is_main:
        tokens_per_second = BATCH_SIZE * BPTT / step_seconds
        print(json.dumps([tokens_per_second, step_seconds, alone_seconds, sum_seconds, gradient.nbytes]))


def build_trainer(world):
    """A medium model and words of which the most frequent come most, as in any text (Zipf)."""
    import numpy as np

    from lstmlm.config.data import DataOptions
    from lstmlm.config.model import ModelOptions
    from lstmlm.config.optimizer import SGDOptions
    from lstmlm.config.schedule import ConstantOptions
    from lstmlm.config.training import TrainingOptions
    from lstmlm.corpus.encoded_text import EncodedText
    from lstmlm.corpus.stream import TrainingStream
    from lstmlm.models.kernels import Execution, GemmPath
    from lstmlm.models.language_model import build_language_model
    from lstmlm.optim.optimizers import build_optimizer
    from lstmlm.optim.schedules import build_schedule
    from lstmlm.training.trainer import Trainer

    frequencies = 1 / np.arange(1, VOCAB_SIZE + 1)
    tokens = np.random.default_rng(1).choice(VOCAB_SIZE, N_TOKENS, p=frequencies / frequencies.sum()).astype(np.uint16)
    no_lines = np.zeros(0, dtype=np.int64)
    text = EncodedText("zipf", "train", tokens, 0, no_lines, no_lines, 0, 0, "")
    stream = TrainingStream(text, 0, DataOptions(corpus="zipf/", batch_size=BATCH_SIZE, bptt=BPTT))
    options = ModelOptions.model_validate(
        {
            "backbone": {"name": "lstm", "n_layers": 2, "hidden_size": HIDDEN_SIZE},
            "embedding_size": HIDDEN_SIZE,
            "tie_weights": False,
            "dropout": {"input": 0.5, "hidden": 0.5, "output": 0.5},
        }
    )
    model = build_language_model(options, VOCAB_SIZE, 1)
    optimizer, schedule = SGDOptions(learning_rate=1.0), build_schedule(ConstantOptions(), 1.0, 1000)
    return Trainer(
        TrainingOptions(n_steps=1000),
        model,
        build_optimizer(optimizer, model),
        schedule,
        stream,
        clip_norm=5.0,
        seed=1,
        execution=Execution(GemmPath.NATIVE, compiled=True),
        world=world,
    )


def seconds_of_steps(step) -> float:
    """Return the median time of a step, once it is warm."""
    seconds = []
    for _ in range(WARM_UP_STEPS + MEASURED_STEPS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return median(seconds[WARM_UP_STEPS:])


def run(n_processes: int, n_threads: int) -> list[float]:
    """Measure in fresh processes."""
    arguments = [__file__, "--measure", str(n_threads)]
    ends: list[Ended] = ends_of(
        start(arguments, n_processes, dict.fromkeys(range(n_processes), Path.cwd()), OMP_NUM_THREADS=n_threads)
    )
    assert all(end.status == 0 for end in ends), ends
    return json.loads(ends[0].stdout)


def main(n_rounds: int) -> None:
    """Let both take turns and report."""
    ratios, shares = [], []
    for number in range(n_rounds):
        order = [(1, 2), (2, 1)] if number % 2 == 0 else [(2, 1), (1, 2)]
        measured = {n_processes: run(n_processes, n_threads) for n_processes, n_threads in order}
        one, two = measured[1], measured[2]
        ratios.append(two[0] / one[0])
        shares.append(1 - two[2] / two[1])
        print(
            f"1 process x 2 threads {one[0]:,.0f} tokens/s · 2 processes x 1 thread {two[0]:,.0f} tokens/s · step "
            f"{two[1]:.3f} s, without sums {two[2]:.3f} s, the sum of {two[4] / 1e6:.0f} MB alone {two[3]:.3f} s"
        )
    print(f"throughput ratio {median(ratios):.3f} · communication {median(shares):.1%} of a step · {n_rounds} rounds")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
