"""A trained model in the formats of other tools, a file or folder a format.

- `huggingface`: a directory for transformers and what is built on it.
- `onnx`: files for onnxruntime, browsers, phones and sherpa-onnx, written node by node.
- `torch_weights`: a file for `nn.LSTM`, `nn.GRU` and `nn.RNN`; `torch_import` makes a run of such a file.

An export is written under another name, loaded from there again, held to the model's probabilities (`comparison`), and
only then gets its name; nothing changes it afterwards. A new format is a function and a line in `EXPORTS`, from which
the command line takes it; others import this table.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.export.huggingface import export_huggingface
from lstmlm.export.onnx import export_onnx
from lstmlm.export.torch_weights import export_torch
from lstmlm.models.language_model import LanguageModel

EXPORTS: Mapping[str, Callable[[RunDirectory, LanguageModel, Tokenizer, Path], object]] = {
    "huggingface": export_huggingface,
    "onnx": export_onnx,
    "torch": export_torch,
}
"""By name, what writes the best weights of a run and its tokenizer to a path where there is nothing yet."""
