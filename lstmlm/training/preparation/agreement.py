"""Whether all processes begin with the same, and whether the options suit the corpus."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from lstmlm.checkpoint.environment import RECORDED_PACKAGES
from lstmlm.config import RunConfig
from lstmlm.config.data import CountedVocabularyOptions
from lstmlm.config.output import AdaptiveOptions
from lstmlm.corpus.encoded_text import MANY_UNKNOWN
from lstmlm.corpus.loading import Corpus
from lstmlm.corpus.store.token_store import is_store
from lstmlm.distributed import World
from lstmlm.errors import ConfigError


def require_same_start(config: RunConfig, device: torch.device, world: World) -> None:
    """Check that all processes have the same configuration, versions and devices, and can share the columns equally.

    Raises:
        ConfigError: they have not, or cannot.
    """
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


def require_same_text(corpus: Corpus, world: World) -> None:
    """Check that all processes have read the same text and cut it into the same tokens.

    Raises:
        ConfigError: they have not.
    """
    digests = {f"SHA-256 of {text.split}": text.sha256 for text in corpus.splits}
    _require_same({**digests, "digest of the tokenizer": corpus.tokenizer.digest}, world, "text")


def _require_same(facts: Mapping[str, object], world: World, what: str) -> None:
    of_main, *of_others = (world.broadcast(facts, rank) for rank in range(world.size))
    for rank, theirs in enumerate(of_others, start=1):
        for key, there, here in differences(theirs, of_main):
            raise ConfigError(
                f"{key}: is {there!r} on rank {rank}, {here!r} on rank 0. Give all processes the same {what}."
            )


def differences(
    there: Mapping[str, object], here: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Yield where two nested mappings differ: the dotted key and both values, None for one that is missing."""
    for key in dict.fromkeys([*there, *here]):
        a, b = there.get(key), here.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b


def check_against_corpus(config: RunConfig, corpus: Corpus) -> None:
    """Refuse options that this corpus leaves without effect or meaning.

    Raises:
        ConfigError: there are such options.
    """
    output, vocab_size = config.model.output, corpus.tokenizer.vocab_size
    if isinstance(output, AdaptiveOptions) and output.cutoffs != "auto":
        last = max(output.cutoffs, default=0)
        if last >= vocab_size:
            raise ConfigError(
                f"model.output.cutoffs: {last} leaves nothing for the last cluster: the vocabulary has {vocab_size} "
                "tokens. Choose smaller ones, or auto."
            )
    if (order := config.model.ngram_order) is not None:
        # What ends the line before is the first token of a line's n-grams.
        longest = corpus.train.longest_line(corpus.tokenizer.start_id) + 1
        if order > longest:
            remedy = "Lower it"
            if config.data.tokenizer.name == "word":
                remedy += ", or, where words are names or no blanks part them, set data.tokenizer.name: char"
            raise ConfigError(
                f"model.ngram_order: {order} is beyond the training split, whose longest line makes n-grams of "
                f"{longest} tokens. {remedy}."
            )
    if corpus.valid is not None:
        return
    for is_chosen, what, remedy in (
        (config.training.patience is not None, "training.patience: stops early", "Remove it."),
        (
            config.schedule.name == "anneal_on_plateau",
            "schedule.name: anneal_on_plateau lowers the learning rate",
            "Choose constant or warmup_cosine.",
        ),
        (config.averaging.name == "nt_asgd", "averaging.name: nt_asgd starts to average", "Choose ema or tail."),
    ):
        if is_chosen:
            raise ConfigError(f"{what} by validation, but the corpus has no validation split. {remedy}")


def corpus_warnings(config: RunConfig, corpus: Corpus) -> list[str]:
    """Say what of this corpus will disappoint, and which options have no effect on it, a sentence each."""
    found, (_, *others) = [], corpus.splits
    if corpus.valid is None:
        found.append("data.corpus: has no validation split: nothing tells the best weights, so the last are kept.")
    unknown = {split.name: split.unk_rate for split in (corpus.train, *others)}
    mostly_unknown = {name: share for name, share in unknown.items() if share >= MANY_UNKNOWN}
    if mostly_unknown:
        shares = ", ".join(f"{share:.0%} of {name}" for name, share in mostly_unknown.items())
        commonest = ", ".join(map(repr, corpus.train.unknown_pieces))
        examples = f" (in the training split most often {commonest})" if commonest else ""
        found.append(
            f"data.tokenizer: {shares} is unknown{examples}, so that figures say little. Take a tokenizer that knows "
            "it: bpe or byte."
        )
    elif corpus.train.n_unk == 0 and any(split.n_unk for split in others):
        options = config.data.tokenizer
        can_count = isinstance(options, CountedVocabularyOptions) and options.min_count == 1
        remedy = "Take the tokenizer byte or bpe, to which nothing is unknown."
        if can_count and not is_store(Path(config.data.corpus)):
            remedy = "Set min_count: 2."
        found.append(
            "data.tokenizer: <unk> never occurs in the training split, so the model cannot learn to expect unknown "
            f"words. {remedy}"
        )
    end_id = corpus.tokenizer.start_id
    if n_ends := corpus.train.n_written_ends(end_id):
        found.append(
            f"data.corpus: the training split has the word {corpus.tokenizer.token(end_id)} {n_ends:,} times, and each "
            "ends a line. Write it otherwise where it does not."
        )
    if corpus.valid and corpus.valid.sha256 == corpus.train.sha256:
        found.append(
            "data.corpus: train and valid are the same text, so valid perplexity tells nothing of other texts."
        )
    if isinstance(config.model.output, AdaptiveOptions) and config.model.output.cutoffs == ():
        found.append("model.output.cutoffs: there are none, so that adaptive is the full softmax. Use name: softmax.")
    return found
