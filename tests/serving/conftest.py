"""A server of three runs, in a thread of the test's process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drawn_run import make_run
from served import TOKENIZERS, Server, model_options, running

pytest.importorskip("starlette", reason="needs the serve extra: pip install 'lstmlm[serve]'")
pytest.importorskip("uvicorn", reason="needs the serve extra: pip install 'lstmlm[serve]'")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An LSTM of words, a GRU of characters and an Elman network of parts of words, under the names of their tokens."""
    from lstmlm.serving.models import ServedModels

    folder: Path = tmp_path_factory.mktemp("runs")
    for cell, tokenizer in (("lstm", "word"), ("gru", "char"), ("rnn", "bpe")):
        make_run(folder / tokenizer, model_options(cell), dict(TOKENIZERS[tokenizer]))
    return ServedModels.load([folder / name for name in TOKENIZERS])


@pytest.fixture(scope="session")
def server(models: Any) -> Iterator[Server]:
    """One that all tests ask that need no other."""
    with running(models) as started:
        yield started


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """Return what serves otherwise: a `with` block of `running`."""
    return running
