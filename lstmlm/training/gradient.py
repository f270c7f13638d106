"""The gradient of a window: in groups of columns, one after the other here, and at once on the processes of a world."""

from contextlib import nullcontext

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
from lstmlm.randomness import Randomness
from lstmlm.training.regularization import activation_penalty


class WindowGradient:
    """Adds the gradient of a window's mean loss to the weights, summed over all processes.

    A part is a group of columns: those of the first process come first. Each part's loss is divided by the number of
    tokens of the whole window, so that gradients and losses need only be added up.
    """

    def __init__(
        self, options: TrainingOptions, model: LanguageModel, execution: Execution, seed: int, world: World
    ) -> None:
        self._n_groups = options.accumulate
        self._seed = seed
        self._world = world
        self._device = next(model.parameters()).device
        may_skip_weights = isinstance(model.output_layer, AdaptiveSoftmaxLayer)
        self._objective = world.replicate(_Objective(options, model, execution), may_skip_weights=may_skip_weights)

    def add(self, window: Window, state: BackboneState, step: int) -> tuple[Float[Tensor, ""], BackboneState]:
        """Go through this process's columns of a window, forward and backward.

        Returns:
            The mean loss over the tokens of all columns (nats), and the state of this process's after the window.
        """
        losses, states = [], []
        for group in range(self._n_groups):
            part = self._world.rank * self._n_groups + group
            randomness = Randomness(self._seed, step, part, self._world.size * self._n_groups)
            inputs, targets = (
                ids.chunk(self._n_groups, dim=1)[group].to(self._device) for ids in (window.inputs, window.targets)
            )
            is_last = group == self._n_groups - 1
            with nullcontext() if is_last else without_sum(self._objective):
                objective, loss, after = self._objective(
                    inputs, targets, part_of_state(state, group, self._n_groups), randomness, window.n_tokens
                )
                self._world.backward(objective)
            losses.append(loss)
            states.append(after)
        return self._world.sum(torch.stack(losses).sum()), join_states(states)


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
        penalty = activation_penalty(self._options, features, outputs) / randomness.n_parts
        return loss + penalty, loss.detach(), detach(state)
