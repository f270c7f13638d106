"""The kernels' loops in C++, called with pointers into tensors; absent where there is no compiler.

`build` compiles what is in `cpp/` for the machine at hand, once. There `window.cpp` runs the cells of `cells.h`;
`layer_norm_lstm.cpp` and `mogrifier.cpp` have loops of their own; `product.cpp` and `linear.cpp` are what `gemm.py`
calls, `cross_entropy.cpp` is the loss. `arithmetic.h`, `matrix.h` and `threads.h` are common to them. Others take
`library`.
"""

import ctypes
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lstmlm.models.kernels.native.build import library

__all__ = [
    "NAMES",
    "Arguments",
    "CrossEntropy",
    "LayerNormLSTM",
    "Linear",
    "Mogrifier",
    "Product",
    "Window",
    "library",
    "native_function",
]

NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


class Arguments(ctypes.Structure):
    """What a function takes: numbers, then pointers, in the order of the C++ structure of the same name."""

    owners: Mapping[str, float | Tensor | None]

    @classmethod
    def of(cls, **values: float | Tensor | None) -> "Arguments":
        """Fill in sizes and tensors, contiguous unless strides are among the sizes; None is the null pointer.

        Threads are as many as torch uses, unless their number is given.
        """
        arguments = cls()
        arguments.owners = values  # a pointer alone would not keep a tensor alive
        for name, value in {"n_threads": torch.get_num_threads(), **values}.items():
            setattr(arguments, name, value.data_ptr() if isinstance(value, Tensor) else value)
        return arguments


def _fields(numbers: str, pointers: str, *, double: str = "") -> list[tuple[str, Any]]:
    """Return the fields of a structure: whole numbers, a floating-point one if there is any, and pointers."""
    kinds = (numbers, ctypes.c_int64), (double, ctypes.c_double), (pointers, ctypes.c_void_p)
    return [(name, kind) for names, kind in kinds for name in names.split()]


class Window(Arguments):
    """Arguments of the loops over time; window.cpp says what each is."""

    _fields_ = _fields(
        "n_steps n_rows n_inputs n_units n_threads keep",
        "inputs weight_ih weight mask recurrent_bias projected bias hiddens operands memories kept "
        "grad_outputs grad_projected grad_recurrent carry grad_hidden grad_inputs grad_weight_ih grad_weight grad_bias",
    )


class Linear(Arguments):
    """Arguments of the product of few rows; linear.cpp says what each is."""

    _fields_ = _fields("n_rows depth n_columns n_threads", "rows weight bias out")


class Product(Arguments):
    """Arguments of the product of matrices; product.cpp says what each is."""

    _fields_ = _fields(
        "n_rows n_columns depth n_threads left_row left_column right_row right_column out_row add", "left right out"
    )


class Mogrifier(Arguments):
    """Arguments of the Mogrifier LSTM; mogrifier.cpp says what each is."""

    _fields_ = _fields(
        "n_steps n_rows n_inputs n_units n_threads keep n_rounds rank",
        "inputs weight bias rounds mask hiddens memories operands inner opened kept "
        "grad_outputs grad_gates grad_opened grad_inner grad_inputs carry grad_hidden",
    )


class LayerNormLSTM(Arguments):
    """Arguments of the LSTM with layer normalisation; layer_norm_lstm.cpp says what each is."""

    _fields_ = _fields(
        "n_steps n_rows n_units n_threads keep",
        "weight bias gain_ih gain_hh gain_cell bias_cell mask projected hiddens operands memories kept normalized "
        "statistics grad_outputs grad_projected grad_recurrent grad_vectors carry grad_hidden",
        double="epsilon",
    )


class CrossEntropy(Arguments):
    """Arguments of the last layer's loss with its gradients; cross_entropy.cpp says what each is."""

    _fields_ = _fields(
        "n_rows n_columns depth n_threads rows_at_once stride differentiate",
        "rows weight bias targets beside logits nats grad_rows grad_weight grad_bias",
        double="least_share",
    )


def native_function(name: str, operands: Tensor, suffix: str = "") -> Callable[[Any], None] | None:
    """Return a compiled function for the number format of `operands`; None where there is none.

    Args:
        name: Such as "lstm" or "cross_entropy".
        operands: What is multiplied, for its format and device.
        suffix: Such as "_forward".
    """
    if operands.device.type != "cpu" or operands.dtype not in NAMES:
        return None
    compiled = library()
    function = getattr(compiled, f"{name}_{NAMES[operands.dtype]}{suffix}", None) if compiled else None
    if function is None:
        return None
    return partial(_call, function)


def _call(function: Callable[[Any], None], arguments: Arguments) -> None:
    function(ctypes.byref(arguments))
