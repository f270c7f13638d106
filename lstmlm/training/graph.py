"""A window's gradient as one CUDA graph: launched at once, where its kernels one by one keep the processor too busy.

A graph repeats what it has seen, on the memory where it has seen it. So tokens, state and what is drawn at random are
written into tensors that stay, and results are read from where the graph leaves them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstmlm.errors import first_line
from lstmlm.models.backbone import BackboneState
from lstmlm.models.cells.cell import map_state
from lstmlm.randomness import Randomness

WARM_UP_RUNS = 3
"""Before a graph is captured: compilers and libraries do things the first time that a graph cannot hold."""

logger = logging.getLogger(__name__)


class WindowStart(NamedTuple):
    """What a window's pass begins with."""

    inputs: Int[Tensor, "time batch"]
    targets: Int[Tensor, "time batch"]
    state: BackboneState
    randomness: Randomness
    """Of the step."""


class WindowResults(NamedTuple):
    """What a window's pass forward and backward leaves."""

    loss: Float[Tensor, ""]
    """Mean over the tokens of the window (nats)."""
    norm: Float[Tensor, ""]
    """Of the gradient before it was clipped."""
    state: BackboneState
    """After the window."""
    gradients: list[Tensor | None]
    """Clipped, in the order of the parameters; None for one without effect."""


Compute: TypeAlias = Callable[[WindowStart], WindowResults]

Capture: TypeAlias = Callable[[Callable[[], WindowResults]], tuple[WindowResults, Callable[[], None]]]
"""Runs a function and returns its results, with what does the same again, into the memory of these results."""


def capture_on_gpu(function: Callable[[], WindowResults]) -> tuple[WindowResults, Callable[[], None]]:
    """Capture what `function` launches as a CUDA graph; results are there once it has been replayed."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    # Around the capture too: one that fails does not put back the stream that was the current one.
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_RUNS):
            function()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            results = function()
    torch.cuda.current_stream().wait_stream(stream)
    return results, graph.replay


class WindowGraph:
    """Windows of one shape, computed by what was captured from the first of them."""

    def __init__(self, compute: Compute, capture: Capture, start: WindowStart) -> None:
        self._draws = _StaticDraws(start.randomness.seed, start.randomness.step)
        self._start = WindowStart(start.inputs.clone(), start.targets.clone(), _copied(start.state), self._draws)
        self._results, self._replay = capture(lambda: compute(self._start))

    @classmethod
    def captured(cls, compute: Compute, capture: Capture, start: WindowStart) -> "WindowGraph | None":
        """Return a graph for windows like this one; None, with one line in the log, where capturing fails."""
        try:
            return cls(compute, capture, start)
        except Exception as error:  # noqa: BLE001  (it fails in a hundred ways, and speed is all that is lost)
            logger.warning("training is not captured as a CUDA graph (%s): the slower way is taken.", first_line(error))
            return None

    def run(self, start: WindowStart) -> WindowResults:
        """Compute the results of a window; loss, norm and gradients are overwritten by the next one."""
        for place, tensor in zip(_tensors(self._start), _tensors(start), strict=True):
            place.copy_(tensor)
        self._draws.repeat(start.randomness)
        self._replay()
        # A copy: it is still needed when the next window is computed, or has failed.
        return self._results._replace(state=_copied(self._results.state))


@dataclass(frozen=True)
class _Draw:
    shape: tuple[int, ...]
    probability: float
    ones: Float[Tensor, "..."]


@dataclass(frozen=True)
class _StaticDraws(Randomness):
    """Hands out, for each site, a copy of the same memory, which is filled before the graph that reads it runs."""

    drawn: dict[str, _Draw] = field(default_factory=dict)

    def bernoulli(self, shape: tuple[int, ...], probability: float, site: str, like: Tensor) -> Float[Tensor, "..."]:
        if site not in self.drawn:
            # First met in the warm-up, where a graph does not yet own what is allocated.
            self.drawn[site] = _Draw(shape, probability, super().bernoulli(shape, probability, site, like))
        return self.drawn[site].ones.clone()

    def repeat(self, randomness: Randomness) -> None:
        """Draw anew, as `randomness` does, at every site."""
        for site, draw in self.drawn.items():
            draw.ones.copy_(randomness.bernoulli(draw.shape, draw.probability, site, draw.ones))


def _copied(state: BackboneState) -> BackboneState:
    return tuple(map_state(Tensor.clone, cell_state) for cell_state in state)


def _tensors(start: WindowStart) -> list[Tensor]:
    return [start.inputs, start.targets, *chain.from_iterable(start.state)]
