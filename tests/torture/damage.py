"""A checkpoint of a real training with every single bit flipped, and at every length."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from torture.tally import Part, Tally
from torture.tiny_run import Tiny

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError


def flipped(part: Part) -> list[Tally]:
    """Flip each bit of each file that a checkpoint vouches for: nothing may be loaded."""
    tally = Tally("bit flips of a checkpoint detected")
    with _run() as run:
        for path in _vouched_for(run):
            intact = path.read_bytes()
            with path.open("r+b", buffering=0) as file:
                for bit in part.of(range(8 * len(intact))):
                    offset = bit // 8
                    file.seek(offset)
                    file.write(bytes([intact[offset] ^ 1 << bit % 8]))
                    tally.count(f"bit {bit} of {path.name}", _loss(run))
                    file.seek(offset)
                    file.write(intact[offset : offset + 1])
        assert _loss(run) is not None, "the checkpoint is not intact afterwards"
    return [tally]


def truncated(part: Part) -> list[Tally]:
    """Cut each file off at each length: nothing may be loaded."""
    tally = Tally("truncations of a checkpoint detected")
    with _run() as run:
        for path in _vouched_for(run):
            intact = path.read_bytes()
            for length in part.of(range(len(intact))):
                path.write_bytes(intact[:length])
                tally.count(f"{length} bytes of {path.name}", _loss(run))
            path.write_bytes(intact)
        assert _loss(run) is not None, "the checkpoint is not intact afterwards"
    return [tally]


@contextmanager
def _run() -> Iterator[RunDirectory]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield RunDirectory.open(Tiny(Path(folder)).undisturbed)


def _vouched_for(run: RunDirectory) -> list[Path]:
    checkpoint = run.path / "checkpoints" / f"{run.last:08d}"
    return [*sorted(checkpoint.iterdir()), run.path / "config.yaml", run.path / "tokenizer.json"]


def _loss(run: RunDirectory) -> str | None:
    assert run.last is not None
    try:
        run.load_training(run.last)
    except CheckpointError:
        return None
    return "was loaded"
