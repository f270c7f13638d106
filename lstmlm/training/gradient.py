"""The gradient of a window: in groups of columns, one after the other here, and at once on the processes of a world."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.stream import Window
from lstmlm.distributed import World, without_sum
from lstmlm.models.backbone import BackboneState, detach, join_states, part_of_state
from lstmlm.models.kernels import Execution
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.output_layers.adaptive import AdaptiveSoftmaxLayer
from lstmlm.optim.optimizers import clip_gradient
from lstmlm.randomness import Randomness
from lstmlm.training.graph import Capture, Compute, WindowGraph, WindowResults, WindowStart, capture_on_gpu
from lstmlm.training.regularization import activation_penalty


class WindowGradient:
    """Leaves the gradient of a window's mean loss on the weights, summed over all processes.

    A part is a group of columns: those of the first process come first. Each part's loss is divided by the number of
    tokens of the whole window, so that gradients and losses need only be added up. On a GPU windows of the usual shape
    are computed by a graph; the numbers are the same.
    """

    def __init__(
        self,
        options: TrainingOptions,
        model: LanguageModel,
        execution: Execution,
        seed: int,
        world: World,
        *,
        bptt: int,
        clip_norm: float | None,
    ) -> None:
        self._n_groups = options.accumulate
        self._seed = seed
        self._world = world
        self._bptt = bptt
        self._clip_norm = clip_norm
        self._parameters = list(model.parameters())
        self._device = self._parameters[0].device
        is_adaptive = any(isinstance(module, AdaptiveSoftmaxLayer) for module in model.modules())
        self._objective = world.replicate(_Objective(options, model, execution), may_skip_weights=is_adaptive)
        # Not where processes wait for each other, or where a window's tokens decide about sizes.
        can_capture = self._device.type == "cuda" and world.size == 1 and not is_adaptive
        self._capture: Capture | None = capture_on_gpu if can_capture else None
        self._graph: WindowGraph | None = None

    def compute(
        self, window: Window, state: BackboneState, step: int
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""], BackboneState]:
        """Go through this process's columns of a window, forward and backward; nothing here waits for the device.

        Returns:
            The mean loss over the tokens of all columns (nats), the norm of the gradient before it was clipped, and the
            state of this process's columns after the window.
        """
        compute = partial(self._compute, window.n_tokens)
        inputs, targets = window.inputs.to(self._device), window.targets.to(self._device)
        start = WindowStart(inputs, targets, state, Randomness(self._seed, step))
        graph = self._graph_of(window, compute, start)
        results = compute(start) if graph is None else graph.run(start)
        for parameter, gradient in zip(self._parameters, results.gradients, strict=True):
            parameter.grad = gradient
        return results.loss, results.norm, results.state

    def _graph_of(self, window: Window, compute: Compute, start: WindowStart) -> WindowGraph | None:
        """Return what computes windows of this shape, captured when the first comes; None where nothing does."""
        if len(window.inputs) != self._bptt or window.n_tokens != window.inputs.numel():
            return None
        if self._capture is not None:
            self._graph, self._capture = WindowGraph.captured(compute, self._capture, start), None
        return self._graph

    def _compute(self, n_tokens: int, start: WindowStart) -> WindowResults:
        for parameter in self._parameters:
            parameter.grad = None
        losses, states = [], []
        for group in range(self._n_groups):
            part, n_parts = self._world.rank * self._n_groups + group, self._world.size * self._n_groups
            of_group = (ids.chunk(self._n_groups, dim=1)[group] for ids in (start.inputs, start.targets))
            before = part_of_state(start.state, group, self._n_groups)
            is_last = group == self._n_groups - 1
            with nullcontext() if is_last else without_sum(self._objective):
                objective, loss, after = self._objective(
                    *of_group, before, replace(start.randomness, part=part, n_parts=n_parts), n_tokens
                )
                self._world.backward(objective)
            losses.append(loss)
            states.append(after)
        loss = self._world.sum(torch.stack(losses).sum())
        norm = clip_gradient(self._parameters, self._clip_norm)
        return WindowResults(loss, norm, join_states(states), [parameter.grad for parameter in self._parameters])


class _Objective(nn.Module):
    """What is descended, as a module, because that is what gradients are summed for."""

    def __init__(self, options: TrainingOptions, model: LanguageModel, execution: Execution) -> None:
        super().__init__()
        self._options = options.regularization
        self._model = model
        self._execution = execution

    def forward(
        self, inputs: Tensor, targets: Tensor, state: BackboneState, randomness: Randomness, n_tokens: int
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""], BackboneState]:
        """Return a part's share of the objective and of the mean loss, and the part's state after the window."""
        outputs, state = self._model.read(inputs, state, randomness, self._execution)
        features = self._model.drop_outputs(outputs, randomness)
        loss = self._model.output_layer.loss(features, targets, self._execution, randomness) / n_tokens
        hidden, dropped = self._model.hidden_of(outputs), self._model.hidden_of(features)
        penalty = activation_penalty(self._options, dropped, hidden) / randomness.n_parts
        return loss + penalty, loss.detach(), detach(state)
