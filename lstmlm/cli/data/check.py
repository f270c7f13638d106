"""`lstmlm data check`: what is wrong with a corpus."""

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import typer

from lstmlm.cli.options import CorpusArgument, JsonOption
from lstmlm.cli.render import result_text
from lstmlm.errors import DataError

MARKS = {"ok": "✔", "warning": "⚠", "error": "✘"}


def check(corpora: CorpusArgument, as_json: JsonOption = False) -> None:
    """Say what is wrong with a corpus and what to do: encoding, repetitions, overlap of its splits, unknown words.

    Every finding is a line: ✔ as it should be, ⚠ look at this, ✘ training will fail or its figures mean nothing. Ends
    with status 3 if there is a ✘. Words are pieces between white space. A token store is compared with its checksums.

    Examples:

    lstmlm data check data/tiny

    lstmlm data check texts/novel.txt texts/chapter.txt --json
    """
    from lstmlm.corpus.inspection.health import check_store, check_texts
    from lstmlm.corpus.loading import open_texts
    from lstmlm.corpus.store.token_store import is_store

    stores = [Path(corpus) for corpus in corpora if is_store(Path(corpus))]
    texts = [corpus for corpus in corpora if Path(corpus) not in stores]
    findings = []
    for finding in chain(map(check_store, stores), check_texts(open_texts(texts)) if texts else ()):
        findings.append(finding)
        if not as_json:
            print(result_text(f"{MARKS[finding.level]} {finding.text}: {finding.check}: {finding.message}"), flush=True)
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, ensure_ascii=False))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(DataError.exit_status)
