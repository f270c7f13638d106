"""`lstmlm data list`: the corpora that have a name."""

import os
from collections.abc import Mapping
from typing import Any

from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import print_json, print_table


def list_corpora(as_json: JsonOption = False) -> None:
    """List the corpora that have a name, with their licences, sizes and tokens, and where they are.

    Tokens are those of the training split: words with an <eos> a line, characters, or bytes. `get` counts those of
    every split, and compares the SHA-256 of what is `verified` with that of the original.

    Examples:

    lstmlm data list

    lstmlm data list --json
    """
    from lstmlm.corpus.named import DATASETS

    corpora = [dataset.facts() for dataset in DATASETS.values()]
    if as_json:
        print_json({"corpora": corpora})
    else:
        print_table(list(map(_row, corpora)))


def _row(facts: Mapping[str, Any]) -> dict[str, Any]:
    place, home = facts["place"], os.environ.get("HOME")
    if home and place and place.startswith(f"{home}/"):
        place = f"~{place.removeprefix(home)}"  # as a shell takes it
    return {
        "corpus": facts["name"],
        "licence": facts["licence"],
        "download_bytes": facts["download_bytes"],
        "train_tokens": facts["splits"].get("train", {}).get("n_tokens"),
        "unit": facts["unit"],
        "verified": facts["verified"],
        "where": place if facts["is_there"] and place else facts["how_to_get"],
    }
