"""Texts are read as a file of the run's corpus would be, also where that has no lines: `data.eos` never or document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_run import make_run
from served import TOKENIZERS, Server, model_options, running

TEXT = "don't ask\nthe old sailor ,\n"
NAMES = ["word-never", "word-document", "char-never", "bpe-document"]

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from lstmlm.serving.models import ServedModels

    folder: Path = tmp_path_factory.mktemp("runs")
    for name in NAMES:
        tokenizer, _, eos = name.partition("-")
        make_run(folder / name, model_options("lstm"), dict(TOKENIZERS[tokenizer]), eos)
    with running(ServedModels.load([folder / name for name in NAMES])) as started:
        yield started


def ids_of_file(model: Any) -> list[int]:
    """What a file or record that begins with the text is read as, but for its end."""
    from lstmlm.corpus.loading import encode_string

    ids: list[int] = encode_string(f"{TEXT}x", model.run.config.data, model.tokenizer).tokens.tolist()
    x = model.tokenizer.encode_prompt(" x")[-1]
    return ids[: len(ids) - ids[::-1].index(x) - 1]


@pytest.mark.parametrize("name", NAMES)
def test_newlines_are_blanks_to_tokens_echo_and_gates(server: Any, name: str) -> None:
    from lstmlm.scoring import score

    model = server.models.find(name).model
    wanted = ids_of_file(model)
    assert model.tokenizer.start_id not in wanted
    assert server.post("/tokenize", model=name, prompt=TEXT, add_special_tokens=False)["tokens"] == wanted
    choice = server.choice(model=name, prompt=TEXT, echo=True, logprobs=0, max_tokens=0)
    nats = score(model.model, np.array(wanted), model.tokenizer.start_id)
    np.testing.assert_allclose(choice["logprobs"]["token_logprobs"], -nats, atol=1e-5)
    assert choice["text"] == TEXT.replace("\n", " ")
    tokens = server.post("/v1/gates", model=name, text=TEXT)["tokens"]
    assert tokens == [model.tokenizer.token(token_id) for token_id in wanted]


@pytest.mark.parametrize("name", NAMES)
def test_newlines_are_blanks_to_what_goes_on(server: Any, name: str) -> None:
    on_one_line = TEXT.replace("\n", " ")
    model = server.models.find(name).model
    wanted = server.post("/v1/next", model=name, text=on_one_line, k=2)
    assert server.post("/v1/next", model=name, text=TEXT, k=2) == wanted
    session = server.post("/v1/sessions", model=name, text=TEXT[:12])
    path = f"/v1/sessions/{session['id']}"
    server.post(f"{path}/feed", text=TEXT[12:])
    found = server.post(f"{path}/next", k=2)["words"]
    state = model.state(TEXT).next_words(2)
    for words in (found, [{"word": word.word} for word in state]):
        assert [word["word"] for word in words] == [word["word"] for word in wanted["words"]]
    drawing = {"max_tokens": 12, "seed": 3}
    text = server.choice(model=name, prompt=on_one_line, **drawing)["text"]
    assert server.choice(model=name, prompt=TEXT, **drawing)["text"] == text
    assert server.post(f"{path}/generate", **drawing)["choices"][0]["text"] == text
    assert model.generate(TEXT, **drawing) == TEXT + text
    assert model.score(f"{TEXT}a", eos=False) == pytest.approx(model.score(f"{on_one_line}a", eos=False), rel=1e-9)
