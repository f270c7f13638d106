"""Checkpoints on disk, and the digests that vouch for every byte of them.

A checkpoint is a directory of tensors (safetensors) and JSON; nothing in it can run code. Its manifest lists the size
and SHA-256 of its files and of the files of the run it depends on; `manifest.sha256` vouches for the manifest and can
be checked with `sha256sum -c`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from pydantic import BaseModel, ValidationError

from lstmlm.checkpoint.tensor_file import TensorFile, n_elements
from lstmlm.errors import CheckpointError
from lstmlm.files import BLOCK_BYTES, Block, list_directory, open_to_read, publish_directory, read_bytes, size_of

if TYPE_CHECKING:
    from torch import Tensor

MODEL = "model.safetensors"
TRAINING = "training.safetensors"
STATE = "state.json"
CHECKPOINT_FILES = (MODEL, TRAINING, STATE)
MANIFEST = "manifest.json"
MANIFEST_DIGEST = "manifest.sha256"

MOST_MANIFEST_BYTES = 1 << 16
MOST_JSON_BYTES = 1 << 24

_REMEDY = "Restore it from a copy, or train the run again."


class Checkpoint(NamedTuple):
    """What a training needs to continue exactly where it was."""

    weights: "dict[str, Tensor]"
    """The model's parameters by name, without duplicates of tied ones: all that using the model needs."""
    training: "dict[str, Tensor]"
    """The other tensors: optimizer, carried state."""
    state: dict[str, object]
    """The other values, as JSON has them, integers of any size: counters, positions."""


