"""Log-probabilities of every token of a text as a safetensors file, which other programs can write too.

The format is described in docs/evaluation.md: one tensor, and texts in the header that say of what it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.errors import CheckpointError, DataError, shown
from lstmlm.evaluation.report import Report
from lstmlm.files import open_to_read, size_of, write_blocks_atomically

FORMAT = "lstmlm log-probabilities 1"
TENSOR = "log_probabilities"
NAMED = ("model", "split")
DEPENDED = ("text_sha256", "tokenizer_sha256", "context", "counted", "normalization", "fingerprint")
"""What figures of the same text depend on, as `fingerprint` names it: the same in all files that are used together."""


@dataclass(frozen=True)
class TokenFile:
    """What a model says of every token of a text."""

    path: Path
    texts: Mapping[str, str]
    """`NAMED` and `DEPENDED`."""
    nats: Float[np.ndarray, " tokens"]
    """The surprisal of each token, in order."""


def write_token_file(path: Path, report: Report) -> None:
    """Write what a report of perplexity was made of.

    Raises:
        CheckpointError: the file cannot be written.
    """
    assert report.nats is not None
    values = report.values
    metadata = {
        "format": FORMAT,
        "model": str(values["run"]),
        "split": str(values["split"] or Path(str(values["text"])).name),
        **{name: str(values[name]) for name in DEPENDED},
    }
    write_blocks_atomically(path, TensorFile.of({TENSOR: torch.from_numpy(-report.nats)}, metadata))


def read_token_file(path: Path) -> TokenFile:
    """Read such a file, whoever wrote it.

    Raises:
        DataError: it is missing, or no such file, or its numbers are no log-probabilities.
    """
    try:
        size = size_of(path)
        with open_to_read(path) as file:
            content = TensorFile.read(file, size)
    except ValueError as error:
        raise DataError(f"{path}: is no safetensors file ({error}). {_WRITE_ONE}") from None
    except CheckpointError as error:
        raise DataError(str(error)) from None
    texts, found = content.metadata, content.tensors.get(TENSOR)
    if texts.get("format") != FORMAT:
        raise DataError(f"{path}: is of format {shown(texts.get('format'))}, read is {FORMAT!r}. {_WRITE_ONE}")
    if missing := [name for name in (*NAMED, *DEPENDED) if name not in texts]:
        raise DataError(f"{path}: does not say {', '.join(missing)}. {_WRITE_ONE}")
    if found is None or found.ndim != 1 or not found.is_floating_point() or len(found) == 0:
        form = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
        raise DataError(f"{path}: has {form} as {TENSOR}, not a number for each token. {_WRITE_ONE}")
    nats = -found.double().numpy()
    if not np.isfinite(nats).all() or nats.min() < -LEAST_SURPRISE:
        place = int(np.argmax(~(np.isfinite(nats) & (nats >= -LEAST_SURPRISE))))
        raise DataError(f"{path}: {-nats[place]:g}, of token {place}, is no logarithm of a probability. {_WRITE_ONE}")
    return TokenFile(path, {name: texts[name] for name in (*NAMED, *DEPENDED)}, nats)


LEAST_SURPRISE = 1e-4
"""By so much a probability may be above one by rounding (nats)."""

_WRITE_ONE = "Write one: lstmlm eval perplexity --save-logprobs FILE"


def require_same(files: Mapping[str, TokenFile]) -> None:
    """Check that files are of one text, cut and counted in one way.

    Raises:
        DataError: they are not; it names what differs, and the files.
    """
    first, *others = files.values()
    for other in others:
        for name in DEPENDED:
            if other.texts[name] != first.texts[name]:
                raise DataError(
                    f"{other.path}: is of another {_MEANING.get(name, name)} than {first.path} ({name} "
                    f"{other.texts[name][:12]!r}, not {first.texts[name][:12]!r}). Combine files that agree in it."
                )
        if len(other.nats) != len(first.nats):
            raise DataError(
                f"{other.path}: has {len(other.nats):,} tokens, {first.path} has {len(first.nats):,} of the same text. "
                "Write both anew."
            )


_MEANING = {"text_sha256": "text", "tokenizer_sha256": "tokenizer", "normalization": "version of normalization"}
