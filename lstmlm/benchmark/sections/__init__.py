"""What `lstmlm bench` measures, one kind a file, in the order of `SECTIONS`.

`layers` (windows of recurrent layers), `loss` (the last layer, its time and its memory), `training_step` (whole steps),
`busy` (the same beside another process) and `reading` (generation and evaluation). A new one is a function that returns
a `Section` and a line in `SECTIONS`, which the command line takes.
"""

from collections.abc import Callable

from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import Plan
from lstmlm.benchmark.section import Section
from lstmlm.benchmark.sections.busy import measure_busy_steps
from lstmlm.benchmark.sections.layers import measure_layers
from lstmlm.benchmark.sections.loss import measure_losses
from lstmlm.benchmark.sections.reading import measure_evaluation, measure_generation
from lstmlm.benchmark.sections.training_step import measure_training_steps

SECTIONS: tuple[Callable[[Plan, Machine, Callable[[str], None]], Section], ...] = (
    measure_layers,
    measure_losses,
    measure_training_steps,
    measure_busy_steps,
    measure_generation,
    measure_evaluation,
)
"""Each measures its part of a plan on a machine, tells what it is at, and returns its rows."""
