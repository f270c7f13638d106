"""`lstmlm data check`: what is wrong with a corpus."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lstmlm.cli.options import CorpusArgument, CorpusConfigOption, JsonOption, SetOption, corpus_config
from lstmlm.cli.render import print_json, result_text
from lstmlm.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lstmlm.config import RunConfig
    from lstmlm.corpus.inspection.health import Finding

_UNREADABLE = (("error", "reading"), ("error", "checksums"))

MARKS = {"ok": "✔", "warning": "⚠", "error": "✘"}


def check(
    corpora: CorpusArgument = None,
    config: CorpusConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a corpus and what to do: characters, line ends, repetitions, overlap, unknown words.

    A corpus is opened, cut into splits and made tokens of as lstmlm train does with the same --config and --set. Every
    finding is a line: ✔ as it should be, ⚠ look at this, ✘ training refuses it, or its figures mean nothing. Ends with
    status 3 if there is a ✘. Of several corpora each is a text by itself, which is not trained on. A token store is
    compared with its checksums.

    Examples:

    lstmlm data check data/tiny

    lstmlm data check texts/novel.txt --set data.tokenizer.name=char

    lstmlm data check --config quickstart

    lstmlm data check texts/novel.txt texts/chapter.txt --json
    """
    checked = corpus_config(config, overrides or [], corpora or [])
    findings = []
    for finding in _findings(corpora or [checked.data.corpus], checked):
        findings.append(finding)
        if not as_json:
            print(result_text(f"{MARKS[finding.level]} {finding.text}: {finding.check}: {finding.message}"), flush=True)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(DataError.exit_status)


def _findings(corpora: Sequence[str], config: "RunConfig") -> "Iterator[Finding]":
    from lstmlm.corpus.inspection.health import check_store, check_texts
    from lstmlm.corpus.loading import open_corpus, open_texts
    from lstmlm.corpus.store.token_store import is_store

    stores = [Path(corpus) for corpus in corpora if is_store(Path(corpus))]
    texts = [corpus for corpus in corpora if Path(corpus) not in stores]
    if len(corpora) > 1:
        yield from map(check_store, stores)
        yield from check_texts(open_texts(texts, config.data), config.data) if texts else ()
        return
    [corpus] = corpora
    config = config.model_copy(update={"data": config.data.model_copy(update={"corpus": corpus})})
    opened, splits = open_corpus(config.data) if texts else ({}, {})
    can_be_read = True
    for finding in chain(map(check_store, stores), check_texts(opened, config.data, splits)):
        can_be_read = can_be_read and (finding.level, finding.check) not in _UNREADABLE
        yield finding
    if can_be_read:
        yield from _of_training(config)


def _of_training(config: "RunConfig") -> "Iterator[Finding]":
    """What training finds in a corpus that can be read."""
    from lstmlm.corpus.inspection.health import Finding, check_tokens
    from lstmlm.corpus.loading import with_tokenizer_of_store
    from lstmlm.training.preparation.preparation import checked_corpus

    name = str(Path(config.data.corpus))
    config = config.model_copy(update={"data": with_tokenizer_of_store(config.data)})
    try:
        corpus, warnings = checked_corpus(config)
    except (ConfigError, DataError) as error:
        yield Finding(name, "training", "error", str(error).removeprefix(f"{name}: "))
        return
    held_out = filter(None, (corpus.valid, corpus.test))
    yield from check_tokens(corpus.train, held_out, corpus.tokenizer, config.data.tokenizer)
    for warning in warnings:
        yield Finding(name, "training", "warning", warning)
