"""Element-by-element arithmetic of a kernel as one operation on a GPU.

torch's compiler turns a function of a dozen small operations into one that reads each operand once. Only such a
function is compiled, never a loop over time. It is called hundreds of times a second with a few thousand elements, so
it is compiled for exact shapes and called without the guards of `torch.compile`, which cost more than the arithmetic.
Where compiling fails, for whatever reason, the same arithmetic runs operation by operation.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lstmlm.errors import first_line

Operands = Sequence[Tensor | None]
Signature = tuple[tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device] | None, ...]

logger = logging.getLogger(__name__)


def bind(function: Callable[..., None], operands: Operands, *, fuse: bool) -> Callable[..., None]:
    """Return `function`, which writes its results into operands, for others of the same shapes, strides and types.

    Args:
        function: The arithmetic, with every result stored by `copy_` at the end.
        operands: Examples, None for absent ones; nothing is read from or written to them.
        fuse: Whether to compile; where that fails `function` itself is returned, with one line in the log.
    """
    compiled = _compile(function, _signature(operands), torch.get_num_threads()) if fuse else None
    if compiled is None:
        return function
    # A compiled function empties the list that it is given, hence a new one for each call.
    return lambda *arguments: compiled([argument for argument in arguments if argument is not None])


def _signature(operands: Operands) -> Signature:
    return tuple(
        None if operand is None else (operand.shape, operand.stride(), operand.dtype, operand.device)
        for operand in operands
    )


@cache
def _compile(
    function: Callable[..., None],
    signature: Signature,
    n_threads: int,  # noqa: ARG001  (the compiler bakes it in, so it is part of the key)
) -> Callable[[list[Tensor]], Any] | None:
    """Compile `function` for operands of `signature`; None where that fails. `n_threads` is part of the result."""
    try:
        # What is imported here is not public, and takes seconds: no import at the top.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return _compile_or_raise(function, signature)
    except Exception as error:  # noqa: BLE001  (a compiler fails in a hundred ways, and speed is all that is lost)
        logger.warning("%s is not compiled (%s): the slower way is taken.", function.__name__, first_line(error))
        return None


def _compile_or_raise(function: Callable[..., None], signature: Signature) -> Callable[[list[Tensor]], Any]:
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.decomposition import select_decomp_table
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    present = [place for place, operand in enumerate(signature) if operand is not None]
    with FakeTensorMode(allow_non_fake_inputs=True):
        examples = [
            torch.empty_strided(size, stride, dtype=dtype, device=device)
            for size, stride, dtype, device in (operand for operand in signature if operand is not None)
        ]

    def flat(*arguments: Tensor) -> tuple[()]:
        operands: list[Tensor | None] = [None] * len(signature)
        for place, argument in zip(present, arguments, strict=True):
            operands[place] = argument
        function(*operands)
        return ()

    # Checks of sizes at each call cost as much as the call; one thread compiles, no pool of processes is started.
    with config.patch(size_asserts=False, compile_threads=1):
        graph = make_fx(flat, decomposition_table=select_decomp_table())(*examples)
        compiled: Callable[[list[Tensor]], Any] = compile_fx_inner(graph, examples)
    return compiled
