"""What is settled before the first step: which run goes on, what it starts from, whether corpus and options agree."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch

from lstmlm.checkpoint.environment import RECORDED_PACKAGES, environment_differences
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.shared_run import SharedRun
from lstmlm.config import RunConfig
from lstmlm.config.data import FileTokenizerOptions, TokenizerOptions
from lstmlm.config.output import AdaptiveOptions
from lstmlm.corpus.loading import Corpus, load_corpus
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from lstmlm.distributed import World
from lstmlm.errors import CheckpointError, ConfigError, DataError, as_command
from lstmlm.models.language_model import LanguageModel, build_language_model, load_weights
from lstmlm.training.execution import (
    ResolvedExecution,
    find_device,
    resolve_cutoffs,
    resolve_execution,
    resolve_like,
)

LENGTHS = {"training.n_epochs", "training.n_steps", "training.budget"}
"""Each says how long to train, and where a schedule ends: a run keeps it."""


def corpus_warnings(config: RunConfig, corpus: Corpus) -> list[str]:
    """Say what of this corpus will disappoint, and which options have no effect on it, a sentence each."""
    found = _vocabulary_warnings(corpus)
    if corpus.valid and corpus.valid.sha256 == corpus.train.sha256:
        found.append(
            "data.corpus: train and valid are the same text, so valid perplexity tells nothing of other texts."
        )
    if isinstance(config.model.output, AdaptiveOptions) and config.model.output.cutoffs == ():
        found.append("model.output.cutoffs: there are none, so that adaptive is the full softmax. Use name: softmax.")
    return found


def _vocabulary_warnings(corpus: Corpus) -> list[str]:
    if corpus.valid is None:
        return ["data.corpus: has no validation split: nothing tells the best weights, so the last are kept."]
    others = [split for split in (corpus.valid, corpus.test) if split]
    if corpus.train.n_unk > 0 or not any(split.n_unk for split in others):
        return []
    return [
        "data.tokenizer: <unk> never occurs in the training split, so the model cannot learn to expect unknown words. "
        "Set min_count: 2."
    ]


@contextmanager
def run_to_resume(run_dir: Path, config: RunConfig, resume: bool) -> Iterator[RunDirectory | None]:
    """Be the one writer of the run to be continued; None where a new one begins, after a check that its place is free.

    Raises:
        CheckpointError: there is a run that is not to be continued, in use, damaged or of another configuration.
    """
    if not resume or not RunDirectory.exists(run_dir):
        RunDirectory.require_free(run_dir)
        yield None
        return
    run = RunDirectory.open(run_dir)
    _require_same_config(run, resolve_like(config, run.config))
    with run.lock():
        yield run


def run_to_start_from(config: RunConfig, existing: RunDirectory | None) -> RunDirectory | None:
    """Open the run whose weights are wanted; None where there is none, or where a checkpoint replaces them anyway."""
    path = config.training.initialize_from
    if path is None or (existing and existing.last is not None):
        return None
    source = RunDirectory.open(Path(path))
    is_same = (
        existing.tokenizer_json == source.tokenizer_json if existing else _has_tokenizer(source, config.data.tokenizer)
    )
    if not is_same:
        raise CheckpointError(
            f"training.initialize_from: {path} has another tokenizer. Give data.tokenizer as in {path}/config.yaml, "
            "and a new --run-dir."
        )
    return source


def _has_tokenizer(run: RunDirectory, options: TokenizerOptions) -> bool:
    """Whether a run has the tokenizer that `options` describe: a file by what is in it, not by its path."""
    if not isinstance(options, FileTokenizerOptions):
        return run.config.data.tokenizer == options
    return train_tokenizer(options, []).digest == tokenizer_of(run).digest


def initial_model(config: RunConfig, corpus: Corpus, source: RunDirectory | None) -> LanguageModel:
    """Build the model with the weights that training starts from: drawn by the seed, or the best ones of `source`."""
    model = build_language_model(config.model, corpus.tokenizer.vocab_size, config.seed)
    if source is not None:
        try:
            load_weights(model, source.load_weights(best_step(source)))
        except CheckpointError as error:
            raise CheckpointError(f"training.initialize_from: {source.path}: {error}") from None
    elif config.model.initial_bias == "unigram":
        model.output_layer.start_from_unigram(corpus.train.count_tokens(corpus.tokenizer.vocab_size))
    return model


def resolved(
    config: RunConfig,
    corpus: Corpus,
    existing: RunDirectory | None,
    n_steps: int,
    *,
    device: torch.device,
    world: World,
) -> ResolvedExecution:
    """Replace every `auto` of `config`: by what the existing run has, or by what suits this corpus and machine.

    The main process decides for all.
    """
    execution = ResolvedExecution(existing.config if existing else config, {})
    if existing is None and world.is_main:
        vocab_size = corpus.tokenizer.vocab_size
        config = resolve_cutoffs(config, corpus.train.count_tokens(vocab_size))
        execution = resolve_execution(config, vocab_size, n_steps, device=device, n_processes=world.size)
    shared = world.broadcast(execution.config.model_dump_json())
    return execution if world.is_main else ResolvedExecution(RunConfig.model_validate_json(shared), {})


def agreed_device(config: RunConfig, world: World) -> torch.device:
    """Find out what this process computes on, once all processes have the same configuration, versions and devices.

    Raises:
        ConfigError: they have not, or cannot share the columns equally.
    """
    device = find_device(config.training, world)
    facts = {name: version(name) for name in RECORDED_PACKAGES} | {"device": device.type}
    _require_same({**facts, **config.model_dump(mode="json")}, world, "configuration, versions and devices")
    accumulate, batch_size = config.training.accumulate, config.data.batch_size
    n_parts = world.size * accumulate
    if batch_size % n_parts != 0:
        groups = f" in {accumulate} groups each (training.accumulate)" if accumulate > 1 else ""
        raise ConfigError(
            f"data.batch_size: {batch_size} columns cannot be shared equally by {world.size} processes{groups}. "
            f"Make it a multiple of {n_parts}, or start another number of processes."
        )
    return device


def _require_same_text(corpus: Corpus, world: World) -> None:
    """Check that all processes have read the same text and cut it into the same tokens."""
    splits = {split: facts["sha256"] for split, facts in corpus.provenance.items() if isinstance(facts, dict)}
    digests = {f"SHA-256 of {split}": digest for split, digest in splits.items()}
    _require_same({**digests, "digest of the tokenizer": corpus.tokenizer.digest}, world, "text")


def _require_same(facts: Mapping[str, object], world: World, what: str) -> None:
    of_main, *of_others = (world.broadcast(facts, rank) for rank in range(world.size))
    for rank, theirs in enumerate(of_others, start=1):
        for key, there, here in _differences(theirs, of_main):
            raise ConfigError(
                f"{key}: is {there!r} on rank {rank}, {here!r} on rank 0. Give all processes the same {what}."
            )


def shared_corpus(config: RunConfig, run: RunDirectory | None, world: World) -> Corpus:
    """Load the corpus in every process, with the tokenizer of the run that the main one goes on from, if there is one.

    Raises:
        ConfigError: they have not all read the same text.
    """
    tokenizer = None if run is None else tokenizer_of(run)
    json = world.broadcast(None if tokenizer is None else tokenizer.to_json())
    if json is not None and not world.is_main:
        tokenizer = load_tokenizer(config.data.tokenizer, json)
    with world.one_per_machine_first():
        corpus = load_corpus(config.data, tokenizer)
    _require_same_text(corpus, world)
    return corpus


def tokenizer_of(run: RunDirectory) -> Tokenizer:
    """Load the tokenizer of a run.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        return load_tokenizer(run.config.data.tokenizer, run.tokenizer_json)
    except DataError as error:
        raise CheckpointError(f"{run.path}: {error}") from None


