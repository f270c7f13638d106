"""ONNX files of a model: for onnxruntime, a browser, a phone, sherpa-onnx.

`graph` puts down nodes one by one, `layers`, `output_layers` and `ngrams` what the model computes; `graphs` and
`sherpa` join them to the files of a directory, `running` asks these in onnxruntime, `directory` writes and verifies
them, `card` describes them for people. Nothing is traced.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import MissingExtraError
from lstmlm.models.language_model import LanguageModel

if TYPE_CHECKING:
    from lstmlm.export.onnx.directory import ExportedFile

__all__ = ["export_onnx"]


def export_onnx(
    run: RunDirectory,
    model: LanguageModel,
    tokenizer: Tokenizer,
    path: Path,
    purpose: str = "onnxruntime",
    text: EncodedText | None = None,
) -> "list[ExportedFile]":
    """Write a model as a directory of ONNX files.

    Args:
        run: Where the model is from.
        model: Its best weights.
        tokenizer: Its tokenizer.
        path: The directory to make.
        purpose: "onnxruntime", or "sherpa" for the names and metadata of icefall, which sherpa-onnx reads.
        text: What the perplexities of files of 8 bits are measured on; without one there are no such files.

    Returns:
        What each file has lost.

    Raises:
        ConfigError: the model is too large for a file, or the tokenizer cannot be expressed.
        CheckpointError: the directory cannot be written.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    try:
        from lstmlm.export.onnx.directory import write_directory
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"onnx", "onnxruntime"}:
            raise
        raise MissingExtraError(f"{error.name}: is not installed. Install it: pip install 'lstmlm[onnx]'") from error
    return write_directory(run, model, tokenizer, path, purpose, text)
