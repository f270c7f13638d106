"""Models combined by their files of log-probabilities: weights found on one text, the figure reported of another."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lstmlm.corpus.reading.text_files import explained
from lstmlm.errors import DataError
from lstmlm.evaluation.interpolation import mixture_nats, mixture_weights
from lstmlm.evaluation.perplexity.token_file import TokenFile, read_token_file, require_same
from lstmlm.evaluation.report import Report, perplexity_rows, require_names

Files = Mapping[str, TokenFile]
"""Of one text, by the name of the model."""

EQUAL, COMBINED = "equal weights", "combined"
"""What the rows of all models together are called."""


def combine_files(paths: Sequence[Path], tune: str | None) -> Report:
    """Mix the probabilities of models with the weights that suit another text best.

    Args:
        paths: A file for each model and text.
        tune: The split on which the weights are found; the other one is measured. Without it all files are of one text:
            its first half is for the weights, and its second is measured.

    Raises:
        ConfigError: a model is called like a row of all together.
        DataError: a file cannot be read; or files are of other texts, tokenizers or versions than they have to be.
    """
    for path in paths:
        with explained(path):
            path.stat()
    by_split = _by_split([read_token_file(path) for path in paths])
    for files in by_split.values():
        require_same(files)
    measured, tuning, weights_from = _texts(by_split, tune)
    names, of_measured = [*measured], [*measured.values()]
    require_names([*names, EQUAL, COMBINED])
    nats, texts = np.stack([file.nats for file in of_measured]), dict[str, str | None](of_measured[0].texts)
    if tuning is None:
        half = nats.shape[1] // 2
        if half == 0:
            raise DataError(f"{of_measured[0].path}: has one token, half of which can find no weights. Give --tune.")
        nats_before, nats = nats[:, :half], nats[:, half:]
        # Half a text is another text, of which no digest is known.
        texts |= {"split": f"{texts['split']} (second half)", "text_sha256": None, "fingerprint": None}
    else:
        _require_same_models(measured, tuning)
        nats_before = np.stack([tuning[name].nats for name in names])
    weights = mixture_weights(nats_before)
    return _report(names, nats, weights, texts, weights_from)


def _report(
    names: Sequence[str],
    nats: Float[np.ndarray, "models tokens"],
    weights: Float[np.ndarray, " models"],
    texts: Mapping[str, str | None],
    weights_from: str,
) -> Report:
    equal = np.full(len(names), 1 / len(names))
    by_name = dict(zip(names, nats, strict=True)) | {
        EQUAL: mixture_nats(nats, equal),
        COMBINED: mixture_nats(nats, weights),
    }
    rows = zip(perplexity_rows("model", by_name), [*weights.tolist(), None, None], strict=True)
    return Report(
        {
            "split": texts["split"],
            "n_tokens": nats.shape[1],
            "n_models": len(names),
            "weights_from": weights_from,
            **{name: texts[name] for name in ("text_sha256", "tokenizer_sha256", "context", "fingerprint")},
        },
        rows=[{**row, "weight": weight} for row, weight in rows],
    )


def _by_split(files: Sequence[TokenFile]) -> dict[str, dict[str, TokenFile]]:
    found: dict[str, dict[str, TokenFile]] = {}
    for file in files:
        name, split = file.texts["model"], file.texts["split"]
        of_split = found.setdefault(split, {})
        if name in of_split:
            raise DataError(
                f"{file.path}: is of model {name!r} and split {split!r}, as is {of_split[name].path}. Give one of "
                "them, or models other names."
            )
        of_split[name] = file
    return found


def _texts(by_split: Mapping[str, Files], tune: str | None) -> tuple[Files, Files | None, str]:
    """Return what is measured, what the weights are found on, None for its first half, and the name of that."""
    listed = " and ".join(repr(split) for split in by_split)
    if tune is None:
        if len(by_split) > 1:
            first = next(iter(by_split))
            raise DataError(f"FILE: there are files of {listed}. Say which finds the weights: --tune {first}")
        [(split, files)] = by_split.items()
        measured, tuning, weights_from = files, None, f"the first half of {split}"
    elif len(by_split) != 2 or tune not in by_split:
        raise DataError(f"--tune: needs files of {tune!r} and of one other split, got those of {listed}. Name both.")
    else:
        [other] = by_split.keys() - {tune}
        measured, tuning, weights_from = by_split[other], by_split[tune], tune
    if len(measured) < 2:
        raise DataError(
            f"FILE: there is one model, {next(iter(measured))!r}, and two or more are combined. Add others."
        )
    return measured, tuning, weights_from


def _require_same_models(measured: Files, tuning: Files) -> None:
    for one, other in ((measured, tuning), (tuning, measured)):
        for name in one.keys() - other.keys():
            split = next(iter(other.values())).texts["split"]
            raise DataError(
                f"{one[name].path}: is of model {name!r}, of which there is no file of {split!r}. Add it, or leave "
                "this one out."
            )
    a, b = next(iter(measured.values())), next(iter(tuning.values()))
    for key in ("tokenizer_sha256", "context", "counted", "normalization"):
        if a.texts[key] != b.texts[key]:
            raise DataError(
                f"{b.path}: has another {key} than {a.path}, {b.texts[key][:12]!r}, not {a.texts[key][:12]!r}. "
                "Combine files that agree in it."
            )
    if a.texts["text_sha256"] == b.texts["text_sha256"]:
        raise DataError(f"{b.path}: is of the same text as {a.path}, on which weights must not be found. Leave it out.")
