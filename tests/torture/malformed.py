"""Malformed and malicious files: each is read, or refused with a sentence, at once, and nothing else happens."""

import hashlib
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torture import mutations
from torture.tally import Part, Tally
from torture.tiny_run import PROJECT, Tiny

from lstmlm import workflows
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.config import RunConfig
from lstmlm.config.data import MOST_TOKENIZER_BYTES
from lstmlm.corpus.loading import load_corpus
from lstmlm.corpus.stream import TrainingStream
from lstmlm.corpus.tokenizers import load_tokenizer
from lstmlm.distributed import ALONE
from lstmlm.errors import LstmlmError
from lstmlm.files import read_text
from lstmlm.models.language_model import build_language_model
from lstmlm.training.preparation.origin import environment_warnings, require_same_corpus
from lstmlm.training.preparation.preparation import build_trainer
from lstmlm.training.state import TrainState
from lstmlm.yaml.schema import load_yaml

N_INPUTS = 200_000
MOST_SECONDS = 1.0
"""Of the processor: other processes may keep this one waiting."""
MOST_KILOBYTES = 100_000
FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.", "socket.", "ctypes.dlopen")
"""Audit events, by what they begin with."""


@dataclass(frozen=True)
class Target:
    """A kind of file, how to spoil it, and who reads it."""

    path: Path
    mutate: mutations.Mutate
    read: Callable[[], object]
    share: float
    """Of all inputs."""


def refused(part: Part) -> list[Tally]:
    """Read mutations of every file of a run, and of the configuration that makes one."""
    tally = Tally("malformed or malicious files read or refused, none over 1 s or 100 MB, nothing else opened or run")
    n_inputs = len(part.of(range(N_INPUTS)))
    randomness = random.Random(part.index)
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        watch = Watch(folder)
        for target in _targets(Path(folder)):
            intact = target.path.read_bytes()
            target.read()
            for number in range(round(target.share * n_inputs)):
                content = target.mutate(randomness, intact)
                _write(target.path, content)
                tally.count(f"{target.path.name} {number}, {content[:200]!r}", watch.loss(target.read))
            _write(target.path, intact)
    return [tally]


def _targets(folder: Path) -> list[Target]:
    changes = {"schedule": {"name": "anneal_on_plateau"}, "averaging": {"name": "nt_asgd", "nonmonotone_interval": 1}}
    tiny = Tiny(folder, {**changes, "training.validate_every": 1})
    run = RunDirectory.open(tiny.undisturbed)
    checkpoint = run.path / "checkpoints" / f"{run.last:08d}"
    resume, compare = _resumption(run)

    def use_tokenizer() -> None:
        tokenizer = load_tokenizer(
            run.config.data.tokenizer, read_text(run.path / "tokenizer.json", MOST_TOKENIZER_BYTES)
        )
        tokenizer.decode(tokenizer.encode("The <unk> farmer\nnaïve\x00\u2028"))
        tokenizer.decode(range(tokenizer.vocab_size))

    as_json, as_tensors = mutations.mutated_json, mutations.mutated_safetensors
    return [
        Target(tiny.config, mutations.mutated_yaml, lambda: load_yaml(tiny.config, RunConfig), 0.3),
        Target(run.path / "tokenizer.json", as_json, use_tokenizer, 0.1),
        Target(run.path / "environment.json", as_json, compare, 0.05),
        Target(run.path / "metrics.jsonl", mutations.mutated_bytes, lambda: run.metrics.keep_until(5), 0.05),
        Target(run.path / "best", mutations.mutated_bytes, lambda: workflows.load(run.path), 0.05),
        Target(run.path / "last", mutations.mutated_bytes, lambda: workflows.load(run.path), 0.05),
        Target(checkpoint / "manifest.json", as_json, resume, 0.15),
        Target(checkpoint / "model.safetensors", as_tensors, resume, 0.1),
        Target(checkpoint / "training.safetensors", as_tensors, resume, 0.1),
        Target(checkpoint / "state.json", as_json, resume, 0.05),
    ]


def _resumption(run: RunDirectory) -> tuple[Callable[[], object], Callable[[], object]]:
    """What continues a run, and makes a step, and what compares its surroundings with those of before."""
    corpus = load_corpus(run.config.data)
    stream = TrainingStream(corpus.train, corpus.tokenizer.start_id, run.config.data, run.config.seed)

    def resume() -> None:
        assert run.last is not None
        weights, tensors, state = run.load_training(run.last)
        model = build_language_model(run.config.model, corpus.tokenizer.vocab_size, run.config.seed)
        trainer = build_trainer(run.config, model, stream, 100, ALONE, time.monotonic)
        trainer.restore(weights, tensors, TrainState.from_json(state))
        trainer.train_step()

    def compare() -> None:
        require_same_corpus(run, corpus)
        environment_warnings(run, {"n_threads": 1, "packages": {"torch": "2"}})

    return resume, compare


def _write(path: Path, content: bytes) -> None:
    """Write a file so that the manifest agrees: whoever can write the one can write the other."""
    path.write_bytes(content)
    if path.name == "manifest.json":
        digest = hashlib.sha256(content).hexdigest()
        path.with_name("manifest.sha256").write_text(f"{digest}  manifest.json\n", "utf-8")
    elif (manifest_path := path.with_name("manifest.json")).exists():
        manifest: dict[str, Any] = json.loads(manifest_path.read_text("utf-8"))
        manifest["checkpoint"][path.name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _write(manifest_path, json.dumps(manifest).encode())


class Watch:
    """Sees what a reader does besides reading files below a folder."""

    def __init__(self, folder: str) -> None:
        self._own = (folder, sys.prefix, sys.base_prefix, str(PROJECT))
        self._is_watching = False
        self._seen: list[str] = []
        sys.addaudithook(self._note)

    def loss(self, read: Callable[[], object]) -> str | None:
        """Read something malformed and say what went wrong about that."""
        self._seen.clear()
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        self._is_watching = True
        try:
            read()
        except LstmlmError:
            pass
        except BaseException as error:  # noqa: BLE001 -- what is uncaught is what is looked for
            return f"uncaught {error!r:.300}"
        finally:
            self._is_watching = False
        seconds = time.process_time() - started
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if seconds > MOST_SECONDS:
            return f"took {seconds:.1f} s"
        if kilobytes > MOST_KILOBYTES:
            return f"took {kilobytes // 1000} MB"
        return f"did {', '.join(self._seen)}" if self._seen else None

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_watching:
            return
        if event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith(self._own):
            self._seen.append(f"open {arguments[0]}")
        elif event.startswith(FORBIDDEN):
            self._seen.append(event)