class FileRecord(BaseModel, frozen=True, extra="forbid", strict=True):
    """What the manifest knows of a file."""

    size: int
    """In bytes."""
    sha256: str
    """In hexadecimal."""

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> Self:
        """The record of a file that consists of these blocks."""
        size, digest = 0, hashlib.sha256()
        for block in blocks:
            size += len(block)
            digest.update(block)
        return cls(size=size, sha256=digest.hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The record of a file as it is now. Raises CheckpointError if it cannot be read."""
        with open_to_read(path) as file:
            return cls.of(iter(partial(file.read, BLOCK_BYTES), b""))


class Manifest(BaseModel, frozen=True, extra="forbid", strict=True):
    """The content of `manifest.json`."""

    step: int
    checkpoint: dict[str, FileRecord]
    """The files beside the manifest."""
    run: dict[str, FileRecord]
    """The files of the run directory that give the tensors their meaning."""
    metrics: FileRecord | None = None
    """The part of metrics.jsonl that was written before; None in runs of earlier versions."""


def publish_checkpoint(
    directory: Path,
    step: int,
    content: Checkpoint,
    run_files: Mapping[str, FileRecord],
    metrics: FileRecord,
) -> None:
    """Write a checkpoint: whole and durable, or not at all.

    Args:
        directory: Where it will be; a checkpoint that is there is replaced.
        step: The step after which it was taken.
        content: The tensors may be on any device, views or shared; each is saved on its own.
        run_files: The records of the files of the run that give the tensors their meaning, by name.
        metrics: What metrics.jsonl holds so far.

    Raises:
        CheckpointError: It cannot be written; what was at `directory` still is.
        ValueError: A number in the state is NaN or infinite, which JSON does not have.
    """
    files: dict[str, Iterable[Block]] = {
        MODEL: TensorFile.of(content.weights),
        TRAINING: TensorFile.of(content.training),
        STATE: [json_bytes(content.state)],
    }
    manifest = Manifest(
        step=step,
        checkpoint={name: FileRecord.of(blocks) for name, blocks in files.items()},
        run=dict(run_files),
        metrics=metrics,
    )
    manifest_json = json_bytes(manifest.model_dump())
    publish_directory(directory, files | {MANIFEST: [manifest_json], MANIFEST_DIGEST: [_digest_line(manifest_json)]})


def n_parameters(path: Path) -> int:
    """Return how many numbers the model of a checkpoint has, by the header of its file, which is not verified.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    model = path / MODEL
    size = size_of(model)
    with open_to_read(model) as file:
        try:
            return n_elements(file, size)
        except ValueError as error:
            raise CheckpointError(f"{model}: is damaged ({error}). {_REMEDY}") from None


def load_weights(directory: Path, step: int, run_files: Sequence[Path]) -> "dict[str, Tensor]":
    """The weights of a checkpoint, on the CPU, once all of it has been verified as by `verify_checkpoint`."""
    records = _records(directory, step, run_files)
    weights = verified_tensors(directory / MODEL, records[MODEL])
    for name in (TRAINING, STATE):
        _verify(directory / name, records[name])
    return weights


def load_checkpoint(directory: Path, step: int, run_files: Sequence[Path]) -> Checkpoint:
    """All of a checkpoint, its tensors on the CPU, once all of it has been verified as by `verify_checkpoint`."""
    records = _records(directory, step, run_files)
    weights, training = (verified_tensors(directory / name, records[name]) for name in (MODEL, TRAINING))
    return Checkpoint(weights, training, _verified_state(directory, records))


def load_state(directory: Path, step: int, run_files: Sequence[Path]) -> dict[str, Any]:
    """The state of a checkpoint, verified by its manifest; of no other file more than the name is looked at."""
    return _verified_state(directory, read_manifest(directory, step, run_files).checkpoint)


def _verified_state(directory: Path, records: Mapping[str, FileRecord]) -> dict[str, Any]:
    return json_object(directory / STATE, _verified_bytes(directory / STATE, records[STATE]))


def verify_checkpoint(directory: Path, step: int, run_files: Sequence[Path]) -> None:
    """Compare every byte of a checkpoint with its manifest.

    Raises:
        CheckpointError: A file of the checkpoint or of the run is missing, damaged or unknown to the manifest.
    """
    records = _records(directory, step, run_files)
    for name in CHECKPOINT_FILES:
        _verify(directory / name, records[name])


def read_manifest(directory: Path, step: int, run_files: Sequence[Path]) -> Manifest:
    """The manifest of a checkpoint, once it has been verified itself.

    Raises:
        CheckpointError: It is missing, damaged, of another step or of other files.
    """
    path = directory / MANIFEST
    content = read_bytes(path, MOST_MANIFEST_BYTES)
    if read_bytes(directory / MANIFEST_DIGEST, MOST_MANIFEST_BYTES) != _digest_line(content):
        _refuse(path, f"its SHA-256 differs from {MANIFEST_DIGEST}")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        _refuse(path, error.errors()[0]["msg"])
    # Only names that are known beforehand are ever joined to a path.
    of_run = {path.name for path in run_files if path.name in manifest.run or path.exists()}
    if (manifest.step, {*manifest.checkpoint}, {*manifest.run}) != (step, {*CHECKPOINT_FILES}, of_run):
        raise CheckpointError(f"{path}: is of another checkpoint (of step {manifest.step}). {_REMEDY}")
    return manifest


def verify_run_files(manifest: Manifest, run_files: Sequence[Path]) -> None:
    """Compare the files of the run with a manifest.

    Raises:
        CheckpointError: One of them is missing or damaged.
    """
    for path in run_files:
        if path.name in manifest.run:
            _verify(path, manifest.run[path.name])


def verify_metrics(path: Path, record: FileRecord) -> None:
    """Compare the beginning of metrics.jsonl with what a manifest says of it.

    Raises:
        CheckpointError: It is missing, shorter, or holds something else.
    """
    if size_of(path) < record.size:
        _refuse(path, f"has fewer than the {record.size} bytes that the manifest says")
    with open_to_read(path) as file:
        _compare(path, record, [file.read(record.size)])


def json_bytes(value: Mapping[str, object]) -> bytes:
    """JSON as it is written to a run: strict, indented, a newline at the end.

    Raises:
        ValueError: A number is NaN or infinite, which JSON does not have.
    """
    return json.dumps(value, allow_nan=False, indent=2).encode() + b"\n"


def json_object(path: Path, content: bytes) -> dict[str, Any]:
    """The object that the JSON file at `path` holds.

    Raises:
        CheckpointError: It is no JSON, or something else than an object, or has numbers that JSON does not have.
    """
    if len(content) > MOST_JSON_BYTES:
        _refuse(path, f"{len(content)} bytes, at most {MOST_JSON_BYTES} are read")
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        _refuse(path, error)
    if not isinstance(value, dict):
        _refuse(path, "no JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _refuse(path: Path, reason: object) -> NoReturn:
    raise CheckpointError(f"{path}: is damaged ({reason}). {_REMEDY}") from None


def _records(directory: Path, step: int, run_files: Sequence[Path]) -> dict[str, FileRecord]:
    """What the manifest says of the files of the checkpoint, once everything else is as the manifest says."""
    manifest = read_manifest(directory, step, run_files)
    verify_run_files(manifest, run_files)
    for path in list_directory(directory):
        if path.name not in (*CHECKPOINT_FILES, MANIFEST, MANIFEST_DIGEST):
            raise CheckpointError(f"{path}: is not part of the checkpoint. Move it elsewhere.")
    return manifest.checkpoint


def _verify(path: Path, record: FileRecord) -> None:
    with _opened(path, record) as file:
        _compare(path, record, iter(partial(file.read, BLOCK_BYTES), b""))


def _verified_bytes(path: Path, record: FileRecord) -> bytes:
    with _opened(path, record) as file:
        content = file.read(record.size)
    _compare(path, record, [content])
    return content


def verified_tensors(path: Path, record: FileRecord) -> "dict[str, Tensor]":
    """Read the tensors of a file, on the CPU.

    Raises:
        CheckpointError: The file is missing, or not as its record says.
    """
    with _opened(path, record) as file:
        try:
            content = TensorFile.read(file, record.size)
        except ValueError as error:
            # That bytes have changed says more than what this has made of them.
            _verify(path, record)
            _refuse(path, error)
    # What the tensors hold is compared, so that nothing can change between the comparison and the use.
    _compare(path, record, content)
    return content.tensors


@contextmanager
def _opened(path: Path, record: FileRecord) -> Iterator[BufferedReader]:
    size = size_of(path)
    if size != record.size:
        _refuse(path, f"{size} bytes, the manifest says {record.size}")
    with open_to_read(path) as file:
        yield file


def _compare(path: Path, record: FileRecord, blocks: Iterable[Block]) -> None:
    if FileRecord.of(blocks) != record:
        _refuse(path, "its SHA-256 differs from the manifest")


def _digest_line(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
