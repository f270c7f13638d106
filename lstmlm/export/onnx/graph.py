"""A graph that is put down node by node, in the order in which its nodes compute."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float
from onnx import TensorProto, checker, helper, numpy_helper

OPSET, IR_VERSION = 17, 8
"""Of 2022: the first operators with layer normalisation, read by onnxruntime from 1.12."""

MOST_INT8 = 127

Dimensions = Sequence[int | str]


class Graph:
    """Nodes with the weights that they read; a value is known by its name, a string.

    With `is_int8` matrices are kept in 8 bits, each row of them with a scale, and multiplied out in the graph: whoever
    runs it does so once, when it is loaded.
    """

    def __init__(self, *, is_int8: bool = False, parent: "Graph | None" = None) -> None:
        self.is_int8 = is_int8
        self.nodes: list[onnx.NodeProto] = []
        self._root: Graph = self if parent is None else parent._root
        self._constants: dict[str, onnx.TensorProto] = {}
        self._n_values = 0

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return that."""
        (output,) = self.add_with_outputs(1, operator, *inputs, **attributes)
        return output

    def add_with_outputs(self, n_outputs: int, operator: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node, and return its outputs; an input that it does without is an empty string."""
        outputs = [self.new_name(operator) for _ in range(n_outputs)]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=outputs[0], **attributes))
        return outputs

    def named(self, value: str, name: str) -> str:
        """Give a value the name of an output of the graph."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        return name

    def new_name(self, kind: str) -> str:
        """Return a name that nothing in the graph has."""
        self._root._n_values += 1
        return f"{kind}_{self._root._n_values}"

    def constant(self, value: Any, name: str | None = None, dtype: type = np.int64) -> str:
        """Return a constant, which is kept once by its name or where it equals another without one."""
        array: np.ndarray = np.asarray(value, dtype, order="C")
        name = name or f"{array.dtype}_{'x'.join(map(str, array.shape))}_{'_'.join(map(str, array.ravel()))}"
        self._root._constants.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def vector(self, name: str, values: np.ndarray) -> str:
        """Return weights that are no matrix."""
        return self.constant(values, name, np.float32)

    def matrix(
        self, name: str, rows: Float[np.ndarray, "out in"], arranged: Callable[[np.ndarray], np.ndarray] = np.asarray
    ) -> str:
        """Return a matrix, whose rows have one scale each where they are of 8 bits, in another arrangement of axes."""
        if not self.is_int8:
            return self.constant(arranged(rows), name, np.float32)
        values, scales = quantized(rows)
        whole = self.constant(arranged(values), f"{name}.int8", np.int8)
        scale = self.constant(arranged(scales), f"{name}.scale", np.float32)
        return self._root.add("Mul", self._root.add("Cast", whole, to=TensorProto.FLOAT), scale)

    def linear(self, x: str, name: str, rows: np.ndarray, bias: str | None = None) -> str:
        """Return x Wᵀ + b; W is kept transposed, as the product reads it."""
        return self.product(x, self.matrix(name, rows, np.transpose), bias)

    def product(self, x: str, transposed: str, bias: str | None = None) -> str:
        """Return x Wᵀ + b of a matrix that is transposed already."""
        product = self.add("MatMul", x, transposed)
        return product if bias is None else self.add("Add", product, bias)

    def body(self) -> "Graph":
        """Return a graph for a loop in this one, whose weights are kept here."""
        return Graph(is_int8=self.is_int8, parent=self)

    def as_loop_body(self, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
        """Return this graph as the body of a loop over float32 values."""
        taken, given = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
            for names in (inputs, outputs)
        )
        return helper.make_graph(self.nodes, self.new_name("body"), taken, given)

    def serialized(
        self, inputs: Mapping[str, Dimensions], outputs: Mapping[str, Dimensions], metadata: Mapping[str, str]
    ) -> bytes:
        """Return the content of a file: inputs of rank 1 and 2 are int64, all else is float32."""
        taken = [
            helper.make_tensor_value_info(key, TensorProto.FLOAT if len(shape) > 2 else TensorProto.INT64, shape)
            for key, shape in inputs.items()
        ]
        given = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, metadata["model_type"], taken, given, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lstmlm",
            producer_version=version("lstmlm"),
        )
        helper.set_model_props(model, dict(metadata))
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def quantized(rows: Float[np.ndarray, "out in"]) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix to 8 bits a value; returns whole numbers (out, in) and the scale of each row (out, 1)."""
    scales = np.abs(rows).max(axis=1, keepdims=True).astype(np.float32) / MOST_INT8
    scales[scales == 0] = 1
    return np.rint(rows / scales).astype(np.int8), scales
