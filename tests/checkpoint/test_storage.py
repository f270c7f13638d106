"""A checkpoint comes back bit for bit, or not at all: no damaged byte reaches a tensor."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lstmlm.checkpoint import storage
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.errors import CheckpointError

CHECKPOINT = Path("runs/a/checkpoints/00000400")
VERIFIED = [
    *(CHECKPOINT / name for name in ("model.safetensors", "training.safetensors", "state.json")),
    *(CHECKPOINT / name for name in ("manifest.json", "manifest.sha256")),
    Path("runs/a/config.yaml"),
    Path("runs/a/tokenizer.json"),
]
REMEDY = "Restore it from a copy, or train the run again."

Content = Callable[..., Checkpoint]


@pytest.fixture
def saved(run: RunDirectory, content: Content) -> RunDirectory:
    with run.lock():
        run.save(400, content(400), is_best=True)
    return run


def refusal(run: RunDirectory, step: int = 400) -> str:
    with pytest.raises(CheckpointError) as error:
        run.load_weights(step)
    with pytest.raises(CheckpointError) as other:
        run.load_training(step)
    assert str(error.value) == str(other.value)
    return str(error.value)


DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_come_back_bit_for_bit(run: RunDirectory, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    n_values = 2 if dtype is torch.bool else 256
    random_bytes = torch.randint(n_values, (24, 8), generator=generator, dtype=torch.uint8)
    # Every bit pattern, the NaNs among them, and the shapes that are easily got wrong.
    matrix = random_bytes.view(dtype)
    tensors = {"matrix": matrix, "transposed": matrix.T, "scalar": matrix[0, 0], "empty": matrix[:, :0]}
    with run.lock():
        run.save(400, Checkpoint(tensors, {}, {}), is_best=False)
    loaded = run.load_weights(400)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype is dtype
        assert loaded[name].shape == tensor.shape
        assert bytes_of(loaded[name]) == bytes_of(tensor)


def bytes_of(tensor: torch.Tensor) -> list[int]:
    return tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def test_views_and_parameters_are_saved_as_tensors_of_their_own(run: RunDirectory) -> None:
    states = torch.arange(6.0).reshape(2, 3)
    parameter = torch.nn.Parameter(states)
    with run.lock():
        run.save(400, Checkpoint({"w": parameter}, {"first": states[0], "second": states[1]}, {}), is_best=False)
    weights, training, _ = run.load_training(400)
    assert torch.equal(weights["w"], states)
    assert not weights["w"].requires_grad
    training["first"].add_(1)
    assert training["second"].tolist() == [3, 4, 5]


def test_the_state_comes_back_with_integers_of_any_size(run: RunDirectory) -> None:
    state = {"step": 400, "seed": 2**63 - 1, "position": 10**40, "best_nats": 0.1 + 0.2, "rates": [1, None, True, "é"]}
    with run.lock():
        run.save(400, Checkpoint({}, {}, state), is_best=False)
    assert run.load_training(400).state == state


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_does_not_have_is_refused(saved: RunDirectory, number: float) -> None:
    with saved.lock(), pytest.raises(ValueError, match="JSON"):
        saved.save(500, Checkpoint({}, {}, {"nats": number}), is_best=False)
    assert saved.last == 400


@pytest.mark.usefixtures("saved")
def test_the_formats_are_open(content: Content) -> None:
    assert torch.equal(load_file(CHECKPOINT / "model.safetensors")["embedding"], content(400).weights["embedding"])
    assert json.loads((CHECKPOINT / "state.json").read_bytes()) == content(400).state
    manifest = json.loads((CHECKPOINT / "manifest.json").read_bytes())
    records = {CHECKPOINT / name: record for name, record in manifest.pop("checkpoint").items()}
    records |= {Path("runs/a") / name: record for name, record in manifest.pop("run").items()}
    # Nothing was written to the metrics.
    assert manifest == {"step": 400, "metrics": {"size": 0, "sha256": hashlib.sha256().hexdigest()}}
    assert records.keys() == {path for path in VERIFIED if not path.name.startswith("manifest")}
    for path, record in records.items():
        file = path.read_bytes()
        assert record == {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    digest = hashlib.sha256((CHECKPOINT / "manifest.json").read_bytes()).hexdigest()
    assert (CHECKPOINT / "manifest.sha256").read_text("utf-8") == f"{digest}  manifest.json\n"


def test_the_same_content_gives_the_same_bytes(create: Callable[[str], RunDirectory], content: Content) -> None:
    files = []
    for name in ("runs/a", "runs/b"):
        run = create(name)
        with run.lock():
            run.save(400, content(400), is_best=True)
        files.append({path.name: path.read_bytes() for path in Path(name).rglob("*") if path.is_file()})
    assert files[0] == files[1]


def test_no_path_of_the_machine_is_stored(
    create: Callable[[str], RunDirectory], content: Content, tmp_path: Path
) -> None:
    """But for the corpus, which is relative here."""
    run = create(str(tmp_path / "runs" / "a"))
    with run.lock():
        run.save(400, content(400), is_best=True)
    for path in run.path.rglob("*"):
        assert not path.is_file() or bytes(tmp_path) not in path.read_bytes()


@pytest.mark.parametrize("path", VERIFIED, ids=lambda path: path.name)
def test_every_changed_byte_is_found(saved: RunDirectory, path: Path) -> None:
    intact = path.read_bytes()
    for offset in range(len(intact)):
        damaged = bytearray(intact)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"is damaged"):
            saved.load_weights(400)
    path.write_bytes(intact)
    saved.load_weights(400)


@pytest.mark.parametrize("path", VERIFIED, ids=lambda path: path.name)
def test_every_truncation_is_found(saved: RunDirectory, path: Path) -> None:
    intact = path.read_bytes()
    for length in [*range(0, len(intact), 7), len(intact) - 1]:
        path.write_bytes(intact[:length])
        with pytest.raises(CheckpointError, match=r"is damaged"):
            saved.load_training(400)


@pytest.mark.parametrize("path", VERIFIED, ids=lambda path: path.name)
def test_a_missing_file_is_named(saved: RunDirectory, path: Path) -> None:
    path.unlink()
    assert refusal(saved) == f"{path}: is missing. Restore it from a copy."


def test_a_damaged_file_is_named_with_what_to_do(saved: RunDirectory) -> None:
    model = CHECKPOINT / "model.safetensors"
    intact = model.read_bytes()
    model.write_bytes(intact[:-1] + b"\x7f")
    assert refusal(saved) == f"{model}: is damaged (its SHA-256 differs from the manifest). {REMEDY}"
    model.write_bytes(intact + b"\x00")
    size = len(intact)
    assert refusal(saved) == f"{model}: is damaged ({size + 1} bytes, the manifest says {size}). {REMEDY}"
    model.write_bytes(intact[:8] + b"x" + intact[9:])
    assert refusal(saved) == f"{model}: is damaged (its SHA-256 differs from the manifest). {REMEDY}"


class ChangedWhileRead(BufferedReader):
    """A file of tensors whose last byte is changed after some of them have been read."""

    def __init__(self, path: Path, n_tensors: int) -> None:
        super().__init__(FileIO(path), buffer_size=1)
        self._path = path
        self._n_left = n_tensors

    def readinto(self, buffer: Any) -> int:
        n_read = super().readinto(buffer)
        self._n_left -= 1
        if self._n_left == 0:
            self._path.write_bytes(self._path.read_bytes()[:-1] + b"\x7f")
        return n_read


@pytest.mark.parametrize("n_read_before", [1, 2])
def test_tensors_that_change_while_they_are_read_are_those_verified_or_none(
    saved: RunDirectory, content: Content, monkeypatch: pytest.MonkeyPatch, n_read_before: int
) -> None:
    @contextmanager
    def open_to_read(path: Path) -> Iterator[BufferedReader]:
        with ChangedWhileRead(path, n_read_before) if path.name == "model.safetensors" else path.open("rb") as file:
            yield file

    monkeypatch.setattr(storage, "open_to_read", open_to_read)
    expected = content(400).weights
    if n_read_before < len(expected):
        with pytest.raises(CheckpointError, match="its SHA-256 differs from the manifest"):
            saved.load_weights(400)
    else:
        loaded = saved.load_weights(400)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    assert (CHECKPOINT / "model.safetensors").read_bytes().endswith(b"\x7f")


def test_a_file_too_many_is_named(saved: RunDirectory) -> None:
    (CHECKPOINT / "optimizer.pt").touch()
    assert refusal(saved) == f"{CHECKPOINT}/optimizer.pt: is not part of the checkpoint. Move it elsewhere."


def test_a_damaged_manifest_is_named(saved: RunDirectory) -> None:
    manifest = CHECKPOINT / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"400", b"401"))
    assert refusal(saved) == f"{manifest}: is damaged (its SHA-256 differs from manifest.sha256). {REMEDY}"


def with_matching_digest(manifest: Path, content: bytes) -> None:
    manifest.write_bytes(content)
    manifest.with_name("manifest.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  manifest.json\n", "utf-8")


@pytest.mark.parametrize(
    "malformed",
    [b"", b"{}", b"[" * 100_000, b'{"step": "400", "checkpoint": {}, "run": {}}', b"\xff"],
    ids=["empty", "no keys", "deep", "wrong type", "not UTF-8"],
)
def test_a_malformed_manifest_is_refused_though_its_digest_fits(saved: RunDirectory, malformed: bytes) -> None:
    with_matching_digest(CHECKPOINT / "manifest.json", malformed)
    assert refusal(saved).startswith(f"{CHECKPOINT}/manifest.json: is damaged (")


@pytest.mark.parametrize("part", ["checkpoint", "run"])
def test_a_manifest_cannot_lead_outside_the_run(saved: RunDirectory, part: str) -> None:
    Path("secret").touch()
    manifest = json.loads((CHECKPOINT / "manifest.json").read_bytes())
    manifest[part]["../../../../secret"] = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    with_matching_digest(CHECKPOINT / "manifest.json", json.dumps(manifest).encode())
    assert refusal(saved) == f"{CHECKPOINT}/manifest.json: is of another checkpoint (of step 400). {REMEDY}"


def test_a_checkpoint_under_another_step_is_refused(saved: RunDirectory) -> None:
    CHECKPOINT.rename("runs/a/checkpoints/00000500")
    message = f"runs/a/checkpoints/00000500/manifest.json: is of another checkpoint (of step 400). {REMEDY}"
    assert refusal(saved, 500) == message


def test_what_is_no_safetensors_file_is_refused_though_its_digest_fits(saved: RunDirectory) -> None:
    # A pickle that would run code if anything unpickled it.
    pickle = b"cos\nsystem\n(S'touch unpickled'\ntR."
    (CHECKPOINT / "model.safetensors").write_bytes(pickle)
    manifest = json.loads((CHECKPOINT / "manifest.json").read_bytes())
    digest = hashlib.sha256(pickle).hexdigest()
    manifest["checkpoint"]["model.safetensors"] = {"size": len(pickle), "sha256": digest}
    with_matching_digest(CHECKPOINT / "manifest.json", json.dumps(manifest).encode())
    assert refusal(saved).startswith(f"{CHECKPOINT}/model.safetensors: is damaged (")
    assert not Path("unpickled").exists()


def test_a_swapped_tokenizer_is_found_when_the_run_is_opened(saved: RunDirectory) -> None:
    tokenizer = saved.path / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace("eos", "end"), "utf-8")
    with pytest.raises(CheckpointError) as error:
        RunDirectory.open(saved.path)
    assert str(error.value) == f"runs/a/tokenizer.json: is damaged (its SHA-256 differs from the manifest). {REMEDY}"


def test_an_edited_config_is_found_when_the_run_is_opened(saved: RunDirectory) -> None:
    config = saved.path / "config.yaml"
    config.write_text(config.read_text("utf-8") + "\n", "utf-8")
    with pytest.raises(CheckpointError, match=r"^runs/a/config\.yaml: is damaged \("):
        RunDirectory.open(saved.path)
