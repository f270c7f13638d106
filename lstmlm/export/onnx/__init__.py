"""ONNX files of a model: for onnxruntime, a browser, a phone, sherpa-onnx; importing this needs the extra `onnx`.

`graph` puts down nodes one by one, `layers`, `output_layers` and `ngrams` what the model computes; `graphs` and
`sherpa` join them to the files of a directory, `running` asks these in onnxruntime, `directory` writes and verifies
them, `card` describes them for people. Nothing is traced.
"""

from lstmlm.export.onnx.directory import export_onnx

__all__ = ["export_onnx"]
