"""One LSTM layer over a window, forward and backward, beside torch.nn.LSTM."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lstmlm.benchmark.correctness import Results, with_gradients
from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import LayerShape, Plan
from lstmlm.benchmark.section import Row, Section, compare_routes, geometric_means
from lstmlm.benchmark.torch_model import copy_weights
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.kernels import Execution, GemmPath, run_window

Pass = Callable[[], Results]


def measure_layers(plan: Plan, machine: Machine, tell: Callable[[str], None]) -> Section:
    """Compare all layers of the plan."""
    rows: list[Row] = []
    for number, shape in enumerate(plan.layers, start=1):
        tell(f"layer {number} of {len(plan.layers)}")
        rows += compare_layer(shape, plan, machine)
    title = "One LSTM layer, forward and backward, beside torch.nn.LSTM"
    return Section("layers", title, rows, geometric_means(rows))


def compare_layer(shape: LayerShape, plan: Plan, machine: Machine) -> list[Row]:
    """Return a row for each number format of ours."""
    layer = Layer(shape)
    theirs = {"torch_float32": layer.torch_pass(torch.float32)}
    if machine.has_bfloat16:
        theirs["torch_bfloat16"] = layer.torch_pass(torch.bfloat16)
    ours = {path: layer.our_pass(path) for path in machine.gemm_paths}
    wanted = theirs["torch_float32"]()
    n_flops = 3 * 2 * shape.bptt * shape.batch_size * 4 * shape.hidden_size * 2 * shape.hidden_size
    return compare_routes(shape, plan.effort, machine, ours, lambda path: ours[path](), wanted, theirs, n_flops)


class Layer:
    """A layer with its window and the gradient that arrives at its outputs, the same for every contestant."""

    def __init__(self, shape: LayerShape) -> None:
        generator = torch.Generator().manual_seed(1)
        self.cell = LSTMCell(
            shape.hidden_size, shape.hidden_size, forget_bias=1.0, input_gate_cap=False, coupled_gates=False
        )
        self.cell.initialize(generator)
        window = (shape.bptt, shape.batch_size, shape.hidden_size)
        self.inputs = torch.randn(window, generator=generator)
        self.grad_outputs = torch.randn(window, generator=generator)

    def our_pass(self, path: GemmPath) -> Pass:
        """Return both passes of our kernel by the route `path`."""
        execution = Execution(gemm_path=path)
        state, inputs = self.cell.initial_state(self.inputs.shape[1]), self.inputs.clone().requires_grad_()

        def run() -> Results:
            weights = self.cell.weights()
            outputs, _ = run_window(self.cell, inputs, state, weights, execution=execution)
            return _results(outputs, self.grad_outputs, [inputs, *weights])

        return run

    def torch_pass(self, dtype: torch.dtype) -> Pass:
        """Return both passes of torch.nn.LSTM in `dtype`."""
        lstm = nn.LSTM(self.cell.input_size, self.cell.hidden_size)
        copy_weights(self.cell, lstm, 0)
        lstm, inputs = lstm.to(dtype), self.inputs.to(dtype, copy=True).requires_grad_()
        grad_outputs = self.grad_outputs.to(dtype)

        def run() -> Results:
            outputs, _ = lstm(inputs)
            return _results(outputs, grad_outputs, [inputs, *lstm.all_weights[0][:3]])

        return run


def _results(outputs: Tensor, grad_outputs: Tensor, leaves: list[Tensor]) -> Results:
    named = dict(zip(("inputs", "weight_ih", "weight_hh", "bias"), leaves, strict=True))
    return with_gradients("outputs", outputs, named, grad_outputs)
