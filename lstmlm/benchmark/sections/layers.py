"""One LSTM layer over a window, forward and backward, beside torch.nn.LSTM."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lstmlm.benchmark.correctness import difference
from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import LayerShape, Plan
from lstmlm.benchmark.section import Row, Section, geometric_means, refusal, row_of
from lstmlm.benchmark.timing import fastest, measure
from lstmlm.benchmark.torch_model import copy_weights
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.kernels import Execution, GemmPath, run_window

Results = dict[str, Tensor]
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
    paths = {"float32": fastest({path: layer.our_pass(path) for path in machine.float32_paths})}
    if machine.has_bfloat16:
        paths["bfloat16"] = GemmPath.BFLOAT16
    wanted = theirs["torch_float32"]()
    wrong = {name: difference(layer.our_pass(path)(), wanted, name) for name, path in paths.items()}
    ours = {name: layer.our_pass(path) for name, path in paths.items() if wrong[name] is None}
    seconds = measure({**ours, **theirs}, plan.effort)
    n_flops = 3 * 2 * shape.bptt * shape.batch_size * 4 * shape.hidden_size * 2 * shape.hidden_size
    rows: list[Row] = []
    for name, path in paths.items():
        if (text := wrong[name]) is not None:
            rows.append(refusal(shape, name, text))
            continue
        row = row_of(shape, name, seconds[name], {other: seconds[other] for other in theirs})
        flops = n_flops / (float(row["lstmlm_milliseconds"] or 0) / 1000)
        rows.append({**row, "gemm_path": path.value, "gemm_peak_share": flops / 1e9 / machine.gemm_gflops[name]})
    return rows


class Layer:
    """A layer with its window and the gradient that arrives at its outputs, the same for every contestant."""

    def __init__(self, shape: LayerShape) -> None:
        generator = torch.Generator().manual_seed(1)
        self.cell = LSTMCell(shape.hidden_size, shape.hidden_size, forget_bias=1.0, input_gate_cap=False)
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
            return _with_gradients(outputs, self.grad_outputs, [inputs, *weights])

        return run

    def torch_pass(self, dtype: torch.dtype) -> Pass:
        """Return both passes of torch.nn.LSTM in `dtype`."""
        lstm = nn.LSTM(self.cell.input_size, self.cell.hidden_size)
        copy_weights(self.cell, lstm, 0)
        lstm, inputs = lstm.to(dtype), self.inputs.to(dtype, copy=True).requires_grad_()
        grad_outputs = self.grad_outputs.to(dtype)

        def run() -> Results:
            outputs, _ = lstm(inputs)
            return _with_gradients(outputs, grad_outputs, [inputs, *lstm.all_weights[0][:3]])

        return run


def _with_gradients(outputs: Tensor, grad_outputs: Tensor, leaves: list[Tensor]) -> Results:
    names = ("inputs", "weight_ih", "weight_hh", "bias")
    gradients = torch.autograd.grad(outputs, leaves, grad_outputs)
    named = {f"gradient of {name}": gradient for name, gradient in zip(names, gradients, strict=True)}
    return {"outputs": outputs, **named}