def _require_same_config(run: RunDirectory, config: RunConfig) -> None:
    differences = {
        key: f"{key} is {there!r} there, {here!r} here"
        for key, there, here in _differences(run.config.model_dump(), config.model_dump())
        # A corpus is the same by its text, wherever it lies: `require_same_corpus` compares the digests.
        if key != "data.corpus" or run.digest_of("train") is None
    }
    if not differences:
        return
    advice = "or another --run-dir."
    if differences.keys() <= LENGTHS:
        advice = "or train on from its best weights, in a new run: another --run-dir and --set " + as_command(
            [f"training.initialize_from={run.path}"]
        )
    raise CheckpointError(
        f"{run.path}: was started with another configuration: {'; '.join(differences.values())}. "
        f"Give the same one to continue it, {advice}"
    )


def environment_warnings(run: RunDirectory, environment: Mapping[str, object]) -> list[str]:
    """Say where a continued run may not get the very numbers that it would have had where it was started."""
    differences = environment_differences(run.environment, environment)
    if not differences:
        return []
    return [
        f"{run.path}: was started with {'; '.join(differences)}. It goes on, but its numbers may differ in their last "
        "bits from those of a run that stayed the same."
    ]


def require_same_corpus(run: RunDirectory | None, corpus: Corpus) -> None:
    """Refuse to continue a run on other text than it was started on; without one there is nothing to refuse."""
    if run is None:
        return
    for split, facts in corpus.provenance.items():
        if isinstance(facts, dict):
            advice = "Restore that text, or choose another --run-dir."
            run.require_same_text(corpus.name, split, facts["sha256"], advice)


def _differences(
    there: Mapping[str, object], here: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, object, object]]:
    for key in dict.fromkeys([*there, *here]):
        a, b = there.get(key), here.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b


def check_against_corpus(config: RunConfig, corpus: Corpus) -> None:
    """Refuse options that this corpus leaves without effect or meaning."""
    output, vocab_size = config.model.output, corpus.tokenizer.vocab_size
    if isinstance(output, AdaptiveOptions) and output.cutoffs != "auto":
        last = max(output.cutoffs, default=0)
        if last >= vocab_size:
            raise ConfigError(
                f"model.output.cutoffs: {last} leaves nothing for the last cluster: the vocabulary has {vocab_size} "
                "tokens. Choose smaller ones, or auto."
            )
    if corpus.valid is None and config.training.patience is not None:
        raise ConfigError(
            "training.patience: stops early by validation, but the corpus has no validation split. Remove it."
        )
    if corpus.valid is None and config.schedule.name == "anneal_on_plateau":
        raise ConfigError(
            "schedule.name: anneal_on_plateau lowers the learning rate by validation, but the corpus has no validation "
            "split. Choose constant or warmup_cosine."
        )
    if corpus.valid is None and config.averaging.name == "nt_asgd":
        raise ConfigError(
            "averaging.name: nt_asgd starts to average by validation, but the corpus has no validation split. "
            "Choose ema or tail."
        )


def best_step(run: RunDirectory | SharedRun) -> int:
    """Return the step of the best checkpoint of a run that must have one."""
    best = run.best
    if best is None:
        again = ["lstmlm", "train", "--resume", "--run-dir", str(run.path)]
        raise CheckpointError(f"{run.path}: has no checkpoint yet. Train it: {as_command(again)}")
    return best
