"""A trained model in the formats of other tools, a file or folder a format.

- `huggingface`: a directory for transformers and what is built on it.
- `onnx`: files for onnxruntime, browsers, phones and sherpa-onnx, written node by node.
- `torch_weights`: a file for `nn.LSTM`, `nn.GRU` and `nn.RNN`; `torch_import` makes a run of such a file.

An export is written under another name, loaded from there again, held to the model's probabilities (`comparison`), and
only then gets its name; nothing changes it afterwards. A new format is a function, which its command imports: it writes
the best weights of a run and its tokenizer to a path where there is nothing yet.
"""
