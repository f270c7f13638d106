"""Training steps beside another busy process: what a browser, or a second training, leaves of their speed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from statistics import fmean

import torch

from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import ModelShape, Plan
from lstmlm.benchmark.section import Row, Section
from lstmlm.benchmark.sections.training_step import our_step, torch_step
from lstmlm.benchmark.timing import Work, measure
from lstmlm.benchmark.torch_model import N_LAYERS, TorchModel, our_model

N_TURNS = 3
"""How often the other process comes and goes."""


def measure_busy_steps(plan: Plan, machine: Machine, tell: Callable[[str], None]) -> Section:
    """Measure ours and torch's alone and beside one process that never waits, and what share of their speed is left.

    Means, not medians: who gets the processors changes every few milliseconds, so that steps beside another process
    are fast or very slow.
    """
    rows: list[Row] = []
    for number, shape in enumerate(plan.busy_steps, start=1):
        tell(f"a busy machine, {number} of {len(plan.busy_steps)}")
        rows.append(_shares(shape, plan, machine))
    title = f"Training step beside one busy process, {N_LAYERS} layers, bptt {plan.bptt}, SGD: share of the speed alone"
    return Section("busy", title, rows)


def _shares(shape: ModelShape, plan: Plan, machine: Machine) -> Row:
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randint(shape.vocab_size, (2, plan.bptt, shape.batch_size), generator=generator)
    path = machine.routes({path: our_step(shape, path, inputs, targets) for path in machine.gemm_paths})["float32"]
    work: dict[str, Work] = {
        "lstmlm": our_step(shape, path, inputs, targets),
        "torch_float32": torch_step(TorchModel(our_model(shape)), inputs, targets),
    }
    alone: dict[str, list[float]] = {name: [] for name in work}
    beside: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(N_TURNS):
        for name, seconds in measure(work, plan.busy_effort).items():
            alone[name] += seconds
        with busy_process():
            for name, seconds in measure(work, plan.busy_effort).items():
                beside[name] += seconds
    row: Row = {**asdict(shape), "precision": "float32", "gemm_path": path.value}
    for name in work:
        row[f"{name}_alone_tokens_per_second"] = targets.numel() / fmean(alone[name])
        row[f"{name}_beside_tokens_per_second"] = targets.numel() / fmean(beside[name])
        row[f"{name}_share_of_speed_alone"] = fmean(alone[name]) / fmean(beside[name])
    return row


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one processor busy for a while."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()
